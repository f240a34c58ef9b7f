"""Which character set an HL7 v2 message is in, and why.

The order: what the channel declares, else what the first bytes show (UTF-16, UTF-32, a byte order mark),
else MSH-18 by HL7 table 0211, else UTF-8 if it is valid, else the channel's fallbacks, else Latin-1, which
always decodes. A decision that nobody declared is a problem of the message, so that it can be seen.

Switching between character sets by escape sequences of ISO 2022, as MSH-18 with several names announces it
(HL7 v2.5.1 §2.15.9.18), is read for Japanese. A message that switches between others is refused: its names
would come out as other names.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from bridge.formats.base import ReadProblem

FROM_MESSAGE: Final = "from-message"
LAST_RESORT: Final = "iso8859-1"
"""Latin-1 gives every byte a character, so it always decodes and always encodes back."""


@dataclass(frozen=True, slots=True)
class Charset:
    """What a channel says: ``declared`` is ``from-message`` or a codec; ``fallback`` is tried in order.

    ``aliases`` are names in MSH-18 that the channel's senders invented, with the codec that they mean.
    """

    declared: str = FROM_MESSAGE
    fallback: tuple[str, ...] = ("utf-8", "windows-1252")
    aliases: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a message, the codec that gave it, and whether encoding it again gives the bytes.

    ``decided_by`` says whence the codec: ``channel``, ``first-bytes``, ``msh-18``, ``alias`` (MSH-18 with a
    name of the channel's), ``default`` (ASCII, as an empty MSH-18 says), ``fallback``.
    """

    text: str
    codec: str
    reversible: bool
    problems: tuple[ReadProblem, ...]
    decided_by: str = "msh-18"
    refused: ReadProblem | None = None


# HL7 table 0211, and the names that vendors write instead; letters and digits only, upper case.
TABLE_0211: Final[dict[str, str]] = {
    "ASCII": "ascii",
    "USASCII": "ascii",
    "UNICODE": "utf-8",
    "UNICODEUTF8": "utf-8",
    "UTF8": "utf-8",
    "UNICODEUTF16": "utf-16",
    "UTF16": "utf-16",
    "UNICODEUTF32": "utf-32",
    "UTF32": "utf-32",
    "GB180302000": "gb18030",
    "GB18030": "gb18030",
    "GB2312": "gb18030",
    "BIG5": "big5",
    "KSX1001": "euc_kr",
    "EUCKR": "euc_kr",
    "SHIFTJIS": "cp932",
    "SJIS": "cp932",
    "MS932": "cp932",
    "EUCJP": "euc_jp",
    "ISOIR6": "ascii",
    "ISOIR14": "iso2022_jp_ext",
    "ISOIR13": "iso2022_jp_ext",
    "ISOIR87": "iso2022_jp_ext",
    "ISOIR159": "iso2022_jp_ext",
    "ISO2022JP": "iso2022_jp_ext",
    "LATIN1": "iso8859-1",
    "ANSI": "cp1252",
}
for _part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16):
    TABLE_0211[f"8859{_part}"] = TABLE_0211[f"ISO8859{_part}"] = f"iso8859-{_part}"
for _page in (874, *range(1250, 1259)):
    TABLE_0211[f"WINDOWS{_page}"] = TABLE_0211[f"CP{_page}"] = f"cp{_page}"

_ONE_TO_ONE: Final = frozenset(
    {"ascii", "utf-8", *(f"utf-{bits}-{end}" for bits in (16, 32) for end in ("le", "be"))}
    | {codec for codec in TABLE_0211.values() if codec.startswith(("iso8859-", "cp125"))}
)
_WIDE: Final[tuple[tuple[bytes, str], ...]] = (
    (b"M\0\0\0S\0\0\0", "utf-32-le"),
    (b"\0\0\0M\0\0\0S", "utf-32-be"),
    (b"M\0S\0H\0", "utf-16-le"),
    (b"\0M\0S\0H", "utf-16-be"),
)
_NOT_A_NAME: Final = re.compile(rb"[^0-9A-Za-z]+")
_DESIGNATION: Final = re.compile(rb"\x1b(?:\$[()*+\-./]?|[()*+\-./])[!-~]")
"""An escape sequence of ISO 2022 that names the set of the characters after it."""


def wide_codec(start: bytes) -> str | None:
    """The codec of a message whose characters have two or four bytes each, told by its first bytes."""
    return next((codec for pattern, codec in _WIDE if start.startswith(pattern)), None)


def named_codec(name: bytes) -> str | None:
    """The codec for one repetition of MSH-18, or None for a name that is not known.

    >>> named_codec(b"8859/1"), named_codec(b"UNICODE UTF-8"), named_codec(b"KLINGON")
    ('iso8859-1', 'utf-8', None)
    """
    return TABLE_0211.get(_bare(name))


def _bare(name: bytes) -> str:
    return _NOT_A_NAME.sub(b"", name).upper().decode("ascii")


