"""Where a message begins in raw bytes, and its MSH fields, before anything is decoded.

Both the reader and the acknowledgement need this, and it must be quick: an acknowledgement is owed also for a
message that nobody will parse.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

HEADER_FIELDS_MAX: Final = 20
"""MSH fields that are looked at: MSH-20 is the last one that says how to read the rest."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
BYTE_ORDER_MARKS: Final = re.compile(rb"\xef\xbb\xbf|\xff\xfe(?:\0\0)?|(?:\0\0)?\xfe\xff")

# A NUL that is the first half of a two- or four-byte `M` belongs to the message.
_LEAD: Final = re.compile(
    rb"(?:[\x0b\x1c\x1a \t\r\n]|\0(?!\0{0,2}M\0)|\xef\xbb\xbf|\xff\xfe|\xfe\xff(?=\0)|\0\0\xfe\xff(?=\0))*+"
)


def lead_size(body: bytes) -> int:
    """How many bytes of frame, blanks and byte order marks stand before the message."""
    if body.startswith(b"MSH"):
        return 0
    found = _LEAD.match(body)
    return found.end() if found is not None else 0


def header_fields(body: bytes) -> list[bytes]:
    """The fields of the MSH that ``body`` starts with: ``[b"MSH", MSH-2, MSH-3, ...]``; what follows is cut.

    MSH ends at its CR, or at the end of an MLLP frame. A line feed ends it where no CR follows, or where a
    segment name stands after it.
    """
    separator = body[3:4]
    end = body.find(b"\r")
    if end < 0:
        end = body.find(b"\n")
        header = body if end < 0 else body[:end]
    else:
        header = body[:end]
        if b"\n" in header and (found := _line_feed(separator).search(body, 0, end + 4)) is not None:
            header = body[: found.start()]
    if b"\x1c" in header:
        header = header[: header.index(b"\x1c")]
    return header.split(separator, HEADER_FIELDS_MAX) if separator else [header]


@lru_cache(maxsize=64)
def _line_feed(separator: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"\n(?=[A-Z][A-Z0-9]{2}" + re.escape(separator) + rb")")
