"""TLS on the MLLP listener: what a channel file says of it, and what is made of its files.

Files are read when the listener starts and looked at again while it runs. Connections that are open keep
what they began with; new ones get what is there now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from OpenSSL import SSL, crypto

from bridge.errors import BridgeError, CertificateRefused, SecretUnavailable
from bridge.message import Microseconds
from bridge.tls.certificates import (
    Own,
    authorities_in,
    own_certificate,
    read_file,
    revocations_in,
)
from bridge.tls.client import CIPHERS, Exchanges
from bridge.tls.listener import ListenerTls
from bridge.transports.mllp_handshake import verification
from bridge.units import SecretRef

log = structlog.get_logger("bridge.mllp")

VERIFY_DEPTH_MAX: Final = 8
"""Certificates between a sender's own and its authority."""

Secrets = Callable[[SecretRef], str]
"""Looks a secret up. Raises SecretUnavailable where there is none."""


def no_secrets(reference: SecretRef) -> str:
    """Where there are none."""
    raise SecretUnavailable(f"{reference}: no secrets were given")


@dataclass(frozen=True, slots=True)
class _Made:
    """What the files came to. ``ends_s`` is when each of them ends, in seconds since 1970, by its key."""

    context: SSL.Context
    ends_s: Mapping[str, float]


def make_context(tls: ListenerTls, secrets: Secrets, now_s: float) -> _Made:
    """The context of these files. Raises CertificateRefused and SecretUnavailable, with what to do."""
    return _make(tls, *_read(tls, secrets), now_s)


class TlsFiles:
    """The files of one listener. `current` is what new connections get."""

    def __init__(
        self, channel: str, tls: ListenerTls, secrets: Secrets, now_us: Callable[[], Microseconds]
    ) -> None:
        """Read them. Raises CertificateRefused and SecretUnavailable, with what to do."""
        self._channel, self._tls, self._secrets, self._now_us = channel, tls, secrets, now_us
        read = _read(tls, secrets)
        self._digest = _digest(read)
        self._made = _make(tls, *read, now_us() / 1e6)
        self.not_reloaded = ""
        """Why the files of now are not used, though they have changed; empty where they are."""

    def current(self) -> SSL.Context:
        """The context for a new connection."""
        return self._made.context

    @property
    def ends_s(self) -> Mapping[str, float]:
        """When what is in use ends, in seconds since 1970: `certificate`, `client_ca`, `crl`."""
        return self._made.ends_s

    def look_again(self) -> Exchanges:
        """Take what has changed, and what became of it. What cannot be used is not taken, and logged once."""
        try:
            read = _read(self._tls, self._secrets)
            digest = _digest(read)
            if digest == self._digest:
                self.not_reloaded = ""
                return ()
            made = _make(self._tls, *read, self._now_us() / 1e6)
        except BridgeError as refused:
            if self.not_reloaded != str(refused):
                self.not_reloaded = str(refused)
                log.error(
                    "certificate-not-reloaded",
                    channel=self._channel,
                    reason=getattr(refused, "reason", "secret"),
                    why=str(refused),
                )
            return (self.not_reloaded,)
        self._made, self._digest, self.not_reloaded = made, digest, ""
        log.info("certificate-reloaded", channel=self._channel)
        return ("",)


_Read = tuple[bytes, str, str | None, bytes | None, bytes | None]


def _read(tls: ListenerTls, secrets: Secrets) -> _Read:
    return (
        read_file(tls.certificate),
        secrets(tls.key),
        None if tls.key_password is None else secrets(tls.key_password),
        None if tls.client_ca is None else read_file(tls.client_ca),
        None if tls.crl is None else read_file(tls.crl),
    )


def _digest(read: _Read) -> bytes:
    """Tells one content of the files from another, without keeping any of it."""
    whole = hashlib.sha256()
    for each in read:
        data = each.encode(errors="surrogateescape") if isinstance(each, str) else each or b""
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()


def _make(
    tls: ListenerTls,
    certificate: bytes,
    key: str,
    password: str | None,
    client_ca: bytes | None,
    crl: bytes | None,
    now_s: float,
) -> _Made:
    own = own_certificate(certificate, tls.certificate, key, str(tls.key), password, now_s)
    context = _context(tls)
    ends_s = {"certificate": own.ends_s}
    try:
        present(context, own)
        if tls.client_ca is None or client_ca is None:
            context.set_verify(SSL.VERIFY_NONE)
            return _Made(context, ends_s)
        authorities = authorities_in(client_ca, tls.client_ca, now_s)
        ends = [each.not_valid_after_utc.timestamp() for each in authorities]
        # One that has ended is often left in the file beside its successor.
        ends_s["client_ca"] = min(each for each in ends if each > now_s)
        store = context.get_cert_store()
        assert store is not None, "a context has a store"
        for each in authorities:
            store.add_cert(crypto.X509.from_cryptography(each))
        # An authority is trusted because the file has it, whether or not its own issuer is there too.
        flags = crypto.X509StoreFlags.PARTIAL_CHAIN
        if tls.crl is not None and crl is not None:
            flags |= crypto.X509StoreFlags.CRL_CHECK
            lists = revocations_in(crl, tls.crl, now_s)
            for revoked in lists:
                store.add_crl(revoked)
            updates = [each.next_update_utc for each in lists]
            ends_s["crl"] = min(each.timestamp() for each in updates if each is not None)
        store.set_flags(flags)
        context.set_verify(
            SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verification(frozenset(tls.peers))
        )
    except (SSL.Error, crypto.Error):
        text = f"{tls.certificate}: TLS does not take these files; see `bridge doctor`"
        raise CertificateRefused("unusable", text) from None
    return _Made(context, ends_s)


def _context(tls: ListenerTls) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION if tls.min_version == "TLSv1.3" else SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS.encode())
    context.set_options(
        SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_COMPRESSION
        | SSL.OP_CIPHER_SERVER_PREFERENCE
        # A session that is resumed is not verified anew: it would outlive its certificate, and a change
        # of `peers` or `client_ca`.
        | SSL.OP_NO_TICKET
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify_depth(VERIFY_DEPTH_MAX)
    return context


def present(context: SSL.Context, own: Own) -> None:
    """Let a context show who the bridge is. Raises SSL.Error where it does not take that."""
    leaf, *between = own.chain
    context.use_certificate(leaf)
    for each in between:
        context.add_extra_chain_cert(each)
    context.use_privatekey(own.key)  # type: ignore[arg-type] # any kind that cryptography reads
    context.check_privatekey()
