"""Functions on text."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

from bridge.mapping.values import TEXT_MAX_BYTES, ValueRefused, bounded_list, bounded_text
from bridge.units import size_text


def trim(text: str) -> str:
    """Without blanks at both ends.

    >>> trim("  DOE ")
    'DOE'
    """
    return text.strip()


def upper(text: str) -> str:
    """In capitals.

    >>> upper("Doe")
    'DOE'
    """
    return text.upper()


def lower(text: str) -> str:
    """In small letters.

    >>> lower("Doe")
    'doe'
    """
    return text.lower()


def title(text: str) -> str:
    """Each word with a capital first; letters after an apostrophe or hyphen too.

    >>> title("O'NEIL-SMITH")
    "O'Neil-Smith"
    """
    return text.title()


def substr(text: str, start: int, length: int | None = None) -> str:
    """``length`` characters from the ``start``-th on, which counts from 1; to the end without a length.

    >>> substr("20240102", 5, 2)
    '01'
    """
    if start < 1:
        raise ValueRefused("R020", "substr counts from 1")
    end = None if length is None else start - 1 + max(length, 0)
    return text[start - 1 : end]


def left(text: str, length: int) -> str:
    """The first ``length`` characters.

    >>> left("78701-1234", 5)
    '78701'
    """
    return text[: max(length, 0)]


def right(text: str, length: int) -> str:
    """The last ``length`` characters.

    >>> right("900112233", 4)
    '2233'
    """
    return text[-length:] if length > 0 else ""


def pad(text: str, length: int, fill: str) -> str:
    """Filled up on the left to ``length`` characters; a longer text is left as it is.

    >>> pad("42", 6, "0")
    '000042'
    """
    if length > TEXT_MAX_BYTES or len(fill) != 1:
        raise ValueRefused("R040", "pad takes one character to fill with, and a length within the text limit")
    return bounded_text(text.rjust(length, fill))


def replace(text: str, old: str, new: str) -> str:
    """With every ``old`` replaced by ``new``. An empty ``old`` replaces nothing.

    >>> replace("A-B-C", "-", "")
    'ABC'
    """
    if not old:
        return text
    if len(new) > len(old) and len(text) + text.count(old) * (len(new) - len(old)) > TEXT_MAX_BYTES:
        raise ValueRefused("R040", f"a text would be larger than {size_text(TEXT_MAX_BYTES)}")
    return bounded_text(text.replace(old, new))


def digits(text: str) -> str:
    """Only the digits 0 to 9.

    >>> digits("(512)555-0100")
    '5125550100'
    """
    return "".join(character for character in text if "0" <= character <= "9")


def letters(text: str) -> str:
    """Only the letters, of any script.

    >>> letters("3 West")
    'West'
    """
    return "".join(character for character in text if character.isalpha())


def strip_zeros(text: str) -> str:
    """Without zeros at the start; one zero is left of a text that has nothing else.

    >>> strip_zeros("0012345"), strip_zeros("000")
    ('12345', '0')
    """
    return text.lstrip("0") or text[-1:]


def split(text: str, separator: str) -> list[str]:
    """The pieces between separators. An empty separator splits nothing.

    >>> split("A;B", ";")
    ['A', 'B']
    """
    return bounded_list(text.split(separator) if separator else [text])


def contains(text: str, part: str) -> bool:
    """Whether ``part`` stands anywhere in the text.

    >>> contains("3 WEST", "WEST")
    True
    """
    return part in text


def starts_with(text: str, part: str) -> bool:
    """Whether the text begins with ``part``.

    >>> starts_with("V-77", "V-")
    True
    """
    return text.startswith(part)


def length(text: str) -> Decimal:
    """How many characters the text has.

    >>> length("V-77")
    Decimal('4')
    """
    return Decimal(len(text))


def normalize_space(text: str) -> str:
    """Runs of blanks, tabs and line ends become one blank; none at the ends.

    >>> normalize_space(" MARY   ANN ")
    'MARY ANN'
    """
    return " ".join(text.split())


def ascii_fold(text: str) -> str:
    """With letters of ASCII in the place of those with accents; what has no such letter is left out.

    >>> ascii_fold("Müller, Ærø Ståhl")
    'Muller, AEro Stahl'
    """
    written = "".join(_FOLDED.get(character, character) for character in text)
    return bounded_text(unicodedata.normalize("NFKD", written).encode("ascii", "ignore").decode("ascii"))


_FOLDED = {
    "ß": "ss",
    "Æ": "AE",
    "æ": "ae",
    "Ø": "O",
    "ø": "o",
    "Œ": "OE",
    "œ": "oe",
    "Ł": "L",
    "ł": "l",
    "Đ": "D",
    "đ": "d",
    "Þ": "Th",
    "þ": "th",
}
"""Letters that Unicode does not take apart."""
