"""What the HTTP tests share: served APIs and token servers, certificates, destinations that are closed."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.destinations.base import CredentialOptions
from bridge.destinations.http_api import HttpApi, HttpApiOptions, HttpOperation, build
from bridge.destinations.in_loop import in_loop
from bridge.message import Record
from bridge.units import SecretRef

NOW_US = 1_700_000_000_000_000
KEY = "delivery-1.0"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OPERATIONS: dict[str, dict[str, Any]] = {
    "putEncounter": {
        "method": "PUT",
        "path": "/encounters/{key}",
        "send_only": ["key", "patient", "ward"],
    },
    "postNote": {
        "method": "POST",
        "path": "/notes",
        "send_only": ["patient", "ward"],
        "nulls": "omit",
        "errors": {410: "not_found"},
    },
    "cancelEncounter": {"method": "DELETE", "path": "/encounters/{key}", "errors": {404: "delivered"}},
}
ENCOUNTER = Record("encounter", "V-1", "upsert", {"patient": "P-1", "ward": None, "ssn": "not to be sent"})


def no_secrets(reference: SecretRef) -> str:
    raise LookupError(reference.name)


def operations(declared: Mapping[str, Mapping[str, Any]] = OPERATIONS) -> dict[str, HttpOperation]:
    return {name: HttpOperation.model_validate(each) for name, each in declared.items()}


SM2_KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqBHM9VAYItBG0wawIBAQQgqSdRQQZKTkJ157DQ
m6+IBX1BgBy81xMmJumarOY06EqhRANCAATN/Dmb1v+oKGkzw4TGM5XS7eq4ksho
bUjYU+/ICiVKYWoPqCevFVlj/OaFVgZbduJFGPdCklyMRrGmvefytSsJ
-----END PRIVATE KEY-----
"""
"""Of a curve that the library knows by no name; made for the tests alone."""


class Server(Protocol):
    async def start(self, *, tls: ssl.SSLContext | None = None) -> str: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]


class TokenServer:
    """A token server: gives ``token-1``, ``token-2`` and so on, but for the answers that were planted.

    While ``open`` is not set, requests wait.
    """

    def __init__(self, *planted: web.Response) -> None:
        self.asked: list[TokenRequest] = []
        self.planted = list(planted)
        self.lifetime_s: Any = 3600
        self.same = False
        self.open = asyncio.Event()
        self.open.set()
        self._runner: web.ServerRunner | None = None

    async def start(self, *, tls: ssl.SSLContext | None = None) -> str:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.2)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        return f"{'https' if tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self.open.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        form = dict(parse_qsl(await request.text(), strict_parsing=True, keep_blank_values=True))
        self.asked.append(TokenRequest(request.method, request.raw_path, dict(request.headers), form))
        number = 1 if self.same else len(self.asked)
        await self.open.wait()
        if self.planted:
            return self.planted.pop(0)
        lifetime = {} if self.lifetime_s is None else {"expires_in": self.lifetime_s}
        return web.json_response({"access_token": f"token-{number}", "token_type": "Bearer", **lifetime})


@asynccontextmanager
async def serving(api: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    url: str = await in_loop(api.start(tls=tls))
    try:
        yield url
    finally:
        await in_loop(api.stop())


@asynccontextmanager
async def calling(
    url: str,
    *,
    credential: CredentialOptions | None = None,
    secrets: Callable[[SecretRef], str] = no_secrets,
    now_us: Callable[[], int] = lambda: NOW_US,
    **options: Any,
) -> AsyncIterator[HttpApi]:
    destination = build(
        HttpApiOptions.model_validate({"base_url": url, **options}),
        operations(),
        credential,
        secrets,
        now_us,
    )
    try:
        yield destination
    finally:
        await destination.close()


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, as objects and as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_path: Path
    key_path: Path


def issue(
    folder: Path,
    name: str,
    *,
    by: Issued | None = None,
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1"),
    days: tuple[int, int] = (-1, 1),
) -> Issued:
    """A certificate of an authority, or an authority itself; ``days`` from now, first and last."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=days[0]))
        .not_valid_after(now + dt.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if by is not None:
        names = [_general_name(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    certificate = builder.sign(by.key if by else key, hashes.SHA256())
    certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return Issued(certificate, key, certificate_path, key_path)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def server_context(server: Issued, *, client_ca: Issued | None = None, tls13: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_3 if tls13 else ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server.certificate_path, server.key_path)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca.certificate_path)
    return context


@contextmanager
def telling(context: ssl.SSLContext) -> Iterator[str]:
    """A server for one connection whose handshake fails, and which says so, as OpenSSL's own servers do.

    asyncio's TLS drops the alert that OpenSSL made, so it cannot stand for such a server.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            accepted, _ = listening.accept()
            accepted.settimeout(5)
            secured = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
            with secured:
                with suppress(OSError):
                    secured.do_handshake()
                with socket.socket(fileno=secured.detach()) as plain, suppress(OSError):
                    plain.settimeout(5)
                    plain.shutdown(socket.SHUT_WR)
                    while plain.recv(65_536):
                        pass

        thread = threading.Thread(target=refuse)
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()
