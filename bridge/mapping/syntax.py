"""Expressions as a tree. Every node knows where in its text it stands."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Comparison = Literal["=", "!=", "<", ">", "<=", ">="]


@dataclass(frozen=True, slots=True)
class Where:
    """The repetition whose component ``component`` is ``value``: the part in parentheses of `PID-3(5=MR)`.

    Of a segment, `N1(1=PR)`, it is the one whose field has that number and that value.
    """

    component: int
    value: str


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value stands in a message of segments. ``component`` None: none was named.

    ``whole``: `OBX-5.*`, the text of a repetition with the signs that would part it in other fields.
    ``repetition`` is a number, a condition, or None for all of them, ``(*)``. So is ``which``, of several
    segments of one name: `NTE(*)-3`, `N1(1=PR)-02`; 1 where none was named.
    """

    text: str
    offset: int
    segment: str
    field: int
    repetition: int | Where | None
    component: int | None
    subcomponent: int | None
    which: int | Where | None = 1
    whole: bool = False

    @property
    def passes_over(self) -> bool:
        """Whether it means the first of perhaps several segments and does not say so, as `PID(1)-3` does."""
        return self.which == 1 and f"{self.segment}(" not in self.text


MemberBase = Literal["item", "root", "header", "trailer"]


@dataclass(frozen=True, slots=True)
class Member:
    """Where a value stands in a row, a JSON document or a record: `$.column`, `$.lines(2).code`.

    ``steps`` are names, numbers that count from 1, and None for all entries of a list, ``(*)``.
    """

    text: str
    offset: int
    base: MemberBase
    steps: tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text in single quotes."""

    value: str
    offset: int


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is written."""

    value: Decimal
    offset: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """The word ``null``: no value."""

    offset: int


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a let."""

    name: str
    offset: int
    followed: str = ""
    """What stands right behind it, to tell `pid-5` from a subtraction."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments; what stands before a pipe is the first one."""

    name: str
    arguments: tuple[Expression, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Two values of one type, compared."""

    operator: Comparison
    left: Expression
    right: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class Among:
    """``value in [a, b]``, or in a list that a path gives. ``negated``: ``not in``."""

    value: Expression
    options: tuple[Expression, ...] | Expression
    negated: bool
    offset: int


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions joined by ``and`` or by ``or``."""

    operator: Literal["and", "or"]
    parts: tuple[Expression, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Not:
    """A condition turned round."""

    part: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A sum or a difference."""

    operator: Literal["+", "-"]
    left: Expression
    right: Expression
    offset: int


Constant = Text | Number | Nothing
Expression = Path | Member | Constant | Name | Call | Compare | Among | Logic | Not | Arithmetic


class Mistake(Exception):
    """What is wrong with an expression, at ``offset`` of its text."""

    def __init__(self, offset: int, code: str, text: str, hint: str | None = None) -> None:
        self.offset = offset
        self.code = code
        self.text = text
        self.hint = hint
        super().__init__(text)