@lru_cache(maxsize=64)
def _meant(aliases: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {_bare(name.encode("utf-8", "replace")): known_codec(codec) or codec for name, codec in aliases}


@lru_cache(maxsize=64)
def known_codec(name: str) -> str | None:
    """The name under which Python knows the text codec ``name``; None where there is none."""
    try:
        codec = codecs.lookup(name).name
        "MSH".encode(codec)
    except (LookupError, ValueError):
        return None
    return {"utf-8-sig": "utf-8"}.get(codec, codec)


def decode(body: bytes, charset: Charset, named: bytes, repetition: bytes, *, marked: bool) -> Decoded:
    """The text of ``body``, which starts with MSH; never raises.

    ``named`` is MSH-18 as raw bytes and ``repetition`` the separator of its repetitions; ``marked`` tells
    that a UTF-8 byte order mark stood before.
    """
    names = [name for name in named.split(repetition) if name.strip()]
    alias = _by_alias(names, charset) if charset.aliases else []
    if charset.declared == FROM_MESSAGE and not marked and body.startswith(b"MSH") and not alias:
        plain = _plain_codec(named)
        if plain is not None and (text := _try(body, plain)) is not None:
            return Decoded(text, plain, True, (), "msh-18" if named else "default")
    problems: list[ReadProblem] = []
    wide = wide_codec(body)
    sources = (
        ("channel", _by_channel(charset, wide)),
        ("first-bytes", [wide] if wide is not None else []),
        ("first-bytes", ["utf-8"] if marked else []),
        ("alias", alias),
        ("msh-18", _by_message(names, problems)),
    )
    declared = next((found for _, found in sources if found), [])
    tried = [
        *sources,
        ("fallback", [known_codec(name) or name for name in ("utf-8", *charset.fallback, LAST_RESORT)]),
    ]
    decided_by, codec, text = _first_that_fits(body, tried)
    if codec not in declared:
        problems.append(_undeclared(codec, declared=bool(declared), named=bool(named)))
    reversible = codec in _ONE_TO_ONE or _encodes_back(text, codec, body)
    if not reversible:
        problem = ReadProblem("charset-lossy", "", f"some characters have two spellings in {codec}")
        problems.append(problem)
    refused = None if decided_by == "channel" else _switched(body, names, codec, charset)
    return Decoded(text, codec, reversible, tuple(problems), decided_by, refused)


@lru_cache(maxsize=256)
def _plain_codec(named: bytes) -> str | None:
    """The codec for the usual MSH-18: nothing, or one name of a set without switching or second spellings."""
    codec = named_codec(named) if named else "ascii"
    return codec if codec in _ONE_TO_ONE else None


def _by_channel(charset: Charset, wide: str | None) -> list[str]:
    if charset.declared == FROM_MESSAGE:
        return []
    codec = known_codec(charset.declared) or charset.declared
    # `utf-16` leaves the byte order open; the first bytes tell it.
    return [wide] if wide is not None and wide.startswith(codec) else [codec]


def _by_alias(names: list[bytes], charset: Charset) -> list[str]:
    meant = _meant(charset.aliases)
    return [meant[bare] for name in names[:1] if (bare := _bare(name)) in meant]


def _switched(body: bytes, names: list[bytes], codec: str, charset: Charset) -> ReadProblem | None:
    """Why a message that changes its character set on the way cannot be read, or None."""
    if codec.startswith("iso2022") or _DESIGNATION.search(body) is None:
        return None
    meant = _meant(charset.aliases)
    if len(names) < 2 and all(named_codec(name) or _bare(name) in meant for name in names):
        return None
    text = (
        "it switches character sets by ISO 2022 escape sequences, of which Japanese alone can be read: have "
        "the sender use UNICODE UTF-8, or name the set under `charset` of the channel's format"
    )
    return ReadProblem("iso-2022-unreadable", "MSH-18", text)


def _by_message(names: list[bytes], problems: list[ReadProblem]) -> list[str]:
    found = [codec for name in names if (codec := named_codec(name)) is not None]
    switching = [codec for codec in found if codec.startswith("iso2022")]
    if switching or len(names) > 1:
        text = "several character sets with ISO 2022 switching are named: check how names were read"
        problems.append(ReadProblem("iso-2022", "MSH-18", text))
    return (switching or found)[:1]


def _first_that_fits(body: bytes, tried: Iterable[tuple[str, list[str]]]) -> tuple[str, str, str]:
    for decided_by, found in tried:
        for codec in found:
            if (text := _try(body, codec)) is not None:
                return decided_by, codec, text
    return "fallback", LAST_RESORT, body.decode(LAST_RESORT)


def _try(body: bytes, codec: str) -> str | None:
    try:
        text = body.decode(codec)
    except (LookupError, ValueError):
        return None
    return text if text.startswith("MSH") else None


def _encodes_back(text: str, codec: str, body: bytes) -> bool:
    try:
        return text.encode(codec) == body
    except (LookupError, ValueError):
        return False


def _undeclared(codec: str, *, declared: bool, named: bool) -> ReadProblem:
    if declared:
        text = f"the bytes are not in the declared character set; read as {codec}"
        return ReadProblem("charset-mismatch", "MSH-18", text)
    if named:
        text = f"the character set is not one of HL7 table 0211 that can be read; read as {codec}"
        return ReadProblem("charset-unknown", "MSH-18", text)
    return ReadProblem("charset-assumed", "MSH-18", f"no character set is declared; read as {codec}")
