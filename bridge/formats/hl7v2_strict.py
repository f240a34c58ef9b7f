"""Whether a message is as the standard has it, for channels that are `strict`. Pure.

Our reader must have nothing to notice, and python-hl7 must read the message too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.formats.base import ReadProblem
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_charset import Charset
from bridge.formats.hl7v2_tolerances import TOLERANCES
from bridge.formats.hl7v2_tree import second_opinion

STRICT_MAX_BYTES: Final = 1024**2
STRICT_SEPARATORS_MAX: Final = 40_000
"""A message with more is refused: python-hl7 makes objects of all parts, 5 µs each, while senders wait."""


def objection(body: bytes, charset: Charset, tolerated: Sequence[str]) -> ReadProblem | None:
    """The first thing about a message that a strict channel does not take, or None; never raises on content.

    ``tolerated`` are the codes of what its transport forgave.
    """
    for code in tolerated:
        return ReadProblem(code, "", TOLERANCES[code])
    if len(body) > STRICT_MAX_BYTES:
        text = f"a strict channel takes at most {STRICT_MAX_BYTES} bytes"
        return ReadProblem("too-large-for-strict", "", text)
    separators = body[3:4] + b"^~&" + body[4:8]
    if len(body) - len(body.translate(None, separators)) > STRICT_SEPARATORS_MAX:
        text = f"a strict channel takes at most {STRICT_SEPARATORS_MAX} separators in a message"
        return ReadProblem("too-large-for-strict", "", text)
    message = Hl7Message.read(body, charset)
    if message.refused is not None:
        return message.refused
    return message.problems[0] if message.problems else second_opinion(message)
