"""Messages to test data: nobody in them is who they were, and everything else is as it was. Pure.

What a value is follows from its type in HL7 v2 (HL7 v2.5.1 chapter 2A), and what is not known is taken for free text:

========================  =====================================================================================
names, numbers, places    a pseudonym of the same length and shape, the same for the same value and key
dates and times           moved back by so many days for each patient; precision, time of day and offset stay
free text                 x for each letter and 9 for each digit
codes, numbers, units     as they were
========================  =====================================================================================
"""  # noqa: E501 - a table

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, Literal

from bridge.dictionary.hl7v2 import dictionary
from bridge.formats.base import ReadProblem
from bridge.formats.hl7v2 import Hl7Message, Value
from bridge.formats.hl7v2_escape import escape
from bridge.formats.hl7v2_leaves import Leaf, leaves, text_of

Treatment = Literal["keep", "pseudonym", "shift", "scrub"]

KEY_MIN_BYTES: Final = 16
PLACES_MAX: Final = 20_000
"""Of which it is remembered what is done there."""
_SHIFT_MIN_DAYS: Final = 400
"""More than a year, so that of a date that is only a year nothing stays either."""
_SHIFT_MAX_DAYS: Final = 1_500
_TRIES_MAX: Final = 20
_NOT_A_PATIENT: Final = frozenset({"SS", "PI", "NI", "DL", "AN", "VN", "PPN", "MA", "MC", "PT"})
"""Types of identifiers (HL7 table 0203) by which one patient is not told from all others of a sender."""

