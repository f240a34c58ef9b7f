"""The files of a listener's TLS: what is refused with which sentence, and what is taken while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from captured_logs import captured_logs
from certificates import Made, make, revoked
from pydantic import ValidationError

from bridge.errors import CertificateRefused, SecretUnavailable
from bridge.tls.listener import ListenerTls
from bridge.tls.names import allowed_name, peer_name
from bridge.transports.mllp_tls import TlsFiles, make_context
from bridge.units import SecretRef


@dataclass
class Files:
    """A site's files of TLS, all right until a test spoils one."""

    folder: Path
    ca: Made
    server: Made
    options: dict[str, Any]

    def secret(self, reference: SecretRef) -> str:
        try:
            return (self.folder / reference.name).read_text(errors="surrogateescape")
        except OSError:
            raise SecretUnavailable(f"{reference}: it is gone") from None

    def tls(self) -> ListenerTls:
        return ListenerTls.model_validate(self.options)

    def read(self) -> dict[str, float]:
        return dict(make_context(self.tls(), self.secret, time.time()).ends_s)


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Files:
    ca = make(tmp_path, "ca")
    server = make(tmp_path, "server", ca, days=(-1, 20))
    options = {"certificate": server.path, "key": "secret://file/server.key", "client_ca": ca.path}
    return Files(tmp_path, ca, server, options)


def test_good_files_tell_when_they_end(files: Files) -> None:
    files.options["crl"] = revoked(files.folder, files.ca)
    in_days = {name: round((ends_s - time.time()) / 86400) for name, ends_s in files.read().items()}
    assert in_days == {"certificate": 20, "client_ca": 90, "crl": 7}


def test_a_key_with_a_password_opens_with_it(files: Files) -> None:
    make(files.folder, "server", files.ca, password=b"open sesame")
    (files.folder / "password").write_text("open sesame")
    files.options["key_password"] = "secret://file/password"
    assert "certificate" in files.read()


def _server(**options: Any) -> Callable[[Files], object]:
    return lambda files: make(files.folder, "server", files.ca, **options)


def _written(name: str, data: bytes) -> Callable[[Files], object]:
    return lambda files: (files.folder / name).write_bytes(data)


def _with_password(given: str | None) -> Callable[[Files], object]:
    def spoil(files: Files) -> None:
        make(files.folder, "server", files.ca, password=b"right")
        if given is not None:
            (files.folder / "password").write_text(given)
            files.options["key_password"] = "secret://file/password"

    return spoil


def _needless_password(files: Files) -> None:
    (files.folder / "password").write_text("any")
    files.options["key_password"] = "secret://file/password"


def _appended(files: Files) -> None:
    files.server.chained(make(files.folder, "stranger"))


def _expired_list(files: Files) -> None:
    files.options["crl"] = revoked(files.folder, files.ca, days=(-9, -1))


def _no_list(files: Files) -> None:
    files.options["crl"] = files.ca.path


BAD: dict[str, tuple[Callable[[Files], object], str, str]] = {
    "no certificate file": (lambda f: f.server.path.unlink(), "unreadable", "server.pem cannot be read"),
    "a folder": (lambda f: f.options.update(certificate=f.folder), "unreadable", "directory"),
    "not PEM": (_written("server.pem", b"\x30\x82junk"), "not-a-certificate", "holds no certificate in PEM"),
    "cut short": (
        lambda f: f.server.path.write_bytes(f.server.pem[:300]),
        "not-a-certificate",
        "holds no certificate",
    ),
    "a huge file": (_written("server.pem", b"x" * 1024**2 + b"x"), "unreadable", "is larger than"),
    "the key among certificates": (
        lambda f: f.server.path.write_bytes(f.server.pem + f.server.key_path.read_bytes()),
        "key-in-certificate",
        "take the key out",
    ),
    "expired": (_server(days=(-9, -1)), "expired", "has expired at"),
    "not yet valid": (_server(days=(1, 9)), "not-yet-valid", "see whether the clock is right"),
    "another's key": (
        lambda f: f.server.key_path.write_bytes(f.ca.key_path.read_bytes()),
        "key-mismatch",
        "do not belong together",
    ),
    "no key": (
        _written("server.key", b"not a key"),
        "not-a-key",
        "secret://file/server.key is no private key",
    ),
    "a key of other bytes": (_written("server.key", b"\xff\xfe\x00"), "not-a-key", "no private key in PEM"),
    "a password is needed": (_with_password(None), "wrong-password", "name it with key_password"),
    "a wrong password": (_with_password("wrong"), "wrong-password", "key_password does not open it"),
    "a needless password": (_needless_password, "wrong-password", "leave key_password out"),
    "a weak key": (_server(key="RSA-1024"), "weak-key", "key that is too weak"),
    "for clients only": (_server(purpose="client"), "wrong-purpose", "may not be used by servers"),
    "a stranger in the chain": (_appended, "chain-order", "did not issue"),
    "no authority": (lambda f: f.options.update(client_ca=f.server.path), "not-an-authority", "no CA:TRUE"),
    "an expired authority": (
        lambda f: make(f.folder, "ca", days=(-9, -1)),
        "expired",
        "every authority in it has expired",
    ),
    "a weak authority": (lambda f: make(f.folder, "ca", key="RSA-1024"), "weak-key", "too weak"),
    "an old revocation list": (_expired_list, "revocation-list-expired", "fetch the new one"),
    "no revocation list": (_no_list, "not-a-revocation-list", "BEGIN X509 CRL"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_what_is_wrong_and_what_to_do(files: Files, case: str) -> None:
    spoil, reason, words = BAD[case]
    spoil(files)
    with pytest.raises(CertificateRefused) as refused:
        files.read()
    assert refused.value.reason == reason
    assert words in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value)


OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"client_ca": "system"}, "the authorities of the system sign for anybody"),
    ({"client_ca": None, "peers": ["lab.example"]}, "go with `client_ca`"),
    ({"client_ca": None, "crl": "a.crl"}, "go with `client_ca`"),
    ({"peers": ["*"]}, "expected a DNS name"),
    ({"peers": ["a.*.example"]}, "expected a DNS name"),
    ({"peers": ["CN=lab"]}, "expected a DNS name"),
    ({"min_version": "TLSv1.1"}, "TLSv1.2"),
    ({"key": "server.key"}, "never the secret itself"),
    ({"handshake": "1h"}, "less than or equal"),
]


