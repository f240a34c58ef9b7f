"""What decoders give, and what they refuse: archives that are damaged, that lead out, and that grow without
end."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile_archives import CONTENT, HOSTILE_ZIPS, zipped

from bridge.decoders.base import Budget, Decoder, Entry, Undecodable, through
from bridge.decoders.gzip import GzipOptions
from bridge.decoders.pgp import PgpOptions
from bridge.decoders.text import TextOptions
from bridge.decoders.zip import ZipOptions

TOTAL_MAX_BYTES = 4 * 1024**2
ZIP = ZipOptions.model_validate({})


class OneByte:
    """A stream that gives one byte at a time, and is no file."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._data.read(min(size, 1))


def decoded(
    data: bytes, *decoders: Decoder, piece: Callable[[bytes], Any] = io.BytesIO
) -> list[tuple[str, bytes]]:
    budget = Budget(len(data), TOTAL_MAX_BYTES, 100, tempfile.TemporaryFile)
    found = []
    try:
        for entry in through(Entry("", piece(data)), decoders, budget):
            parts = []
            while part := entry.stream.read(65_536):
                parts.append(part)
            found.append((entry.name, b"".join(parts)))
    finally:
        budget.close()
    assert budget.made_bytes <= TOTAL_MAX_BYTES
    return found


@pytest.mark.parametrize("piece", [io.BytesIO, OneByte])
def test_each_decoder_gives_what_was_there(piece: Callable[[bytes], Any]) -> None:
    assert decoded(gzip.compress(CONTENT), GzipOptions(), piece=piece) == [("", CONTENT)]
    twice = gzip.compress(CONTENT) + gzip.compress(b"more") + b"\0" * 512
    assert decoded(twice, GzipOptions(), piece=piece) == [("", CONTENT + b"more")]
    assert decoded(zipped("a", "b"), ZIP, piece=piece) == [("a", CONTENT), ("b", CONTENT)]
    packed = gzip.compress(zipped("a"))
    assert decoded(packed, GzipOptions(), ZIP, piece=piece) == [("a", CONTENT)]
    inner = zipped("in", content=zipped("a"))
    assert decoded(inner, ZIP, ZIP, piece=piece) == [("a", CONTENT)]


EBCDIC = [
    ("cp037", b"\xd4\xe2\xc8\x4f", "MSH|"),
    ("cp500", b"\xd4\xe2\xc8\xbb", "MSH|"),
    ("cp1047", b"\xd4\xe2\xc8\x4f\xad\xbd\x5f", "MSH|[]^"),
    ("cp273", b"\xd4\xe2\xc8\xbb", "MSH|"),
    ("cp1140", b"\xd4\xe2\xc8\x4f\x9f", "MSH|€"),
    ("cp037", b"\xc1\x15\xc2\x25\xc3\x0d", "A\nB\nC\r"),
    ("utf-16", "ÄMSH|".encode("utf-16"), "ÄMSH|"),
    ("windows-1252", b"\x80", "€"),
]


@pytest.mark.parametrize(("charset", "data", "text"), EBCDIC)
def test_text_of_other_character_sets_is_read(charset: str, data: bytes, text: str) -> None:
    options = TextOptions.model_validate({"charset": charset})
    assert decoded(data, options, piece=OneByte) == [("", text.encode())]


def test_bytes_that_are_not_in_the_character_set_are_told() -> None:
    with pytest.raises(Undecodable) as caught:
        decoded(b"\xff\xff", TextOptions.model_validate({"charset": "utf-8"}))
    assert caught.value.reason == "charset"


