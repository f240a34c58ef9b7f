"""What real feeds do to messages, done to synthetic ones on purpose: `bridge generate --odd`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Final

Odd = Callable[[bytes, Random], bytes]


def _lines(body: bytes) -> list[bytes]:
    return body.rstrip(b"\r").split(b"\r")


def _into_text(body: bytes, chance: Random, what: bytes) -> bytes:
    """Put something into the middle of a value that has letters, outside of MSH."""
    head, separator, rest = body.partition(b"\r")
    places = [
        at for at in range(1, len(rest)) if rest[at - 1 : at + 1].isalpha() and rest[at - 1 : at].islower()
    ]
    if not places:
        return body
    at = chance.choice(places)
    return head + separator + rest[:at] + what + rest[at:]


def _delimiters(body: bytes, chance: Random) -> bytes:
    """Other delimiters; what would be one of them is not in synthetic messages."""
    new = chance.choice((b"#*~!%", b"|$~\\&", b"+^~\\&"))
    if any(sign in body for sign in new if sign not in b"|^~\\&"):
        return body
    return body.translate(bytes.maketrans(b"|^~\\&", new))


def _bad_date(body: bytes, chance: Random) -> bytes:
    lines = _lines(body)
    for at, line in enumerate(lines):
        if line.startswith(b"PID|"):
            fields = line.split(b"|")
            if len(fields) > 7:
                fields[7] = chance.choice((b"00000000", b"19800230", b"1980-02-29", b"UNKNOWN", b"198013"))
                lines[at] = b"|".join(fields)
    return b"\r".join(lines) + b"\r"


ESCAPES: Final = (
    rb"\.br\ ", rb"\H\bold\N\ ", rb"\.sp2\ ", rb"\Z01\ ", rb"\C2842\ ", rb"\XC3A9\ ", rb"\X0D\ ",
    rb"C:\MIME\file", rb" 50\ ", rb"\E\R\ ", rb"\QQ\ ", rb"\T\ ", rb"\.ce\ ", rb"\\ ",
)  # fmt: skip

ODDITIES: Final[Mapping[str, Odd]] = {
    "lf": lambda body, _: body.replace(b"\r", b"\n"),
    "crlf": lambda body, _: body.replace(b"\r", b"\r\n"),
    "no-last-cr": lambda body, _: body.rstrip(b"\r"),
    "blank-lines": lambda body, _: body.replace(b"\rPID", b"\r\r\rPID", 1),
    "framed": lambda body, _: b"\x0b" + body + b"\x1c\r",
    "control-z": lambda body, _: body + b"\x1a",
    "byte-order-mark": lambda body, _: b"\xef\xbb\xbf" + body,
    "short-msh-2": lambda body, chance: body.replace(
        rb"|^~\&|", chance.choice((b"|^~|", b"|^~\\|", b"||")), 1
    ),
    "long-msh-2": lambda body, _: body.replace(rb"|^~\&|", rb"|^~\&@|", 1),
    "truncation": lambda body, _: body.replace(rb"|^~\&|", rb"|^~\&#|", 1),
    "delimiters": _delimiters,
    "name-with-blank": lambda body, _: body.replace(b"\rPID|", b"\rPID |", 1),
    "name-alone": lambda body, _: body.rstrip(b"\r") + b"\rZXX\rNTE\r",
    "stray-line": lambda body, _: body.rstrip(b"\r") + b"\rcontinued on the next page\r",
    "escape": lambda body, chance: _into_text(body, chance, chance.choice(ESCAPES).rstrip(b" ")),
    "null": lambda body, _: body.replace(b"|USA^H|", b'|""|', 1).replace(b"^PRN^PH|", b'^""^PH|', 1),
    "blanks-at-end": lambda body, _: body.rstrip(b"\r") + b"|  ",
    "bad-date": _bad_date,
    "charset": lambda body, chance: _into_text(body, chance, chance.choice((b"\xe9", b"\xc3\xa9", b"\x93"))),
    "no-control-id": lambda body, _: b"|".join(
        b"" if number == 9 else field for number, field in enumerate(body.split(b"|"))
    ),
    "two-messages": lambda body, _: body + body,
    "duplicate-delimiters": lambda body, _: body.replace(rb"|^~\&|", rb"|^^\&|", 1),
    "cut": lambda body, chance: body[: chance.randrange(8, len(body))],
}
"""Each by its name; what a message has no place for leaves it as it was."""


def odd(body: bytes, chance: Random) -> tuple[bytes, tuple[str, ...]]:
    """A message with one to three oddities, and their names."""
    names = chance.sample(sorted(ODDITIES), chance.choice((1, 1, 2, 3)))
    for name in names:
        body = ODDITIES[name](body, chance)
    return body, tuple(names)
