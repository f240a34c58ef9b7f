"""Sequence numbers (MSH-13) as a sender counts them: gaps and repeats are told, and nothing is refused.

HL7 v2.5.1 §2.10.1: a number is one more than that of the message before it. 0 begins the link anew and counts
nothing; -1 asks the receiver to count on from whatever positive number comes next.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

GAP: Final = "sequence-gap"
REPEAT: Final = "sequence-repeat"
SENDERS_MAX: Final = 1000
"""Senders that are remembered; with more, the one that has been silent for longest is forgotten."""

_NUMBER: Final = re.compile(rb"\s*(-1|\+?\d{1,15})\s*")

Sender = tuple[bytes, bytes]
"""MSH-3 and MSH-4 as they came."""


class Sequences:
    """The last number of each sender. The first message of a sender that is not known is not judged."""

    def __init__(self, senders_max: int = SENDERS_MAX) -> None:
        self._last: OrderedDict[Sender, int] = OrderedDict()
        self._senders_max = senders_max

    def __len__(self) -> int:
        return len(self._last)

    def judge(self, sender: Sender, field: bytes) -> str:
        """What is odd about a message with this MSH-13: `GAP`, `REPEAT` or nothing.

        Counting goes on from the number that came, whatever it was. A field that is no whole number is not
        judged.

        >>> counted = Sequences()
        >>> [counted.judge((b"LAB", b"N"), number) for number in (b"7", b"8", b"8", b"10", b"11")]
        ['', '', 'sequence-repeat', 'sequence-gap', '']
        """
        match = _NUMBER.fullmatch(field)
        number = int(match[1]) if match is not None else 0
        if number == 0:
            return ""
        if number < 0:
            self.forget(sender)
            return ""
        last = self._last.pop(sender, None)
        self._last[sender] = number
        if len(self._last) > self._senders_max:
            self._last.popitem(last=False)
        if last is None or number == last + 1:
            return ""
        return GAP if number > last else REPEAT

    def forget(self, sender: Sender) -> None:
        """Do not judge the next message of a sender."""
        self._last.pop(sender, None)