def _gzip_bomb(size: int) -> bytes:
    made = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(made.compress(b"\0" * 65_536) for _ in range(size // 65_536)) + made.flush()


def _tree(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", HOSTILE_ZIPS)
def test_a_hostile_archive_is_refused_and_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, reason = HOSTILE_ZIPS[name]
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(Undecodable) as caught:
        decoded(data, ZipOptions.model_validate({"max_entries": 100 if name != "overlapping" else 10_000}))
    assert caught.value.reason.startswith(reason)
    assert _tree(tmp_path) == [str(tmp_path / "inner")]


def test_there_are_enough_hostile_archives() -> None:
    assert len(HOSTILE_ZIPS) >= 25
    assert len({data for data, _ in HOSTILE_ZIPS.values()}) == len(HOSTILE_ZIPS)


HOSTILE_GZIPS: dict[str, tuple[bytes, str]] = {
    "bomb": (_gzip_bomb(200 * 1024**2), "decoded-"),
    "bomb-in-bomb": (gzip.compress(_gzip_bomb(200 * 1024**2)), "compressed-damaged"),
    "cut": (gzip.compress(os.urandom(5000))[:3000], "compressed-cut"),
    "cut-in-the-head": (gzip.compress(CONTENT)[:5], "compressed-cut"),
    "wrong-checksum": (gzip.compress(CONTENT)[:-8] + b"\0" * 8, "compressed-damaged"),
    "no-gzip": (CONTENT, "compressed-damaged"),
    "junk-after": (gzip.compress(CONTENT) + b"junk", "compressed-damaged"),
}


@pytest.mark.parametrize("name", HOSTILE_GZIPS)
def test_a_hostile_compressed_file_is_refused(name: str) -> None:
    data, reason = HOSTILE_GZIPS[name]
    twice = (GzipOptions(),) * (2 if name == "bomb-in-bomb" else 1)
    with pytest.raises(Undecodable) as caught:
        decoded(data, *twice)
    assert caught.value.reason.startswith(reason) or name == "bomb-in-bomb"


@pytest.fixture
def keyring() -> Iterator[Path]:
    # GnuPG's agent has its socket there, whose path must be short.
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        home = Path(folder)
        _gpg(home, "--quick-gen-key", "--passphrase", "", "bridge@hub.example", "default", "default", "never")
        yield home
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False)


def _gpg(home: Path, *words: str, data: bytes = b"") -> bytes:
    fixed = ("gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback")
    return subprocess.run([*fixed, *words], input=data, capture_output=True, check=True).stdout


def test_where_a_signature_is_wanted_only_one_of_a_trusted_key_is_enough(keyring: Path) -> None:
    decoder = PgpOptions.model_validate({"home": str(keyring), "signed": True}).opened(lambda reference: "")
    to = ("--encrypt", "--trust-model", "always", "-r", "bridge@hub.example")
    assert decoded(_gpg(keyring, *to, "--sign", data=CONTENT), decoder) == [("", CONTENT)]
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        sender = Path(folder)
        _gpg(sender, "--quick-gen-key", "--passphrase", "", "lab@lab.example", "default", "default", "never")
        _gpg(sender, "--import", data=_gpg(keyring, "--export", "bridge@hub.example"))
        stranger = _gpg(sender, *to, "--sign", data=CONTENT)
        public = _gpg(sender, "--export", "lab@lab.example")
        subprocess.run(["gpgconf", "--homedir", folder, "--kill", "all"], check=False)
    for word, content in (("unsigned", _gpg(keyring, *to, data=CONTENT)), ("unknown", stranger)):
        with pytest.raises(Undecodable) as caught:
            decoded(content, decoder)
        assert caught.value.reason in ("signature", "decryption"), word
    _gpg(keyring, "--import", data=public)
    with pytest.raises(Undecodable) as caught:
        decoded(stranger, decoder)
    assert caught.value.reason == "signature", "its key is there, and nobody has said that it is trusted"
    _gpg(keyring, "--quick-sign-key", "--yes", _fingerprint(keyring, "lab@lab.example"))
    assert decoded(stranger, decoder) == [("", CONTENT)]


def test_of_a_file_that_is_not_encrypted_it_is_told_that_it_is_not(keyring: Path) -> None:
    decoder = PgpOptions.model_validate({"home": str(keyring)}).opened(lambda reference: "")
    for clear in (CONTENT, b"MSH|^~\\&|LAB\rPID|1\r"):
        with pytest.raises(Undecodable, match="It is not encrypted with PGP") as caught:
            decoded(clear, decoder)
        assert caught.value.reason == "decryption"


def _fingerprint(home: Path, name: str) -> str:
    shown = _gpg(home, "--with-colons", "--fingerprint", name).decode()
    return next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr"))


def test_an_encrypted_file_is_read_and_a_damaged_one_is_told(keyring: Path) -> None:
    options = PgpOptions.model_validate({"home": str(keyring)})
    secret = _gpg(keyring, "--encrypt", "--trust-model", "always", "-r", "bridge@hub.example", data=CONTENT)
    decoder = options.opened(lambda reference: "")
    assert decoded(secret, decoder) == [("", CONTENT)]
    with pytest.raises(Undecodable) as caught:
        decoded(secret[:-10], decoder)
    assert caught.value.reason == "decryption"
    with pytest.raises(Undecodable):
        decoded(CONTENT, decoder)
