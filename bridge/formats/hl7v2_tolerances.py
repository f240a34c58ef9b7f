"""What senders are forgiven: every code, and what it tells an analyst.

A message with one of these was read all the same. With ``strict`` it is refused for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TOLERANCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bytes-before-block": "Bytes stood before the start byte of the block, and were left out.",
        "no-return-after-block": "The block ended with FS alone; where nothing followed, CR was waited for.",
        "no-end-byte": "Nothing but silence or a closed connection said that the message was over.",
        "byte-order-mark": "A byte order mark stands before MSH.",
        "leading-bytes": "Frame bytes or blanks stand before MSH.",
        "trailing-bytes": "Frame bytes stand after the last segment.",
        "short-encoding-characters": "MSH-2 is short: the standard's characters were taken for the rest.",
        "long-encoding-characters": "MSH-2 has more characters than there are delimiters: the first count.",
        "lf-line-ends": "Segments end with LF, where HL7 has CR.",
        "crlf-line-ends": "Segments end with CR and LF, where HL7 has CR.",
        "mixed-line-ends": "Segments end in different ways within one message.",
        "no-final-cr": "The last segment is not ended: look whether messages arrive whole.",
        "line-feed-in-field": "A line feed within a field was taken for data, since CR ends the segments.",
        "blank-line": "A line without anything was left out.",
        "several-msh": "A second MSH stands in one block: two messages may have been put into one.",
        "segment-name": "A line begins with no segment name of three capitals or digits; it was kept.",
        "charset-assumed": "MSH-18 is empty, and the bytes are not ASCII: the set was guessed.",
        "charset-unknown": "MSH-18 has a name that is not in HL7 table 0211: `aliases` says what it means.",
        "charset-mismatch": "The bytes are not in the set that was declared; a fallback read them.",
        "charset-lossy": "Some characters have two spellings in this set: writing may choose the other.",
        "line-end-in-segment": "EDIFACT: a line ends within a segment, and was put together again.",
        "guide": "X12: its implementation guide does not allow all of it; it was taken all the same.",
        "guide-unchecked": "X12: it was not held against a guide: there is none, or it is too large.",
        "iso-2022": "MSH-18 names several sets, or one that switches: look how names were read.",
    }
)
