"""A connection to an SSH server, and files on it. It blocks, and runs in a thread.

The server's key is looked at before anything of ours is sent: no password and no signature goes to a server
that is not who it must be. Ciphers without authentication of their own are left out, and so is whatever
rests on SHA-1 or MD5.
"""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any, Final, Protocol

import paramiko

from bridge.errors import BridgeError
from bridge.ssh.client import SftpClient
from bridge.ssh.draining import Drained
from bridge.ssh.failures import AddressRefused, HostKeyRefused, KeyUnusable, ServerUnavailable, explain
from bridge.ssh.options import SshOptions
from bridge.units import SecretRef

Secrets = Callable[[SecretRef], str]
Permits = Callable[[str, str], bool]
"""Whether a host, the first, may be connected to at an address, the second."""

CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
DIGESTS: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_KINDS: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}
KEY_CLASSES: Final = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
ADDRESSES_MAX_COUNT: Final = 16
READ_BYTES: Final = 32_768
"""What servers give in answer to one request."""
WINDOW_BYTES: Final = 4 * 1024**2
"""So much is asked for at once, and held in memory."""
CONNECTION_ENDED: Final = (EOFError, paramiko.SSHException, OSError)
"""What the library raises when a connection is not there any more."""


def fingerprint(key: paramiko.PKey) -> str:
    """As `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(key.asbytes()).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


class Remembered:
    """The first key of a server that is trusted for it, as long as the process runs."""

    def __init__(self) -> None:
        self.fingerprint = ""


class Session:
    """A server that was reached and has let us in."""

    def __init__(self, transport: paramiko.Transport, sftp: paramiko.SFTPClient) -> None:
        self.transport, self.sftp = transport, sftp

    def close(self) -> None:
        """Hang up; it may have ended already."""
        with suppress(*CONNECTION_ENDED):
            self.transport.close()

    @property
    def alive(self) -> bool:
        """Whether the connection still stands, as far as is known."""
        return bool(self.transport.is_active())


def connect(
    options: SshOptions, secrets: Secrets, remembered: Remembered, permits: Permits | None = None
) -> Session:
    """Reach a server and log in. Raises ServerUnavailable.

    With ``permits`` only an address is connected to that the server may have.
    """
    transport: paramiko.Transport | None = None
    try:
        transport = reached(options, permits)
        prove(transport, options, remembered)
        _log_in(transport, options, secrets)
        sftp = SftpClient.from_transport(transport, window_size=WINDOW_BYTES, max_packet_size=READ_BYTES)
        assert sftp is not None
        channel = sftp.get_channel()
        assert channel is not None
        channel.settimeout(options.answer_within)
        sftp.sock = Drained(channel)
    except (BridgeError, AddressRefused, HostKeyRefused, KeyUnusable, *CONNECTION_ENDED) as error:
        if transport is not None:
            transport.close()
        raise ServerUnavailable(explain(error)) from None
    return Session(transport, sftp)


def reached(options: SshOptions, permits: Permits | None = None) -> paramiko.Transport:
    """The keys are exchanged, and nothing else was said. Raises what the socket or the library does."""
    with ExitStack() as undo:
        connection = _connected(options, permits)
        undo.callback(connection.close)
        transport = paramiko.Transport(connection)
        offered = transport.get_security_options()
        offered.ciphers = [each for each in CIPHERS if each in offered.ciphers]
        offered.digests = [each for each in DIGESTS if each in offered.digests]
        if kinds := _kinds(options):
            offered.key_types = [each for each in offered.key_types if each in kinds] or offered.key_types
        transport.banner_timeout = transport.auth_timeout = options.connect_within
        transport.start_client(timeout=options.connect_within)
        undo.pop_all()
    return transport


def _connected(options: SshOptions, permits: Permits | None) -> socket.socket:
    """A connection to the first address that takes one; all of the name are looked at before."""
    found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))[:ADDRESSES_MAX_COUNT]
    if permits is not None and not all(permits(options.host, each) for each in addresses):
        raise AddressRefused
    failed: OSError | None = None
    for address in addresses:
        try:
            return socket.create_connection((address, options.port), options.connect_within)
        except OSError as error:
            failed = error
    raise failed or OSError("the name stands for no address")


def _kinds(options: SshOptions) -> frozenset[str]:
    """Which kinds of key the server is to show, where all of `host_keys` say; else it chooses."""
    if not options.host_keys or any(each.startswith("SHA256:") for each in options.host_keys):
        return frozenset()
    kinds = (each.partition(" ")[0] for each in options.host_keys)
    return frozenset(name for kind in kinds for name in _KINDS.get(kind, (kind,)))


def prove(transport: paramiko.Transport, options: SshOptions, remembered: Remembered) -> None:
    """See that the server is who it must be. Raises HostKeyRefused."""
    key = transport.get_remote_server_key()
    shown = fingerprint(key)
    known = {
        each if each.startswith("SHA256:") else _fingerprint_of(each.partition(" ")[2])
        for each in options.host_keys
    }
    if not known and options.trust_first:
        remembered.fingerprint = remembered.fingerprint or shown
        known = {remembered.fingerprint}
    if shown not in known:
        raise HostKeyRefused(shown, key.get_name())


def _fingerprint_of(encoded: str) -> str:
    digest = hashlib.sha256(base64.b64decode(encoded)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _log_in(transport: paramiko.Transport, options: SshOptions, secrets: Secrets) -> None:
    refused: Exception | None = None
    with closing(_keys(options, secrets)) as keys:
        for key in keys:
            try:
                if not transport.auth_publickey(options.user, key):
                    return
            except paramiko.AuthenticationException as error:
                refused = error
    if options.password is not None and not transport.auth_password(options.user, secrets(options.password)):
        return
    raise refused or paramiko.AuthenticationException("more is asked for than was given")


def _keys(options: SshOptions, secrets: Secrets) -> Generator[paramiko.PKey]:
    if options.key is not None:
        passphrase = None if options.key_passphrase is None else secrets(options.key_passphrase)
        yield read_key(secrets(options.key), passphrase)
    if options.agent:
        agent = paramiko.Agent()
        try:
            yield from agent.get_keys()
        finally:
            agent.close()


def read_key(text: str, passphrase: str | None) -> paramiko.PKey:
    """A private key from its text. Raises KeyUnusable, which shows nothing of it."""
    for kind in KEY_CLASSES:
        try:
            return kind.from_private_key(io.StringIO(text + "\n"), password=passphrase)
        except paramiko.PasswordRequiredException:
            raise KeyUnusable("the private key is encrypted, and there is no `key_passphrase`") from None
        except (paramiko.SSHException, ValueError, IndexError, TypeError, UnicodeDecodeError):
            continue
    what = "the private key cannot be read" + (", or its passphrase is another" if passphrase else "")
    raise KeyUnusable(what)


class Pace:
    """How fast bytes may go: keeps a thread waiting until its last ones were allowed."""

    def __init__(self, bytes_per_s: int | None, clock_s: Callable[[], float]) -> None:
        self._bytes_per_s, self._clock_s = bytes_per_s, clock_s
        self._free_at_s = clock_s()
        self._never = threading.Event()

    def spend(self, size_bytes: int) -> None:
        """So many bytes went."""
        if self._bytes_per_s is None:
            return
        now_s = self._clock_s()
        takes_s = size_bytes / self._bytes_per_s
        # No longer than these bytes take, so that a clock that is set back costs nothing.
        wait_s = min(max(self._free_at_s - now_s, 0.0) + takes_s, takes_s)
        self._free_at_s = now_s + wait_s
        self._never.wait(wait_s)


@contextmanager
def on_the_wire() -> Iterator[None]:
    """What ends a connection becomes ServerUnavailable; what the server says of a file passes."""
    try:
        yield
    except (EOFError, paramiko.SSHException):  # the library's word for a connection that was cut
        raise ServerUnavailable(explain(EOFError())) from None
    except (TimeoutError, ConnectionError) as error:
        raise ServerUnavailable(explain(error)) from None
    except OSError as error:
        if str(error) == "Socket is closed":
            raise ServerUnavailable(explain(EOFError())) from None
        raise


class Attributes(Protocol):
    """What a server says of a file; None where it does not."""

    filename: str
    st_mode: int | None
    st_size: int | None
    st_mtime: int | None


def attributes_of(sftp: Any, path: str) -> Attributes:
    """What a path is, through no link."""
    found: Attributes = sftp.lstat(path)
    return found