_KEPT: Final = frozenset({"ID", "IS", "SI", "NM", "HD", "MSG", "VID", "PT", "PL", "MO", "CP", "CQ", "SN"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF"})
_DATES: Final = frozenset({"DT", "DTM", "TS", "DTN"})
_SYSTEMS_OF_CODES: Final = {1: 3, 2: 3, 4: 6, 5: 6}
"""The components with a code and its text, and the one that names the system that they are of."""
_CODE: Final = re.compile(r"[A-Z0-9][A-Z0-9_.*/+<>=-]{0,11}")
"""What a code of a table looks like; names are seldom all capitals, and these are short."""
_COMPONENTS: Final[dict[str, dict[int, Treatment]]] = {
    "XPN": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym", 9: "pseudonym"},
    "PN": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym"},
    "XCN": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym", 4: "pseudonym"},
    "CN": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym", 4: "pseudonym"},
    "XON": {1: "pseudonym", 3: "pseudonym", 10: "pseudonym"},
    "CX": {1: "pseudonym"},
    "CK": {1: "pseudonym"},
    "EI": {1: "pseudonym"},
    "XAD": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym", 5: "pseudonym", 8: "pseudonym", 9: "pseudonym"},
    "AD": {1: "pseudonym", 2: "pseudonym", 3: "pseudonym", 5: "pseudonym", 8: "pseudonym"},
    "XTN": dict.fromkeys((1, 4, 5, 6, 7, 8, 9, 12), "pseudonym"),
    "TN": {1: "pseudonym"},
}
"""What is to be hidden of the types that are made of components; the rest of such a type is kept."""
_FIELDS: Final[dict[tuple[str, int], Treatment]] = {
    ("MSH", 1): "keep", ("MSH", 2): "keep", ("MSH", 10): "pseudonym", ("MSA", 2): "pseudonym",
    ("PID", 19): "pseudonym", ("PID", 20): "pseudonym", ("IN1", 36): "pseudonym", ("IN1", 49): "pseudonym",
    ("FT1", 2): "pseudonym", ("FT1", 3): "pseudonym", ("MFE", 2): "pseudonym", ("MFE", 4): "pseudonym",
    ("STF", 1): "pseudonym", ("PRA", 1): "pseudonym", ("OBX", 4): "keep",
    ("OBX", 6): "keep", ("OBX", 7): "keep",
    ("FT1", 11): "keep", ("FT1", 12): "keep", ("PID", 23): "pseudonym", ("SCH", 10): "keep",
}  # fmt: skip
"""Fields whose type does not say what they hold."""


@dataclass(frozen=True, slots=True)
class Deidentified:
    """The message as test data, or why it cannot be made into that."""

    body: bytes
    refused: ReadProblem | None = None


def deidentify(message: Hl7Message, key: bytes) -> Deidentified:
    """Test data of a message. With the same key the same people stay the same people, over all messages.

    A message that cannot be read, or not be written again byte for byte, is refused.
    """
    if message.refused is not None:
        return Deidentified(b"", message.refused)
    if not message.parts().reversible:
        why = "its character set has several spellings of one character"
        return Deidentified(b"", ReadProblem("charset-lossy", "MSH-18", why))
    shift = _days(key, _patient_of(message))
    planned = [(leaf, text_of(message, leaf), treatment_of(message, leaf)) for leaf in leaves(message)]
    # Senders put a name where a code should be; what is hidden in one place is hidden in every other.
    hidden = {_bare(text) for _, text, treatment in planned if treatment == "pseudonym"}
    made, end = bytearray(), 0
    for leaf, text, treatment in planned:
        assert leaf.start is not None, "it can be written again"
        made += message.raw[end : leaf.start]
        end = leaf.start + leaf.size
        elsewhere = leaf.segment != "MSH" and len(_bare(text)) > 2 and _bare(text) in hidden
        what: Treatment = "pseudonym" if treatment == "keep" and elsewhere else treatment
        if what == "keep" or not isinstance(text, str):
            made += message.raw[leaf.start : end]
        else:
            changed = _CHANGES[what](text, key, shift)
            made += escape(changed, message.delimiters).encode(message.encoding, "replace")
    return Deidentified(bytes(made + message.raw[end:]))


def _bare(text: Value) -> str:
    return text.casefold() if isinstance(text, str) else ""


def treatment_of(message: Hl7Message, leaf: Leaf) -> Treatment:
    """What is done to a value, by its place and type."""
    if (told := _FIELDS.get((leaf.segment, leaf.field))) is not None:
        return told
    if not leaf.field or leaf.segment.startswith("Z"):
        return "scrub"
    if leaf.segment == "MSH":
        return "shift" if leaf.field == 7 else "scrub" if leaf.field == 8 else "keep"
    segment = message.segments[leaf.index]
    found = segment.value(2) if (leaf.segment, leaf.field) == ("OBX", 5) else None
    varying = found if isinstance(found, str) else ""
    rule = _rule(leaf.segment, leaf.field, leaf.component, message.version, varying)
    if rule in ("code", "table") and leaf.component == 1:
        text = text_of(message, leaf)
        # Of a table's own words, as Booked is, none is anybody's.
        if isinstance(text, str) and text in _table_of(leaf.segment, leaf.field, message.version):
            return "keep"
    if rule == "code":
        return _of_code(message, leaf)
    return _if_code(text_of(message, leaf)) if rule == "table" else rule


@lru_cache(maxsize=PLACES_MAX)
def _rule(
    segment: str, field: int, component: int, version: str, varying: str
) -> Treatment | Literal["code", "table"]:
    """What is done at a place; of a coded field, or one with a table, that depends on the value."""
    names = dictionary()
    element = names.field(segment, field, version)
    if element is None:
        return "scrub"
    part = names.component_of(segment, field, component, version, varying)
    of_part = "" if part is None else part.data_type
    newest = names.field(segment, field)
    kinds = [varying] if varying else [element.data_type, "" if newest is None else newest.data_type]
    for kind in kinds:
        if kind in _DATES or (kind and of_part in _DATES):
            return "shift"
        if kind in _CODED:
            return "code"
        if kind in _COMPONENTS:
            return _COMPONENTS[kind].get(component, "keep")
        if kind in _KEPT:
            return "table" if kind in ("ID", "IS") else "keep"
    return "shift" if of_part in _DATES else "keep" if of_part in _KEPT else "scrub"


@lru_cache(maxsize=PLACES_MAX)
def _table_of(segment: str, field: int, version: str) -> frozenset[str]:
    """The codes of a field's own HL7 table, in its version or else in the newest."""
    names = dictionary()
    for element in (names.field(segment, field, version), names.field(segment, field)):
        if element is not None and (table := names.table(element.table)) is not None:
            return frozenset(table.codes)
    return frozenset()


def _of_code(message: Hl7Message, leaf: Leaf) -> Treatment:
    """A code and its text stay where their system is told; else only what looks like a code."""
    system = _SYSTEMS_OF_CODES.get(leaf.component)
    if system is None:
        return "scrub" if leaf.component == 9 else "keep"
    segment = message.segments[leaf.index]
    if segment.value(leaf.field, leaf.repetition, system):
        return "keep"
    return _if_code(text_of(message, leaf)) if leaf.component in (1, 4) else "scrub"


def _if_code(text: Value) -> Treatment:
    return "keep" if isinstance(text, str) and _CODE.fullmatch(text) else "scrub"


_CHANGES: Final[dict[Treatment, Callable[[str, bytes, timedelta], str]]] = {
    "pseudonym": lambda text, key, _: pseudonym(text, key),
    "shift": lambda text, _, shift: shifted(text, shift),
    "scrub": lambda text, _, __: scrubbed(text),
}


def pseudonym(text: str, key: bytes) -> str:
    """Another text of the same shape: letters for letters, digits for digits. The same for the same key.

    Capitals do not tell people apart, so ``MARLOW`` and ``Marlow`` become the same name.

    >>> pseudonym("Marlow", b"k" * 16) == pseudonym("MARLOW", b"k" * 16).capitalize()
    True
    >>> len(pseudonym("(512)555-0142", b"k" * 16))
    13
    """
    for attempt in range(_TRIES_MAX):
        stream = _stream(key, f"{attempt}/{text.casefold()}", len(text))
        made = "".join(_like(sign, byte) for sign, byte in zip(text, stream, strict=True))
        if made.casefold() != text.casefold():
            return made
    return made


def _like(sign: str, byte: int) -> str:
    if sign.isalpha():
        letter = chr(ord("a") + byte % 26)
        return letter.upper() if sign.isupper() else letter
    if sign.isdigit():
        # A number that begins with no zero keeps its length, whoever reads it.
        return str(byte % 10) if sign == "0" else str(1 + byte % 9)
    return sign


def _stream(key: bytes, text: str, size: int) -> bytes:
    found = b""
    block = 0
    while len(found) < size:
        found += hmac.digest(key, f"{block}/{text}".encode("utf-8", "replace"), hashlib.sha256)
        block += 1
    return found[:size]


def scrubbed(text: str) -> str:
    """Text of which nothing is left but its shape.

    >>> scrubbed("Seen by Dr. O'Neil, 4 pm")
    "Xxxx xx Xx. X'Xxxx, 9 xx"
    """
    return "".join(
        ("X" if sign.isupper() else "x") if sign.isalpha() else "9" if sign.isdigit() else sign
        for sign in text
    )


_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?P<month>\d{2})?(?P<day>\d{2})?(?P<rest>(?:\d.*|[+-].*)?)", re.DOTALL
)


