"""Where a rule reads: the message, one instance of a group, one segment of several, one repetition, one item.

`arrange` puts every segment into exactly one instance. A group opens at its anchor; what leads it (ORC before
OBR) waits for the anchor and goes with it. A segment goes to the innermost open group that says it may hold
it, which closes the groups inside that one; one that no group knows stays with the open group. So nothing is
lost where a sender's order is not the standard's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, Final

from bridge.mapping.groups import Group, Groups
from bridge.mapping.messages import AnySegment, Message

NOTHING: Final[frozenset[str]] = frozenset()


class Context:
    """One place to read from. ``view`` has the segment that each plain path means here, by name.

    ``closed`` are names that are looked for here alone. ``index`` counts from 1 in the context around,
    ``group_index`` in the message. ``bases`` has what is seen from the instances of a group inside, by group,
    but for their own segments. ``keys`` are those of the records made for it. ``item`` is a row, or one
    entry of a list; ``current`` one repetition of the field ``current_of``.
    """

    __slots__ = (
        "anchored",
        "bases",
        "children",
        "closed",
        "current",
        "current_of",
        "group",
        "group_index",
        "index",
        "inner",
        "item",
        "key_traces",
        "keys",
        "own",
        "parent",
        "view",
    )

    def __init__(
        self,
        parent: Context | None,
        own: list[AnySegment] | None = None,
        *,
        group: str = "",
        closed: frozenset[str] = NOTHING,
        item: Any = None,
        index: int = 1,
        group_index: int = 1,
    ) -> None:
        self.parent = parent
        self.own = own
        self.group = group
        self.closed = closed
        self.index = index
        self.group_index = group_index
        self.item: Any = item if parent is None or item is not None else parent.item
        self.current: AnySegment | None = None
        self.current_of = ""
        self.anchored = True
        # Most contexts have neither: what is empty is made when it is first needed.
        self.children: list[Context] | tuple[()] = ()
        self.inner: dict[str, list[Context]] | None = None
        self.keys: dict[str, str] | None = None
        self.key_traces: dict[str, dict[Any, None]] | None = None
        self.view: dict[str, AnySegment] | None = None
        self.bases: dict[str, dict[str, AnySegment]] | None = None

    def named(self, name: str) -> Sequence[AnySegment]:
        """The segments of one name: its own, or, where it cannot have any, those around it."""
        if self.own is not None:
            found = [segment for segment in self.own if segment.name == name]
            if found or name in self.closed:
                return found
        return () if self.parent is None else self.parent.named(name)

    def around(self) -> Iterator[Context]:
        """This context, and each that holds it."""
        here: Context | None = self
        while here is not None:
            yield here
            here = here.parent

    def key_of(self, record: str) -> tuple[str | None, dict[Any, None]]:
        """The key of a record that was made here or around here, with its trace."""
        here: Context | None = self
        while here is not None:
            if here.keys is not None and record in here.keys:
                return here.keys[record], (here.key_traces or {}).get(record, {})
            here = here.parent
        return None, {}

    def key_at(self, record: str) -> str | None:
        """The key of a record that was made here or around here."""
        here: Context | None = self
        while here is not None:
            if (keys := here.keys) is not None and record in keys:
                return keys[record]
            here = here.parent
        return None

    def made(self, record: str, key: str, trace: dict[Any, None] | None = None) -> None:
        """A record was made for this context; of several of one kind the first counts."""
        if self.keys is None:
            self.keys = {}
        if record not in self.keys:
            self.keys[record] = key
            if trace:
                self.key_traces = {**(self.key_traces or {}), record: trace}

    def forget(self) -> None:
        """Let go of what is inside of it, which knows what is around it, so that all is freed at once.

        To find such circles later is a tenth of what mapping a long report costs.
        """
        for each in self.children:
            if each.children or each.inner is not None:
                each.forget()
        self.children, self.inner = (), None

    def inside(self, group: str) -> list[Context]:
        """The instances of a group in this one, in order."""
        found: list[Context] = []
        for child in self.children:
            if child.group == group:
                if child.anchored:
                    found.append(child)
            elif child.children:
                found += child.inside(group)
        return found


class Top(Context):
    """The message as a whole. A segment that opens a group, or that no group knows, is found here as well."""

    __slots__ = ("_message", "_only_inside", "orphans")

    def __init__(
        self, message: Message, own: list[AnySegment] | None, only_inside: frozenset[str] = NOTHING
    ) -> None:
        super().__init__(None, own)
        self._message = message
        self._only_inside = only_inside
        self.orphans: list[AnySegment] = []

    def named(self, name: str) -> Sequence[AnySegment]:
        """The segments of one name."""
        if self.own is None:
            return self._message.named(name)
        found = [segment for segment in self.own if segment.name == name]
        return found or (() if name in self._only_inside else self._message.named(name))


class Arrangement:
    """The groups of one mapping, ready to take messages apart."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self._anchors: dict[str, list[Group]] = {}
        self._leads: dict[str, Group] = {}
        self._held: frozenset[str] = frozenset(
            name for group in groups.values() for name in (group.anchor, *group.lead, *group.has)
        )
        for group in groups.values():
            self._anchors.setdefault(group.anchor, []).append(group)
            for name in group.lead:
                self._leads.setdefault(name, group)
        self._plain_anchors = {
            name: found[0]
            for name, found in self._anchors.items()
            if len(found) == 1 and found[0].where is None
        }
        # What opens a group and may also stand in another opens it only inside of what it belongs to.
        self._contested = {name for name in self._anchors for group in groups.values() if name in group.has}
        self._again = {
            name: group.name for name, group in self._plain_anchors.items() if name not in self._contested
        }
        """The group of which its anchor opens another instance, right behind one of its own."""
        self._lines = {
            name: (group, group.lines)
            for name, group in self._plain_anchors.items()
            if group.lines is not None
        }
        self._closed = {name: group.closed for name, group in groups.items()}
        opening = {*self._anchors, *self._leads}
        self._only_inside = self._held - opening
        self.declared = self._held

    def arrange(self, message: Message) -> Top:
        """The message as a tree of instances. Every segment is in exactly one ``own``."""
        own: list[AnySegment] = []
        top = Top(message, own, self._only_inside)
        here: Context = top
        groups, held, again, lines = self.groups, self._held, self._again, self._lines
        first: dict[tuple[int, tuple[str, ...]], Context] = {}
        for segment in message.segments:
            name = segment.name
            if name not in held:
                here.own.append(segment)  # type: ignore[union-attr]
                continue
            if name in lines and (line := lines[name][1].of(segment)) is not None:
                here = self._line(top, here, lines[name][0], line, first)
                here.own.append(segment)  # type: ignore[union-attr]
                continue
            if name in again and here.group == again[name] and here.anchored:
                # One instance after the other, as in most reports: nothing is to be decided.
                parent = here.parent
                here = Context(parent, [segment], group=here.group, closed=here.closed)
                parent.children.append(here)  # type: ignore[union-attr]
                continue
            if (
                (group := self._plain_anchors.get(name)) is not None
                or (name in self._anchors and (group := self._opened_by(segment)) is not None)
            ) and not (name in self._contested and self._is_held(here, group, name)):
                here = self._open(top, here, group, leading=False)
            elif (group := self._leads.get(name)) is not None:
                waiting = here.group == group.name and not here.anchored
                if not waiting or any(each.name == name for each in here.own or ()):
                    here = self._open(top, here, group, leading=True)
            else:
                here = self._holder(here, name, groups)
            here.own.append(segment)  # type: ignore[union-attr]
        _number(top)
        return top

    def _line(
        self, top: Top, here: Context, group: Group, line: tuple[str, ...], first: dict[Any, Context]
    ) -> Context:
        """The instance of which a segment is a line: the one with the first such line inside of the same,
        also where others stand between; else a new one."""
        waiting = here.group == group.name and not here.anchored
        parent = here.parent if here.group == group.name else self._open_around(top, here, group)
        if waiting or (known := first.get((id(parent), line))) is None:
            known = self._open(top, here, group, leading=False)
            first[id(known.parent), line] = known
        return known

    def _opened_by(self, segment: AnySegment) -> Group | None:
        """The group that a segment opens; one that asks for a value goes before one that asks for none."""
        found = None
        for group in self._anchors.get(segment.name, ()):
            if group.where is None:
                found = found or group
            elif segment.value(group.where.component) == group.where.value:
                return group
        return found

    def _open(self, top: Top, here: Context, group: Group, *, leading: bool) -> Context:
        # What already holds other instances was not waiting for this anchor.
        if not leading and here.group == group.name and not here.anchored and not here.children:
            here.anchored = True
            return here
        parent = self._open_around(top, here, group)
        opened = Context(parent, [], group=group.name, closed=self._closed[group.name])
        opened.anchored = not leading
        if not parent.children:
            parent.children = []
        parent.children.append(opened)
        return opened

    def _open_around(self, top: Top, here: Context, group: Group) -> Context:
        """The nearest open instance of a group that this one may be inside of; without any, the message."""
        names = group.parents
        if not names:
            return top
        parent = here.parent
        if parent is not None and parent.group in names:
            return here if here.group in names else parent
        while names:
            for each in here.around():
                if each.group in names:
                    return each
            names = tuple(outer for name in names for outer in self.groups[name].parents)
        return top

    def _is_held(self, here: Context, group: Group, name: str) -> bool:
        """Whether a segment that would open a group is only one that the innermost open group may hold."""
        for each in here.around():
            if each.group in group.parents:
                return False
            if each.group and name in self.groups[each.group].has:
                return True
        return False

    def _holder(self, here: Context, name: str, groups: Groups) -> Context:
        for each in here.around():
            if each.group and name in groups[each.group].has:
                return each
        return here