@pytest.mark.parametrize(("change", "words"), OPTIONS)
def test_options_that_make_no_sense_are_refused(files: Files, change: dict[str, Any], words: str) -> None:
    files.options.update(change)
    with pytest.raises(ValidationError) as refused:
        files.tls()
    assert words in str(refused.value)


NAMES = [
    ("lab.example", ["lab.example"], True),
    ("lab.example", ["LAB.example"], True),
    ("a.lab.example", ["*.lab.example"], True),
    ("lab.example", ["*.lab.example"], False),
    ("a.b.lab.example", ["*.lab.example"], False),
    ("alab.example", ["*lab.example"], None),
    ("urn:site:lab", ["urn:site:lab"], True),
    ("urn:SITE:lab", ["urn:site:lab"], False),
    ("https://x.lab.example", ["*.lab.example"], False),
    ("lab.example.", ["lab.example"], False),
]


@pytest.mark.parametrize(("name", "peers", "allowed"), NAMES)
def test_a_name_is_allowed_exactly_or_by_one_label(name: str, peers: list[str], allowed: bool | None) -> None:
    if allowed is None:
        with pytest.raises(ValueError, match="expected a DNS name"):
            peer_name(peers[0])
        return
    assert (allowed_name([name], [peer_name(each) for each in peers]) is not None) == allowed


# While it runs


def shown_by(context: Any) -> bytes:
    """The serial number, in fact the whole certificate, that a context would show."""
    from OpenSSL import SSL

    found = SSL.Connection(context, None).get_certificate()
    assert found is not None
    return bytes(found.get_serial_number().to_bytes(20, "big"))


def test_changed_files_are_taken_and_broken_ones_are_told_once_and_not_taken(files: Files) -> None:
    with captured_logs() as logged:
        held = TlsFiles("adt", files.tls(), files.secret, lambda: int(time.time() * 1e6))
        first = shown_by(held.current())
        assert not held.look_again()
        assert shown_by(held.current()) == first

        files.server.path.write_bytes(b"half written")
        told = [held.look_again() for _ in range(3)]
        assert shown_by(held.current()) == first
        assert "server.pem" in held.not_reloaded
        assert told == [(held.not_reloaded,)] * 3

        renewed = make(files.folder, "server", files.ca, days=(-1, 200))
        assert held.look_again() == ("",)
        assert shown_by(held.current()) == renewed.certificate.serial_number.to_bytes(20, "big") != first
        assert held.not_reloaded == ""
        assert held.ends_s["certificate"] > time.time() + 86400 * 150

        (files.folder / "server.key").unlink()
        [why] = held.look_again()
        assert "server.key" in why
    lines = logged.getvalue().splitlines()
    assert [line.count('"certificate-not-reloaded"') for line in lines] == [1, 0, 1]
    assert '"certificate-reloaded"' in lines[1]


def test_a_broken_file_that_becomes_again_what_it_was_is_in_order(files: Files) -> None:
    held = TlsFiles("adt", files.tls(), files.secret, lambda: int(time.time() * 1e6))
    files.server.path.write_bytes(b"broken")
    assert held.look_again() == (held.not_reloaded,)
    assert held.not_reloaded != ""
    files.server.path.write_bytes(files.server.pem)
    assert not held.look_again()
    assert held.not_reloaded == ""
