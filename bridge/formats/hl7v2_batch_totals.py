"""Control totals of HL7 v2 batches: sums of fields, which BTS-3 says (v2.5.1 §2.14.2.3). Pure.

The standard says that a total is a number, and of what its sender and receiver know: so a channel names the
fields, in the order of the repetitions of BTS-3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

PATH: Final = r"^[A-Z][A-Z0-9]{2}-[1-9][0-9]{0,2}(\.[1-9][0-9]?)?$"
UNREADABLE: Final = "unreadable"
_NUMBER: Final = re.compile(rb"[+-]?(?:\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})")
_BEGINS: Final = re.compile(rb"(?:\A|[\r\n])MSH([^A-Za-z0-9\s])(.?)")


@dataclass(slots=True)
class Sum:
    """What a field comes to so far; ``unreadable`` once a value was no number."""

    value: Decimal = Decimal(0)
    unreadable: bool = False

    @property
    def text(self) -> str:
        """It in words."""
        return UNREADABLE if self.unreadable else format(self.value, "f")

    def differs(self, declared: str) -> bool:
        """Whether a trailer says something else."""
        return self.unreadable or declared == UNREADABLE or Decimal(declared) != self.value


@dataclass(frozen=True, slots=True)
class BatchTotal:
    """A field that is summed up over all segments of a batch that have it."""

    name: str
    segment: bytes
    field: int
    component: int

    @classmethod
    def of(cls, path: str) -> BatchTotal:
        """The field that a path names.

        >>> BatchTotal.of("FT1-11.1")
        BatchTotal(name='FT1-11.1', segment=b'FT1', field=11, component=1)
        """
        segment, _, rest = path.partition("-")
        field, _, component = rest.partition(".")
        return cls(path, segment.encode(), int(field), int(component or 1))

    def add(self, summed: Sum, bodies: bytes) -> None:
        """Add what whole messages have, each in its own separators."""
        begins = list(_BEGINS.finditer(bodies))
        for at, found in enumerate(begins):
            end = begins[at + 1].start() if at + 1 < len(begins) else len(bodies)
            self._add_one(summed, bodies[found.start() : end], found[1], found[2] or b"^")

    def _add_one(self, summed: Sum, body: bytes, separator: bytes, component: bytes) -> None:
        name = self.segment + separator
        for line in re.split(rb"[\r\n]+", body):
            if not line.startswith(name):
                continue
            fields = line.split(separator)
            parts = fields[self.field].split(component) if self.field < len(fields) else []
            value = parts[self.component - 1].strip() if self.component <= len(parts) else b""
            if not value or value == b'""':
                continue
            if _NUMBER.fullmatch(value):
                summed.value += Decimal(value.decode("ascii"))
            else:
                summed.unreadable = True


def number_of(text: bytes) -> str:
    """A number as BTS-3 says it, or `UNREADABLE`.

    >>> number_of(b"12.50"), number_of(b"a lot")
    ('12.50', 'unreadable')
    """
    return text.decode("ascii") if _NUMBER.fullmatch(text) else UNREADABLE
