"""What an acknowledgement of HL7 v2 says of a message of a batch that was sent. Pure.

MSA-2 is the message's MSH-10, and BHS-12 of the batch that it comes in the BHS-11 of ours, where that stands
with it (v2.5.1 §2.10.3). Of ERR and MSA-6 codes and places are kept, and no text.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.formats.acknowledged import Acknowledgement, NotAcknowledging, Said, Word, codes
from bridge.formats.hl7v2 import Hl7Message, Segment
from bridge.formats.hl7v2_ack import AckCode
from bridge.formats.hl7v2_answer import read_answer
from bridge.message import CONTROL_ID_MAX_CHARACTERS

_WORDS: Final = {
    AckCode.AA: Word.ACCEPTED,
    AckCode.CA: Word.ACCEPTED,
    AckCode.AE: Word.REJECTED,
    AckCode.AR: Word.REJECTED,
    AckCode.CE: Word.REJECTED,
    AckCode.CR: Word.REJECTED,
}
"""HL7 table 0008. AE is an error of the application: the message was not processed."""
_PART: Final = re.compile(r"[A-Z0-9]{1,5}")


def hl7v2_acknowledgement(body: bytes) -> Acknowledgement:
    """What it says. Raises NotAcknowledging."""
    answer = read_answer(body)
    if answer is None:
        raise NotAcknowledging("expected one MSA with a code of table 0008")
    called = answer.control_id.decode("utf-8", "replace").strip()
    if not 0 < len(called) <= CONTROL_ID_MAX_CHARACTERS:
        raise NotAcknowledging(
            f"expected a control ID of 1 to {CONTROL_ID_MAX_CHARACTERS} characters in MSA-2"
        )
    message, word = Hl7Message.read(body), _WORDS[answer.code]
    noted = "" if word is Word.ACCEPTED else codes([answer.code], *map(_error, message.named("ERR")))
    given = message.value("BHS", 12)
    of = given.strip() if isinstance(given, str) else ""
    control = int(of) if of.isascii() and of.isdigit() and len(of) <= 9 else None
    return Acknowledgement(control, said=(Said(called, word, noted),))


def _error(segment: Segment) -> tuple[str, ...]:
    """The code of an ERR and its place: ERR-3 and ERR-2, or ERR-1 before v2.5."""
    if code := segment.value(3):
        place = [segment.value(2, component=number) for number in (1, 3, 5)]
    else:
        code = segment.value(1, component=4)
        place = [segment.value(1, component=number) for number in (1, 3)]
    words = [str(each) for each in place if isinstance(each, str) and _PART.fullmatch(each)]
    return str(code or ""), "-".join(words[:2]) + "".join(f".{each}" for each in words[2:])
