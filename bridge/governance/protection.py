"""Ways to let a receiver see less of a value: hidden, replaced by a token, or made coarse. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Final, Literal, get_args

from bridge.canonical.base import Kind

Way = Literal["omit", "mask", "last4", "token", "year", "zip3"]
HIDDEN: Final = "***"
TOKEN_CHARACTERS: Final = 26
"""130 bits of the HMAC, in base32."""
KEY_MIN_CHARACTERS: Final = 32

FITS: Final[Mapping[Way, frozenset[Kind]]] = {
    "omit": frozenset(get_args(Kind)),
    "mask": frozenset({"text", "ref", "texts"}),
    "last4": frozenset({"text", "ref", "texts"}),
    "token": frozenset({"text", "ref", "texts"}),
    "year": frozenset({"date", "datetime", "date_or_datetime"}),
    "zip3": frozenset({"text"}),
}
"""The kinds of field that each way leaves as a value of the same kind."""

ZIP3_SMALL: Final = frozenset(
    {"036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884"}
    | {"890", "893"}
)
"""Areas of at most 20,000 people by the census that 45 CFR 164.514(b)(2)(i)(B) goes by."""


def token(key: bytes, value: str) -> str:
    """The same token for the same value wherever it stands, so that records still belong together.

    HMAC-SHA256 (RFC 2104) under the site's key: who has no key learns nothing, who has it can find the value
    by trying all there are.

    >>> token(b"k", "MR-1") == token(b"k", "MR-1") != token(b"k", "MR-2")
    True
    """
    digest = hmac.digest(key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return "tok_" + base64.b32encode(digest).decode().lower()[:TOKEN_CHARACTERS]


def masked(value: str) -> str:
    """Nothing of it, not even its length."""
    return HIDDEN if value else value


def last4(value: str) -> str:
    """The last four characters, where that is less than half.

    >>> last4("555-12-3456"), last4("1234")
    ('***3456', '***')
    """
    return HIDDEN + value[-4:] if len(value) > 8 else HIDDEN


def year(value: str) -> str:
    """The year of a date; of an instant the beginning of its year, so that it is one still.

    >>> year("1961-02-03"), year("2024-05-06T07:08:09-05:00")
    ('1961', '2024-01-01T00:00:00+00:00')
    """
    return f"{value[:4]}-01-01T00:00:00+00:00" if "T" in value else value[:4]


def zip3(value: str) -> str:
    """The first three digits of a ZIP code, 000 for areas with few people; of anything else nothing.

    >>> zip3("60614-1234"), zip3("03601"), zip3("SW1A 1AA")
    ('606', '000', '000')
    """
    first = value.strip()[:3]
    return first if first.isascii() and first.isdigit() and first not in ZIP3_SMALL else "000"


def protector(way: Way, key: bytes | None) -> Callable[[str], str]:
    """What a way does with a text. A token needs a key."""
    match way:
        case "token":
            assert key is not None, "a token needs a key"
            return lambda value: token(key, value)
        case "last4":
            return last4
        case "year":
            return year
        case "zip3":
            return zip3
    return masked