def shifted(text: str, by: timedelta) -> str:
    """A date or time so much earlier, as precise as it was; one that does not exist is scrubbed.

    >>> shifted("20240229101500-0600", timedelta(days=366)), shifted("1980", timedelta(days=400))
    ('20230228101500-0600', '1979')
    >>> shifted("19800230", timedelta(days=400))
    '99999999'
    """
    match = _DATE.fullmatch(text)
    if match is None:
        return scrubbed(text)
    year, month, day = match["year"], match["month"], match["day"]
    try:
        # Of what is not told the middle is taken, so that it moves about as far.
        moved = date(int(year), int(month or 7), int(day or (15 if month else 1))) - by
    except (ValueError, OverflowError):
        return scrubbed(text)
    made = f"{moved.year:04}" + (f"{moved.month:02}" if month else "") + (f"{moved.day:02}" if day else "")
    return made + match["rest"]


def _days(key: bytes, patient: str) -> timedelta:
    number = int.from_bytes(_stream(key, f"shift/{patient}", 8), "big")
    return timedelta(days=_SHIFT_MIN_DAYS + number % (_SHIFT_MAX_DAYS - _SHIFT_MIN_DAYS))


def _patient_of(message: Hl7Message) -> str:
    """The number by which one patient is told, wherever in PID-3 it stands; '' where there is none."""
    for segment in message.named("PID"):
        numbers = []
        for repetition in segment.each_repetition(3):
            number, kind = repetition.value(1), repetition.value(1, 1, 5)
            if isinstance(number, str):
                numbers.append((kind in _NOT_A_PATIENT, kind not in ("MR", "MRN"), number))
        if numbers:
            return min(numbers)[2].casefold()
    return ""
