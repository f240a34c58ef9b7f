"""XML from outside, as hostile as any bytes: no document type, no entity, nothing fetched, and limits. Pure.

What expands, refers or fetches begins with a document type (XML 1.0 §2.8), so none is read. What remains is
large things: names, attributes and depth are bounded here, tokens by `TOKEN_MAX_BYTES` and how they are fed.
"""

from __future__ import annotations

import re
from typing import Final
from xml.parsers import expat

from bridge.formats.document import NESTING_MAX_LEVELS
from bridge.units import size_text

DEPTH_MAX_LEVELS: Final = NESTING_MAX_LEVELS
ATTRIBUTES_MAX_COUNT: Final = 256
"""Of one element."""
NAMES_MAX_COUNT: Final = 10_000
"""Different names of elements and attributes in one file; they are remembered as long as it is read."""
NAME_MAX_CHARACTERS: Final = 256
TOKEN_MAX_BYTES: Final = 1024**2
"""A tag with its attributes, a comment. Text is no token: it comes in pieces."""
STEP_BYTES: Final = 64 * 1024
"""So much is fed at once: an unfinished token is looked at again each time."""


class XmlRefused(Exception):
    """XML that is not read: ``reason`` is a code. The text is for a person, and holds nothing of it.

    ``at_bytes`` is where a parser was that could say so. One whose listener raises goes on without it.
    """

    def __init__(self, reason: str, text: str, at_bytes: int | None = None) -> None:
        self.reason, self.at_bytes = reason, at_bytes
        super().__init__(text)


OF_FILES: Final = frozenset(
    {"doctype", "unknown-charset", "wrong-charset", "too-many-names", "name-too-long"}
)
"""What is wrong with a file as a whole, wherever it was seen."""
PARSE_ERRORS: Final = (XmlRefused, expat.ExpatError, ValueError, LookupError)
"""What a parser raises on content; `why` says what it means."""


def parser_of(charset: str) -> expat.XMLParserType:
    """A parser that refuses what no file may have, by XmlRefused. ``charset`` is for what is declared wrong.

    Attributes are names and values in turn. Who is told of elements holds them to the limits above, and asks
    `hold_names` after each step.
    """
    parser = expat.ParserCreate(charset or None)
    # From 2.6 on, expat puts off a token that comes in several steps, and with it what stands behind. That is
    # for what looking at it again costs, which steps and `TOKEN_MAX_BYTES` bound here.
    if hasattr(parser, "SetReparseDeferralEnabled"):
        parser.SetReparseDeferralEnabled(False)
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _doctype
    parser.EntityDeclHandler = _doctype
    if not charset:
        parser.XmlDeclHandler = _declared
    return parser


def is_read(charset: str) -> bool:
    """Whether this character set is read: one byte for a character, UTF-8 or UTF-16."""
    if _CHARSETS_READ.fullmatch(charset) is None:
        return False
    try:
        expat.ParserCreate(charset).Parse(_WIDE if _UTF_16.match(charset) else b"<a/>", True)
    except (expat.ExpatError, ValueError, LookupError):
        return False
    return True


def _declared(_: str, charset: str | None, __: int) -> None:
    # Whatever else Python knows as a codec is nothing that a file may choose.
    if charset and _CHARSETS_READ.fullmatch(charset) is None:
        raise _unknown_charset()


def _doctype(*_: object) -> None:
    text = "A document type is declared: none is read, since it can declare entities and name other files."
    raise XmlRefused("doctype", f"{text} The sender must leave it out.")


def hold_names(parser: expat.XMLParserType, known: int) -> int:
    """How many different names there are by now; ``known`` were looked at. Raises XmlRefused."""
    names = parser.intern
    if len(names) == known:
        return known
    if len(names) > NAMES_MAX_COUNT:
        text = f"There are more than {NAMES_MAX_COUNT} different names of elements and attributes."
        raise XmlRefused("too-many-names", text)
    if max(map(len, names)) > NAME_MAX_CHARACTERS:
        raise XmlRefused("name-too-long", f"A name has more than {NAME_MAX_CHARACTERS} characters.")
    return len(names)


def too_deep(parser: expat.XMLParserType | None = None) -> XmlRefused:
    """Elements stand too deep in each other."""
    text = f"Elements stand in each other more than {DEPTH_MAX_LEVELS} deep."
    return XmlRefused("too-deep", text, None if parser is None else parser.CurrentByteIndex)


def too_many_attributes(parser: expat.XMLParserType | None = None) -> XmlRefused:
    """An element has too many attributes."""
    text = f"An element has more than {ATTRIBUTES_MAX_COUNT} attributes."
    return XmlRefused("too-many-attributes", text, None if parser is None else parser.CurrentByteIndex)


def token_too_large() -> XmlRefused:
    """A tag or a comment is too large, or never ends."""
    return XmlRefused("token-too-large", f"A tag or a comment is larger than {size_text(TOKEN_MAX_BYTES)}.")


def why(error: Exception) -> XmlRefused:
    """What a parser raised, as a reason: of expat, and of character sets that it does not read."""
    if isinstance(error, XmlRefused):
        return error
    if not isinstance(error, expat.ExpatError):
        # Several bytes for a character, or a name that Python does not know: ValueError or LookupError.
        return _unknown_charset()
    said = expat.errors.messages.get(error.code) or expat.ErrorString(error.code)
    if error.code in _OF_CHARSETS:
        return XmlRefused("wrong-charset", f"It is not in the character set that it declares. {_CHARSETS}")
    return XmlRefused("not-well-formed", f"This is no well-formed XML: {said}.")


def ends_early(error: expat.ExpatError) -> bool:
    """Whether a parser says no more than that a document ends too early."""
    return error.code in _ENDS_EARLY


def _unknown_charset() -> XmlRefused:
    return XmlRefused("unknown-charset", f"The character set that it declares is not read. {_CHARSETS}")


_CHARSETS_READ: Final = re.compile(
    r"(?i:utf-?8|utf-?16(?:-?[lb]e)?|us-ascii|ascii|iso[-_]?8859[-_]\d{1,2}|latin-?\d|windows-\d{3,4}|cp\d{3,4}"
    r"|koi8-[rtu]|mac-?(?:roman|latin2|cyrillic|greek|turkish))"
)
_UTF_16: Final = re.compile(r"(?i:utf-?16)")
_WIDE: Final = "\ufeff<a/>".encode("utf-16-le")
_CHARSETS: Final = (
    "Name the one that it is in by `charset`; one of several bytes is undone before, as in "
    "`decode: [{text: {charset: shift_jis}}]` with `charset: utf-8`."
)
_OF_CHARSETS: Final = frozenset(
    expat.errors.codes[text]
    for text in (expat.errors.XML_ERROR_UNKNOWN_ENCODING, expat.errors.XML_ERROR_INCORRECT_ENCODING)
)
_ENDS_EARLY: Final = frozenset(
    expat.errors.codes[text]
    for text in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
