"""`for_each`: what an entry of `emit`, or a list, is made for each of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.located import Node, Place, Scalar, did_you_mean
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.contexts import Context
from bridge.mapping.document import Report, text_of
from bridge.mapping.groups import Groups, chain_of
from bridge.mapping.hl7_fields import SEGMENTS, known_segment
from bridge.mapping.reading import Run, finder, member_at, repetitions
from bridge.mapping.syntax import Member, Path
from bridge.mapping.values import SEGMENT_FORMS, ValueRefused

_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_FIELDS = re.compile(r"([A-Z][A-Z0-9]{1,2}-)([0-9]{1,3})\.\.([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Source:
    """What a mapping reads, as far as its rules have to know."""

    form: str = "hl7v2"
    groups: Groups = field(default_factory=dict)
    has_zone: bool = False
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The names that paths may have, by what they begin with; none where any is taken."""
    asked: set[str] = field(default_factory=set)
    """Those of a document's top that are read, as far as it is known yet."""

    @property
    def of_segments(self) -> bool:
        """Whether its messages are made of segments."""
        return self.form in SEGMENT_FORMS


@dataclass(frozen=True, slots=True)
class Each:
    """What is gone through: the instances of a ``group``, the ``segment`` s of a name, or, of a ``path``, the
    repetitions of its field; up to a ``last`` one, those of each field of each segment of the name."""

    kind: Literal["group", "segment", "repetition", "row", "items"]
    text: str
    place: Place
    name: str = ""
    path: Path | None = None
    member: Member | None = None
    last: int = 0
    holders: frozenset[str] = frozenset()
    """The groups that a group's instances may be inside of."""

    @property
    def current_of(self) -> str:
        """The field whose repetitions are gone through."""
        return "" if self.path is None else f"{self.path.segment}-{self.path.field}"

    @property
    def once(self) -> Path | None:
        """The path of which one segment is read, perhaps of several."""
        return None if self.last else self.path


def read_each(
    node: Node | None, source: Source, what: str, report: Report, *, loops: tuple[Each, ...] = ()
) -> Each | None:
    """What ``for_each`` names; None, and a problem where it stands, where it names nothing.

    ``loops`` are the `for_each` that it stands in.
    """
    text = text_of(node, f"{what}: for_each", report)
    if text is None:
        return None
    if text.text in source.groups:
        holders = frozenset(chain_of(source.groups[text.text], source.groups)[1:])
        return Each("group", text.text, text.place, text.text, holders=holders)
    if text.text == "row" and source.form in ("delimited", "fixed", "json"):
        return Each("row", "row", text.place)
    if text.text.startswith("$"):
        return _items(text, source, what, report, nested=any(each.kind == "items" for each in loops))
    if source.of_segments and _SEGMENT.fullmatch(text.text) is not None:
        if source.form == "hl7v2" and not known_segment(text.text):
            hint = did_you_mean(text.text, SEGMENTS)
            report.add(text.place, "E108", f"HL7 v2 has no segment {text.text}", hint)
            return None
        return Each("segment", text.text, text.place, text.text)
    if not source.of_segments or "-" not in text.text:
        hint = did_you_mean(text.text, source.groups) or "a group of `source.groups`, a segment, or a field"
        report.add(text.place, "E233", f"{what}: there is no {text.text[:60]!r} to go through", hint)
        return None
    last, several = 0, _FIELDS.fullmatch(text.text)
    if several is not None:
        last, first = int(several[3]), int(several[2])
        if not 0 < first < last:
            said = f"{what}: {text.text[:60]!r} names no fields to go through"
            report.add(text.place, "E233", said, "the first one and the last, as in HI-01..12")
            return None
        text = replace(text, text=several[1] + several[2])
    tree = read_expression(text, report)
    if tree is None:
        return None
    named = isinstance(tree, Path) and (tree.whole or tree.component is not None)
    if not isinstance(tree, Path) or named or tree.repetition not in (1, None):
        hint = "a field, as in PID-3, without its components"
        report.add(text.place, "E233", f"{what}: {text.text[:60]!r} is no field to go through", hint)
        return None
    if check_expression(tree, text, Scope({}, form=source.form), report, whole_field=True) is None:
        return None
    shown = text.text if several is None else several[0]
    return Each("repetition", shown, text.place, "", tree, last=last)


def _items(text: Scalar, source: Source, what: str, report: Report, *, nested: bool) -> Each | None:
    tree = read_expression(text, report)
    if tree is None:
        return None
    if not isinstance(tree, Member):
        report.add(
            text.place, "E233", f"{what}: {text.text[:60]!r} is no list to go through", "as in $.lines"
        )
        return None
    names = {base: known for base, known in source.names.items() if base != "item" or not nested}
    scope = Scope({}, form=source.form, names=names, asked=source.asked, nested=nested)
    if check_expression(tree, text, scope, report) is None:
        return None
    return Each("items", text.text, text.place, member=tree)


def contexts(each: Each, run: Run) -> Iterator[Context]:
    """The contexts of each of what is gone through, from where it is read.

    Raises ValueRefused R040 where there are too many in one list.
    """
    here = run.here
    if each.kind == "row":
        here = run.top
    if each.kind == "group":
        # Of what cannot be inside of here it is those of the nearest one around that holds them.
        for context in here.around():
            if context.group in each.holders or context.parent is None:
                yield from context.inside(each.name)
                return
    if here.inner is None:
        here.inner = {}
    kept = here.inner.get(each.text)
    if kept is None:
        kept = here.inner[each.text] = _inner(each, run, here)
        if len(kept) > LIST_MAX_ITEMS and each.kind != "row":
            raise ValueRefused("R040", f"a list would have more than {LIST_MAX_ITEMS} items")
    yield from kept


def _items_at(member: Member, run: Run) -> list[Any]:
    found = member_at(run.here.item if member.base == "item" else run.parts.get(member.base), member.steps)
    if found is None:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


def _inner(each: Each, run: Run, here: Context) -> list[Context]:
    if each.member is not None or each.kind == "row":
        items = run.rows if each.member is None else _items_at(each.member, run)
        return [
            Context(here, item=item, index=number, group_index=number)
            for number, item in enumerate(items, start=1)
        ]
    if each.path is None:
        closed = frozenset({each.name})
        return [
            Context(here, [segment], closed=closed, index=number, group_index=number)
            for number, segment in enumerate(here.named(each.name), start=1)
        ]
    path = each.path
    if each.last:
        present = here.named(path.segment)
    else:
        find = finder(path)
        only = run.segments.get(path.segment) if find is None else find(run)
        present = () if only is None else (only,)
    fields = range(path.field, max(path.field, each.last) + 1)
    gone_through = (one for found in present for field in fields for one in repetitions(found, field))
    made: list[Context] = []
    for number, repetition in enumerate(gone_through, start=1):
        context = Context(here, index=number, group_index=number)
        context.current, context.current_of = repetition, each.current_of
        made.append(context)
    return made
