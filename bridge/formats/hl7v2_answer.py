"""What an acknowledgement says, for the one who sent the message. Pure.

HL7 v2.5.1 §2.9.2 and §2.9.3: MSA-1 is the code (HL7 table 0008), and MSA-2 the control ID of the message that
is answered. It is given as it came, since an answer for another message must never be taken for ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.formats.hl7v2_ack import AckCode, MshPeek, peek

_SEGMENT_ENDS: Final = re.compile(rb"[\r\n]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """One acknowledgement. ``control_id`` is MSA-2 as it came, b"" where there is none."""

    code: AckCode
    control_id: bytes
    header: MshPeek


def read_answer(body: bytes) -> Answer | None:
    """The acknowledgement in a block; None where it is none, has no code that is known, or has several MSA.

    >>> read_answer(b"MSH|^~\\\\&|B||A||||ACK|9|P|2.5\\rMSA|AE|17\\r").code
    <AckCode.AE: 'AE'>
    """
    header = peek(body)
    if not header.readable:
        return None
    if header.wide:
        body = body.decode(header.wide, "replace").encode("utf-8", "replace")
    name = b"MSA" + header.field_separator
    found = [line for line in _SEGMENT_ENDS.split(body) if line.startswith(name)]
    if len(found) != 1:
        return None
    fields = [*found[0].split(header.field_separator), b""]
    try:
        code = AckCode(fields[1].decode("ascii", "replace"))
    except ValueError:
        return None
    return Answer(code, fields[2], header)
