"""Why a connection to an SSH server failed: a word of ours, a sentence, and what to do."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

from paramiko.ssh_exception import (
    AuthenticationException,
    BadAuthenticationType,
    IncompatiblePeer,
    SSHException,
)

from bridge.errors import PeerUnavailable, SecretUnavailable


class HostKeyRefused(Exception):
    """The server is not who it must be. ``shown`` is the fingerprint of the key that it showed."""

    def __init__(self, shown: str, kind: str) -> None:
        self.shown, self.kind = shown, kind
        super().__init__(f"the server shows {kind} {shown}")


class AddressRefused(Exception):
    """The server's name stands for an address that it may not have. Nobody was connected to."""


class KeyUnusable(Exception):
    """Our own key cannot be read. The text says why, and nothing of the key."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A failure in words."""

    reason: str
    text: str
    advice: str


class ServerUnavailable(PeerUnavailable):
    """An SSH server could not be used; ``explained`` says why."""

    def __init__(self, explained: Explained) -> None:
        self.explained = explained
        super().__init__(f"{explained.text}; {explained.advice}")


_SHA1_ONLY = Explained(
    "no-common-algorithm",
    "the server and the bridge have no algorithm in common",
    "a server that has only SHA-1 (ssh-rsa, diffie-hellman-group1 or group14-sha1) or DSA is not spoken to: "
    "its owner lets it offer rsa-sha2-256 or ssh-ed25519, and curve25519-sha256 or "
    "diffie-hellman-group14-sha256",
)


def explain(error: BaseException) -> Explained:
    """What a failure to connect, to log in or to go on comes to."""
    if (ours := _of_ours(error)) is not None:
        return ours
    match error:
        case BadAuthenticationType():
            allowed = ", ".join(sorted(error.allowed_types)) or "nothing"
            return Explained(
                "login-kind",
                f"the server takes no such login, but {allowed}",
                "see `password`, `key` and `agent`",
            )
        case AuthenticationException():
            return Explained(
                "login-refused",
                "the server refuses the login",
                "look at `user`, and at the password or whether the server knows the key",
            )
        case IncompatiblePeer():
            return _SHA1_ONLY
        case TimeoutError():
            return Explained(
                "timeout",
                "the server did not answer in time",
                "see whether a firewall drops what is sent there",
            )
        case socket.gaierror():
            return Explained("no-such-host", "the server's name is not known", "look at `host`, and at DNS")
        case EOFError():
            return Explained("cut", "the server closed the connection", "its log says why")
        case SSHException():
            return _of_ssh(str(error))
        case OSError() if error.errno == errno.ECONNREFUSED:
            return Explained("refused", "nobody listens there", "look at `host` and `port`")
        case OSError():
            words = error.strerror or "the connection failed"
            return Explained("connection", words.lower(), "it is tried again")
    return Explained("unknown", f"an error of the kind {type(error).__name__}", "it is tried again")


def _of_ours(error: BaseException) -> Explained | None:
    match error:
        case HostKeyRefused():
            return Explained(
                "host-key",
                f"the server shows another key than it must have: {error.kind} {error.shown}",
                "nothing was sent to it; ask its owner whether the key was exchanged, and only then add it "
                "to `host_keys`",
            )
        case AddressRefused():
            return Explained(
                "target-refused",
                "the server's name stands for an address that it may not have",
                "look at `network`, and at DNS",
            )
        case KeyUnusable():
            return Explained("key-unusable", str(error), "look at `key` and `key_passphrase`")
        case SecretUnavailable():
            return Explained("secret", str(error), "provide it")
    return None


def _of_ssh(said: str) -> Explained:
    if "banner" in said:
        return Explained("no-ssh", "what answers there speaks no SSH", "look at `host` and `port`")
    if "acceptable" in said or "ncompatible" in said:
        return _SHA1_ONLY
    return Explained("ssh", "the connection failed while it was made", "the server's log says why")
