"""What both sides made of one message, compared: every difference with its place, and no value of it. Pure.

A value is told by its shape: a letter is an A, a digit a 9, so that a date in another format can be seen and
the date cannot. Rules say what may differ; each use is told, and what is money no rule helps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from bridge.config.legacy import Parity, Rule
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_compare import compare as compare_messages
from bridge.mapping.functions.patterns import replaced

Kind = Literal[
    "value", "absent", "extra", "order", "missing here", "missing there", "decision", "answer", "late",
]  # fmt: skip
SHAPE_MAX_CHARACTERS: Final = 24
DIFFERENCES_MAX_COUNT: Final = 200
"""Of one pair; what is more counts as one further, at the place ``(more)``."""
DEPTH_MAX: Final = 40


class _Absent:
    """What a side does not have."""


ABSENT: Final = _Absent()
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that differs. ``ours`` and ``theirs`` are shapes, empty where a side has nothing."""

    kind: Kind
    path: str
    ours: str = ""
    theirs: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for differences that are alike."""
        said = f"{self.kind}\x1f{self.path}\x1f{self.ours}\x1f{self.theirs}"
        return hashlib.sha256(said.encode()).hexdigest()[:12]


@dataclass(slots=True)
class Compared:
    """What came of one comparison. ``used`` are the rules that made something the same, with how often;
    ``money`` are the sums of both sides by place, and under it with `(count)` and `(hash)` how many amounts
    there are, and a total that tells which."""

    differences: list[Difference] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    money: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


class Comparing:
    """A comparison by the rules of one channel, on one day."""

    def __init__(self, parity: Parity, today: date) -> None:
        self._rules = [rule for rule in parity.rules if today <= date.fromisoformat(rule.expires)]
        self.expired = [rule for rule in parity.rules if today > date.fromisoformat(rule.expires)]
        self._money = [_pattern(path) for path in parity.money]
        self._of_place: dict[str, list[Rule]] = {}

    def documents(self, ours: Any, theirs: Any) -> Compared:
        """Compare two JSON documents."""
        found = Compared()
        for difference in self._walk("", ours, theirs, found, 0):
            _note(found, difference)
        return found

    def messages(self, ours: Hl7Message, theirs: Hl7Message) -> Compared:
        """Compare two HL7 v2 messages, field by field."""
        found = Compared()
        for each in compare_messages(ours, theirs):
            a = ABSENT if (each.a in (None, "(none)") and each.field == 0) or each.a is None else each.a
            b = ABSENT if (each.b in (None, "(none)") and each.field == 0) or each.b is None else each.b
            if each.path == "order of segments":
                _note(found, Difference("order", "(segments)"))
                continue
            for difference in self._leaf(_INDEX.sub("[]", each.path), a, b, found):
                _note(found, difference)
        return found

    def _walk(self, path: str, a: Any, b: Any, found: Compared, depth: int) -> Iterator[Difference]:
        if a == b and type(a) is type(b) and not self._money:
            return
        if depth > DEPTH_MAX:
            yield Difference("value", path + "(deep)")
        elif isinstance(a, Mapping) and isinstance(b, Mapping):
            for name in dict.fromkeys((*a, *b)):
                place = f"{path}.{name}" if path else name
                yield from self._walk(place, a.get(name, ABSENT), b.get(name, ABSENT), found, depth + 1)
        elif isinstance(a, list) and isinstance(b, list):
            yield from self._lists(path + "[]", a, b, found, depth)
        elif (isinstance(a, Mapping | list) and b is ABSENT) or (
            isinstance(b, Mapping | list) and a is ABSENT
        ):
            if not self._ignored(path, found):
                yield Difference("extra" if b is ABSENT else "absent", path, *_shapes(a, b))
        else:
            yield from self._leaf(path, a, b, found)

    def _lists(
        self, path: str, a: list[Any], b: list[Any], found: Compared, depth: int
    ) -> Iterator[Difference]:
        for rule in self._rules_of(path.removesuffix("[]")):
            if rule.rule == "unordered":
                ordered_a, ordered_b = _by_key(a, rule.key), _by_key(b, rule.key)
                if [*map(_written, a)] != [*map(_written, b)] and (ordered_a, ordered_b) != (a, b):
                    found.used[_name(rule)] += 1
                a, b = ordered_a, ordered_b
        if a != b and len(a) == len(b) and Counter(map(_written, a)) == Counter(map(_written, b)):
            if not self._ignored(path.removesuffix("[]"), found):
                yield Difference("order", path)
            return
        for one, other in zip(a, b, strict=False):
            yield from self._walk(path, one, other, found, depth + 1)
        for one in a[len(b) :]:
            yield from self._walk(path, one, ABSENT, found, depth + 1)
        for other in b[len(a) :]:
            yield from self._walk(path, ABSENT, other, found, depth + 1)

    def _leaf(self, path: str, a: Any, b: Any, found: Compared) -> Iterator[Difference]:
        if any(pattern.fullmatch(path) for pattern in self._money):
            yield from _money(path, a, b, found)
            return
        if a == b and type(a) is type(b):
            return
        for rule in self._rules_of(path):
            a, b = _normal(rule, a), _normal(rule, b)
            if a == b or _near(rule, a, b):
                found.used[_name(rule)] += 1
                return
        kind: Kind = "extra" if b is ABSENT else "absent" if a is ABSENT else "value"
        yield Difference(kind, path, *_shapes(a, b))

    def _ignored(self, path: str, found: Compared) -> bool:
        for rule in self._rules_of(path):
            if rule.rule == "ignore":
                found.used[_name(rule)] += 1
                return True
        return False

    def _rules_of(self, path: str) -> list[Rule]:
        if (known := self._of_place.get(path)) is None:
            if len(self._of_place) > 10_000:  # places come from documents, which may be anything
                self._of_place.clear()
            known = [rule for rule in self._rules if _pattern(rule.path).match(path)]
            self._of_place[path] = known
        return known


def of_pair(kind: Kind, ours: str = "", theirs: str = "") -> Difference:
    """A difference of a pair as a whole."""
    return Difference(kind, "(message)", ours, theirs)


def _note(found: Compared, difference: Difference) -> None:
    if len(found.differences) < DIFFERENCES_MAX_COUNT:
        found.differences.append(difference)
    elif found.differences[-1].path != "(more)":
        found.differences.append(Difference("value", "(more)"))


def _pattern(path: str) -> re.Pattern[str]:
    """What a rule's path covers: the place, and all below it; ``*`` is one name.

    >>> bool(_pattern("name[].family").match("name[].family")), bool(_pattern("PID-7").match("PID-7.1"))
    (True, True)
    """
    text = re.escape(path).replace(r"\\*", r"[^.\\[]+")
    return re.compile(text + r"(?:[.\[].*)?$")


def _name(rule: Rule) -> str:
    return f"{rule.rule} {rule.path}"


def _money(path: str, a: Any, b: Any, found: Compared) -> Iterator[Difference]:
    one, other = _decimal(a), _decimal(b)
    _totals(path, one, other, found)
    if one is None or other is None:
        if a is not ABSENT or b is not ABSENT:
            yield Difference(
                "extra" if b is ABSENT else "absent" if a is ABSENT else "value", path, *_shapes(a, b)
            )
        return
    if one != other:
        yield Difference("value", path, *_shapes(a, b))


def _totals(path: str, one: Decimal | None, other: Decimal | None, found: Compared) -> None:
    """Add amounts to the sums of both sides, to how many there are, and to a total of their hashes: sums
    alone would not tell 10 and 20 from 15 and 15."""
    for name, of in ((path, Decimal), (f"{path} (count)", _one), (f"{path} (hash)", _hash)):
        ours, theirs = found.money.get(name, (Decimal(0), Decimal(0)))
        found.money[name] = (
            ours if one is None else ours + of(one),
            theirs if other is None else theirs + of(other),
        )


def _one(amount: Decimal) -> Decimal:  # noqa: ARG001 - every amount counts the same
    return Decimal(1)


def _hash(amount: Decimal) -> Decimal:
    """The same for 10 and 10.00."""
    written = format(amount.normalize(), "f").encode()
    return Decimal(int.from_bytes(hashlib.sha256(written).digest()[:5], "big"))


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _normal(rule: Rule, value: Any) -> Any:
    """A value with what a rule lets differ taken out."""
    match rule.rule:
        case "ignore":
            return ABSENT
        case "default":
            return ABSENT if value in (None, "") or str(value) == rule.value else value
        case "fold" if isinstance(value, str):
            return " ".join(value.casefold().split())
        case "codes" if isinstance(value, str):
            return rule.codes.get(value, value)
        case "replace" if isinstance(value, str) and rule.pattern:
            return replaced(value, rule.pattern, rule.with_)
    return value


def _near(rule: Rule, a: Any, b: Any) -> bool:
    if rule.rule == "tolerance":
        one, other = _decimal(a), _decimal(b)
        return one is not None and other is not None and abs(one - other) <= Decimal(rule.by)
    if rule.rule == "time":
        one_at, other_at = _instant(a), _instant(b)
        if one_at is None or other_at is None or (one_at.tzinfo is None) != (other_at.tzinfo is None):
            return False
        return abs((one_at - other_at).total_seconds()) <= rule.within
    return False


def _instant(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _by_key(items: Sequence[Any], key: str) -> list[Any]:
    def rank(item: Any) -> tuple[str, str]:
        return (_written(item.get(key)) if isinstance(item, Mapping) and key else "", _written(item))

    return sorted(items, key=rank)


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _shapes(a: Any, b: Any) -> tuple[str, str]:
    return shape(a), shape(b)


def shape(value: Any) -> str:
    """What a value looks like, and nothing of what it says.

    >>> shape("1961-06-15"), shape("Ünal-Meyer 3"), shape(12.5), shape(None), shape([1])
    ('9999-99-99', 'A-A 9', '9.9', 'null', 'list')
    """
    if value is ABSENT:
        return ""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, list):
        return "list"
    text = value.hex() if isinstance(value, bytes) else str(value)
    masked = re.sub(r"\d", "9", text[:200])
    masked = "".join("A" if each.isalpha() else each if each in "9 -+.:/,TZ" else "?" for each in masked)
    masked = re.sub(r"A+", "A", masked)
    if "A" in masked.replace("T", "").replace("Z", "") or not isinstance(value, str):
        masked = re.sub(r"9+", "9", masked)
    return masked[:SHAPE_MAX_CHARACTERS] or "empty"
