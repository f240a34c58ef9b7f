"""Expressions of the mapping language, being put together.

Each is written twice: `text` names the lets that a mapping has, `flat` stands by itself, for the `when` of a
route. `notes` say how it differs from what the old engine would do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

Type = Literal["text", "bool", "number", "list", "nothing"]
_OR, _AND, _NOT, _COMPARE, _SUM, _ATOM = 1, 2, 3, 4, 5, 7
FLAT_MAX_CHARACTERS: Final = 8_000
"""Longer ones are refused by the language anyway; a script could double a text at each line."""


class NotConverted(Exception):
    """Something for which the mapping language has nothing. ``at`` is the offset in the script."""

    def __init__(self, reason: str, at: int = 0) -> None:
        self.reason = reason
        self.at = at
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Expr:
    """An expression with its type; ``constant`` is its text or truth where that is known."""

    text: str
    flat: str
    type: Type
    power: int = _ATOM
    flat_power: int = _ATOM
    notes: frozenset[str] = frozenset()
    constant: str | bool | None = None
    opposite_of: Expr | None = None

    def noted(self, *notes: str) -> Expr:
        """The same, with further notes."""
        return replace(self, notes=self.notes | set(notes))


AS_TEXTS: Final = "a number and a text are compared as texts, where JavaScript compares numbers: 05 is no 5"
NOTHING: Final = Expr("null", "null", "nothing", constant="")
TRUE: Final = Expr("1 = 1", "1 = 1", "bool", _COMPARE, _COMPARE, constant=True)
FALSE: Final = Expr("1 = 0", "1 = 0", "bool", _COMPARE, _COMPARE, constant=False)
_ESCAPES: Final = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t"}


def literal(text: str, at: int = 0) -> Expr:
    """A text."""
    if text == "":
        return NOTHING
    if any(ord(sign) < 32 and sign not in "\n\t" for sign in text):
        raise NotConverted("a text with control characters", at)
    quoted = "'" + "".join(_ESCAPES.get(sign, sign) for sign in text) + "'"
    return Expr(quoted, quoted, "text", constant=text)


def number(text: str) -> Expr:
    """A number as it is written."""
    return Expr(text, text, "number", constant=text)


def path(text: str, *notes: str) -> Expr:
    """A place of the message."""
    return Expr(text, text, "text", notes=frozenset(notes))


def paths(text: str, *notes: str) -> Expr:
    """All repetitions of a place."""
    return Expr(text, text, "list", notes=frozenset(notes))


def named(name: str, value: Expr) -> Expr:
    """A let that stands for a value."""
    return replace(value, text=name, power=_ATOM, opposite_of=None)


def _made(
    parts: Sequence[Expr], text: Iterable[str], flat: Iterable[str], joiner: str, kind: Type, power: int
) -> Expr:
    notes = frozenset[str]().union(*(each.notes for each in parts))
    whole, alone = joiner.join(text), joiner.join(flat)
    if len(alone) > FLAT_MAX_CHARACTERS:
        raise NotConverted(f"as one expression it would have more than {FLAT_MAX_CHARACTERS} characters")
    return Expr(whole, alone, kind, power, power, notes)


def call(name: str, *arguments: Expr, gives: Type = "text") -> Expr:
    """A function with its arguments."""
    made = _made(arguments, (a.text for a in arguments), (a.flat for a in arguments), ", ", gives, _ATOM)
    return replace(made, text=f"{name}({made.text})", flat=f"{name}({made.flat})")


def join(parts: Sequence[Expr]) -> Expr:
    """Texts after each other; what is not there adds nothing."""
    merged: list[Expr] = []
    for part in parts:
        each = as_text(part)
        if each is NOTHING or each.constant == "":
            continue
        if merged and isinstance(each.constant, str) and isinstance(merged[-1].constant, str):
            merged[-1] = literal(merged[-1].constant + each.constant)
        else:
            merged.append(each)
    if not merged:
        return NOTHING
    if len(merged) == 1:
        return merged[0]
    return call("join", Expr("''", "''", "text"), *merged)


def length(value: Expr) -> Expr:
    """How many characters a text has; none where it is not there."""
    return call("first_of", call("length", as_text(value), gives="number"), number("0"), gives="number")


def as_text(value: Expr) -> Expr:
    """A value as text: what JavaScript makes of it when it is put beside a text."""
    match value.type:
        case "text" | "nothing":
            return value
        case "number":
            return literal(value.constant) if isinstance(value.constant, str) else call("text", value)
        case "bool":
            return choose(value, literal("true"), literal("false"))
        case _:
            raise NotConverted("a list where a text is wanted")


def compare(operator: str, left: Expr, right: Expr) -> Expr:
    """``=`` or ``!=`` of two values as JavaScript means it: what is not there equals the empty text."""
    if left.type == "bool" or right.type == "bool":
        return _compare_truths(operator, left, right)
    if left.constant is not None and right.constant is None:
        left, right = right, left
    if left.type == "list" and operator == "=" and right.type == "text":
        # Of each of several: whether one of them is it.
        return part_of(right, left)
    if left.constant is not None:
        equal = str(left.constant) == str(right.constant)
        return TRUE if equal == (operator == "=") else FALSE
    if right.constant == "":
        nothing = absent(left)
        return nothing if operator == "=" else negate(nothing)
    if right.constant == '""':
        null = call("is_null", as_text(left), gives="bool")
        return null if operator == "=" else negate(null)
    if {left.type, right.type} == {"text", "number"}:
        return order(operator, as_text(left), as_text(right)).noted(AS_TEXTS)
    same = order("=", left, right)
    if left.type == right.type == "text" and right.constant is None:
        # Two values that are both absent, or both the null, are the same text to JavaScript.
        nulls = [call("is_null", each, gives="bool") for each in (left, right)]
        same = either([same, both([absent(left), absent(right)]), both(nulls)])
        return same if operator == "=" else negate(same)
    return same if operator == "=" else order("!=", left, right)


def _compare_truths(operator: str, left: Expr, right: Expr) -> Expr:
    for one, other in ((left, right), (right, left)):
        if one.type == "bool" and (isinstance(other.constant, bool) or other.constant in ("true", "false")):
            wanted = other.constant in (True, "true")
            return one if wanted == (operator == "=") else negate(one)
    raise NotConverted("two conditions that are compared with each other")


def order(operator: str, left: Expr, right: Expr) -> Expr:
    """A comparison of two values of one type."""
    made = _made(
        (left, right),
        (_in(left, _SUM), _in(right, _SUM)),
        (_flat(left, _SUM), _flat(right, _SUM)),
        f" {operator} ",
        "bool",
        _COMPARE,
    )
    if left.type == "list" or right.type == "list":
        raise NotConverted("a list in a comparison")
    return made


def minus(left: Expr, right: Expr) -> Expr:
    """A difference of two numbers."""
    texts, flats = (_in(left, _SUM), _in(right, _ATOM)), (_flat(left, _SUM), _flat(right, _ATOM))
    return _made((left, right), texts, flats, " - ", "number", _SUM)


def plus(parts: Sequence[Expr]) -> Expr:
    """A sum of numbers."""
    texts, flats = (_in(each, _SUM) for each in parts), (_flat(each, _SUM) for each in parts)
    return _made(parts, texts, flats, " + ", "number", _SUM)


def _in(value: Expr, power: int) -> str:
    return value.text if value.power >= power else f"({value.text})"


def _flat(value: Expr, power: int) -> str:
    return value.flat if value.flat_power >= power else f"({value.flat})"


def among(value: Expr, options: Sequence[Expr]) -> Expr:
    """Whether a text is one of several."""
    if len(options) == 1:
        return compare("=", value, options[0])
    if any(each.constant is None for each in options):
        return either([compare("=", value, each) for each in options])
    empty = [each for each in options if each.constant == ""]
    rest = [as_text(each) for each in options if each.constant != ""]
    listed = ", ".join(each.text for each in rest), ", ".join(each.flat for each in rest)
    base = as_text(value)
    made = _made((base, *rest), (_in(base, _SUM),), (_flat(base, _SUM),), "", "bool", _COMPARE)
    made = replace(made, text=f"{made.text} in [{listed[0]}]", flat=f"{made.flat} in [{listed[1]}]")
    return either([made, absent(base)]) if empty else made


def part_of(value: Expr, items: Expr) -> Expr:
    """Whether a text is an item of a list that a path gives."""
    text, flat = (_in(value, _SUM), items.text), (_flat(value, _SUM), items.flat)
    return _made((value, items), text, flat, " in ", "bool", _COMPARE)


def absent(value: Expr) -> Expr:
    """Whether a text is empty, as JavaScript sees it."""
    if value.constant is not None:
        return TRUE if value.constant == "" else FALSE
    return call("absent", value, gives="bool")


def truth(value: Expr) -> Expr:
    """What JavaScript makes of a value in a condition."""
    if value.type == "bool":
        return value
    if value.type == "nothing":
        return FALSE
    if value.type == "list":
        return order(">", call("count", value, gives="number"), number("0"))
    if value.type == "text":
        return negate(absent(value))
    return both([call("present", value, gives="bool"), order("!=", value, number("0"))])


def negate(value: Expr) -> Expr:
    """The opposite of a condition."""
    if isinstance(value.constant, bool):
        return FALSE if value.constant else TRUE
    if value.opposite_of is not None:
        return value.opposite_of
    text, flat = f"not {_in(value, _ATOM)}", f"not {_flat(value, _ATOM)}"
    return replace(value, text=text, flat=flat, power=_NOT, flat_power=_NOT, constant=None, opposite_of=value)


def both(parts: Sequence[Expr]) -> Expr:
    """All of several conditions."""
    return _logic(parts, "and", _AND, stops=False)


def either(parts: Sequence[Expr]) -> Expr:
    """One of several conditions."""
    return _logic(parts, "or", _OR, stops=True)


def _logic(parts: Sequence[Expr], word: str, power: int, *, stops: bool) -> Expr:
    found: list[Expr] = []
    notes = frozenset[str]().union(*(each.notes for each in parts))
    for each in parts:
        if each.constant is stops:
            return (TRUE if stops else FALSE).noted(*notes)
        if not isinstance(each.constant, bool) and each not in found:
            found.append(each)
    if not found:
        return (FALSE if stops else TRUE).noted(*notes)
    if len(found) == 1:
        return found[0].noted(*notes)
    return _made(
        found,
        (_in(each, power + 1) for each in found),
        (_flat(each, power + 1) for each in found),
        f" {word} ",
        "bool",
        power,
    ).noted(*notes)


def choose(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """One of two values."""
    condition = truth(condition)
    if isinstance(condition.constant, bool):
        return then if condition.constant else otherwise
    if then == otherwise:
        return then
    truths = then.type == "bool" and otherwise.type == "bool"
    if truths and (isinstance(then.constant, bool) or isinstance(otherwise.constant, bool)):
        return either([both([condition, then]), both([negate(condition), otherwise])])
    if then.type != otherwise.type and "nothing" not in (then.type, otherwise.type):
        then, otherwise = as_text(then), as_text(otherwise)
    kind = otherwise.type if then.type == "nothing" else then.type
    return call("if", condition, then, otherwise, gives=kind)


def first_of(*choices: Expr) -> Expr:
    """The first text that is not empty."""
    found: list[Expr] = []
    for each in choices:
        text = as_text(each)
        if text.constant == "":
            continue
        found.append(text)
        if text.constant is not None:
            break
    if not found:
        return NOTHING
    return found[0] if len(found) == 1 else call("first_of", *found)
