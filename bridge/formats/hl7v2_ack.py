"""Acknowledgements: what is taken from a message's MSH, and the answer built from it.

The rules are HL7 v2.5.1 §2.9.2 (original mode) and §2.9.3 (enhanced mode): the answer goes back from the
receiving application to the sending one, repeats the sender's processing ID and version, and names the
sender's control ID in MSA-2 exactly as it came. Nothing of the message is decoded or parsed for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

from bridge.formats.hl7v2_charset import wide_codec
from bridge.formats.hl7v2_delimiters import STANDARD, Delimiters, declared_delimiters
from bridge.formats.hl7v2_escape import escape
from bridge.formats.hl7v2_header import header_fields, lead_size

VERSION_WHEN_UNKNOWN: Final = b"2.5.1"
PROCESSING_ID_WHEN_UNKNOWN: Final = b"P"
WIDE_HEADER_MAX_BYTES: Final = 65_536
"""How much of a message in UTF-16 or UTF-32 is looked at: its MSH is decoded for the answer."""

_EMPTY: Final = b""
_STANDARD_CHARACTERS: Final = b"^~\\&"
_FIELDS: Final = 20

TABLE_0357: Final[dict[str, str]] = {
    "0": "Message accepted",
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357, message error condition codes, as of version 2.5.1."""