def _number(top: Top) -> None:
    """Count instances, and note segments that led to nothing."""
    _count(top.children, {}, top.orphans)


def _count(children: Sequence[Context], in_message: dict[str, int], orphans: list[AnySegment]) -> None:
    """Count siblings in their order, and what is inside of each before the next. As deep as groups stand."""
    here: dict[str, int] = {}
    for each in children:
        if each.anchored:
            group = each.group
            in_message[group] = each.group_index = in_message.get(group, 0) + 1
            here[group] = each.index = here.get(group, 0) + 1
        else:
            orphans.extend(each.own or ())
        if each.children:
            _count(each.children, in_message, orphans)


def plain_view(context: Context, around: Mapping[str, AnySegment]) -> tuple[dict[str, AnySegment], Set[str]]:
    """What plain paths mean in a context, and which of its own segments come several times."""
    parent, group = context.parent, context.group
    if parent is None or not group:
        view = _without(around, context.closed)
    else:
        if parent.bases is None:
            parent.bases = {}
        base = parent.bases.get(group)
        if base is None:
            base = parent.bases[group] = _without(around, context.closed)
        view = base.copy()
    own = context.own or ()
    if len(own) == 1:
        (only,) = own
        view[only.name] = only
        return view, NOTHING
    several: set[str] = set()
    seen: set[str] = set()
    for segment in own:
        name = segment.name
        if name in seen:
            several.add(name)
        else:
            seen.add(name)
            view[name] = segment
    return view, several


def _without(around: Mapping[str, AnySegment], closed: frozenset[str]) -> dict[str, AnySegment]:
    return {name: segment for name, segment in around.items() if name not in closed}