class AckCode(StrEnum):
    """HL7 table 0008: application (original or enhanced mode) and commit (enhanced mode) codes."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"


TABLE_0008: Final[dict[AckCode, str]] = {
    AckCode.AA: "Application accept: the receiver has the message, and the sender is done with it.",
    AckCode.AE: "Application error: the receiver could not process it now; the sender has it still.",
    AckCode.AR: "Application reject: it must not come again as it is: its type, version or processing ID is "
    "not taken, it is too large, or it cannot be read.",
    AckCode.CA: "Commit accept, in enhanced mode: the message is kept safely; an application's answer may "
    "follow.",
    AckCode.CE: "Commit error, in enhanced mode: the message could not be kept now; the sender has it still.",
    AckCode.CR: "Commit reject, in enhanced mode: it must not come again as it is.",
}
"""What each code tells a sender, after HL7 v2.5.1 §2.9.2 and §2.9.3."""


@dataclass(frozen=True, slots=True)
class AckError:
    """What an ERR segment says. ``code`` is of HL7 table 0357; ``text`` is for the sender's operator.

    ``location`` is a path: ``PID``, ``PID-3``, ``PID-3.1``, ``PID[2]-3[1].4.2``; any other text is left out.
    """

    code: str
    text: str
    location: str = ""


class MshPeek(NamedTuple):
    """MSH as raw bytes, undecoded and unescaped; b"" for what is absent.

    A named tuple and no dataclass, because one is made for every message before it is answered.

    ``readable`` is False where the bytes hold no MSH with usable delimiters; then the fields are empty and
    the delimiters the standard's. ``wide`` names the codec of a sender that uses UTF-16 or UTF-32: the fields
    are then UTF-8, and the answer is in that codec.
    """

    field_separator: bytes = b"|"
    encoding_characters: bytes = _STANDARD_CHARACTERS
    sending_application: bytes = _EMPTY
    sending_facility: bytes = _EMPTY
    receiving_application: bytes = _EMPTY
    receiving_facility: bytes = _EMPTY
    message_type: bytes = _EMPTY
    trigger_event: bytes = _EMPTY
    control_id: bytes = _EMPTY
    processing_id: bytes = _EMPTY
    version: bytes = _EMPTY
    accept_acknowledgement: bytes = _EMPTY
    application_acknowledgement: bytes = _EMPTY
    charset: bytes = _EMPTY
    readable: bool = False
    wide: str = ""
    sequence_number: bytes = _EMPTY

    @property
    def message_code_event(self) -> str:
        """``ADT^A01``; the code alone where there is no event, '' where there is no MSH-9."""
        separator = _delimiters_of(self).component.encode("ascii")
        code = self.message_type.split(separator, 1)[0].decode("latin-1")
        return f"{code}^{self.trigger_event.decode('latin-1')}" if self.trigger_event else code


_UNREADABLE: Final = MshPeek()


def peek(body: bytes) -> MshPeek:
    """MSH of the first message in ``body``; never raises, and reads no further than that segment."""
    if not body.startswith(b"MSH"):
        body = body[lead_size(body) :]
        if (wide := wide_codec(body)) is not None:
            start = body[:WIDE_HEADER_MAX_BYTES].decode(wide, "ignore")
            return _peek(start.encode("utf-8", "ignore"), wide)
    return _peek(body, "")


def _peek(body: bytes, wide: str) -> MshPeek:
    component = b"^"
    if not body.startswith(b"MSH|^~\\&|"):
        delimiters = _delimiters(body) if body.startswith(b"MSH") else None
        if delimiters is None:
            return _UNREADABLE
        component = delimiters.component.encode("ascii")
    fields = header_fields(body)
    count = len(fields)
    if count < _FIELDS:
        fields += [_EMPTY] * (_FIELDS - count)
    message_type = fields[8]
    types = message_type.split(component, 2)
    return MshPeek(
        body[3:4],
        fields[1],
        fields[2],
        fields[3],
        fields[4],
        fields[5],
        message_type,
        types[1] if len(types) > 1 else _EMPTY,
        fields[9],
        fields[10],
        fields[11],
        fields[14],
        fields[15],
        fields[17],
        True,
        wide,
        fields[12],
    )


def _delimiters(body: bytes) -> Delimiters | None:
    start = body[:64].decode("latin-1")
    if len(start) < 4:
        return None
    line = re.split(r"[\r\n\x1c]", start[4:], maxsplit=1)[0]
    return declared_delimiters(start[3], line.split(start[3], 1)[0][:6])


def _delimiters_of(peeked: MshPeek) -> Delimiters:
    if peeked.encoding_characters == _STANDARD_CHARACTERS and peeked.field_separator == b"|":
        return STANDARD
    separator = peeked.field_separator
    return _delimiters(b"MSH" + separator + peeked.encoding_characters + separator) or STANDARD


def acknowledge(
    peeked: MshPeek,
    code: AckCode,
    *,
    control_id: str,
    at_us: int,
    error: AckError | None = None,
    asks: tuple[bytes, bytes] | None = None,
) -> bytes:
    """The answer to a message, in the sender's own delimiters; every segment ends with CR.

    ``control_id`` is ours and becomes MSH-10; ``at_us`` becomes MSH-7, in UTC. ERR is written where ``error``
    is given: from version 2.5 on with ERR-2 (where), ERR-3 (HL7 table 0357), ERR-4 and ERR-8 (the text),
    before that as ERR-1.4 and MSA-3. A sender whose MSH cannot be read gets the standard's delimiters and an
    empty MSA-2. MSH-11 and MSH-12, which an answer must have, are P and 2.5.1 where the sender gave none.
    ``asks`` becomes MSH-15 and MSH-16 of an application acknowledgement in enhanced mode.
    """
    separator = peeked.field_separator
    delimiters = _delimiters_of(peeked)
    component = delimiters.component.encode("ascii")
    version = peeked.version or VERSION_WHEN_UNKNOWN
    numbers = _version_numbers(version.split(component, 1)[0])
    message_type = b"ACK"
    if peeked.trigger_event:
        message_type += component + peeked.trigger_event
        if numbers >= (2, 3, 1):
            # MSH-9.3, the message structure, came with version 2.3.1.
            message_type += component + b"ACK"
    header = [
        b"MSH",
        peeked.encoding_characters,
        peeked.receiving_application,
        peeked.receiving_facility,
        peeked.sending_application,
        peeked.sending_facility,
        _timestamp(at_us // 1_000_000),
        _EMPTY,
        message_type,
        _ascii(control_id, delimiters),
        peeked.processing_id or PROCESSING_ID_WHEN_UNKNOWN,
        version,
    ]
    if asks is not None:
        header += [_EMPTY, _EMPTY, *asks]
    if peeked.charset:
        header += [_EMPTY] * (17 - len(header)) + [peeked.charset]
    answer = [b"MSA", code.value.encode("ascii"), peeked.control_id]
    segments = [header, answer]
    if error is not None:
        if numbers < (2, 5):
            answer.append(_ascii(error.text, delimiters))
            segments.append([b"ERR", _code_and_location(error, delimiters)])
        else:
            segments.append(_err(error, delimiters))
    content = b"".join(separator.join(fields) + b"\r" for fields in segments)
    return content.decode("utf-8", "replace").encode(peeked.wide) if peeked.wide else content


_LOCATION: Final = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<occurrence>\d{1,4})\])?"
    r"(?:-(?P<field>\d{1,3})(?:\[(?P<repetition>\d{1,4})\])?(?:\.(?P<component>\d{1,3})(?:\.(?P<sub>\d{1,3}))?)?)?"
)


def _err(error: AckError, delimiters: Delimiters) -> list[bytes]:
    """ERR from version 2.5 on; ERR-2 is data type ERL: segment, its occurrence, field, repetition, ..."""
    component = delimiters.component
    text = _ascii(error.text, delimiters)
    where = component.join(_place(error.location)).encode("ascii")
    code = component.join(_code(error, delimiters)).encode("ascii", "replace")
    return [b"ERR", _EMPTY, where, code, b"E", _EMPTY, _EMPTY, _EMPTY, text]


def _code_and_location(error: AckError, delimiters: Delimiters) -> bytes:
    """ERR-1 before version 2.5: segment, its occurrence, field; the fourth component is the code."""
    place = (*_place(error.location), "", "", "")[:3]
    code = delimiters.subcomponent.join(_code(error, delimiters))
    return delimiters.component.join((*place, code)).encode("ascii", "replace")


def _code(error: AckError, delimiters: Delimiters) -> tuple[str, str, str]:
    return escape(error.code, delimiters), TABLE_0357.get(error.code, ""), "HL70357"


def _place(location: str) -> tuple[str, ...]:
    match = _LOCATION.fullmatch(location)
    if match is None:
        return ()
    parts = [match["segment"], match["occurrence"] or "1"]
    if match["field"]:
        parts += [match["field"], match["repetition"] or "1", match["component"] or "", match["sub"] or ""]
    while not parts[-1]:
        parts.pop()
    return tuple(parts)


def _ascii(text: str, delimiters: Delimiters) -> bytes:
    return escape(text, delimiters).encode("ascii", "replace")


@lru_cache(maxsize=16)
def _timestamp(at_s: int) -> bytes:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%d%H%M%S+0000").encode("ascii")


@lru_cache(maxsize=64)
def _version_numbers(version: bytes) -> tuple[int, ...]:
    parts = version[:16].strip().split(b".")
    if not all(part.isdigit() for part in parts):
        return (2, 5)
    return tuple(int(part) for part in parts)
