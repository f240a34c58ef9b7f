"""Paths become readers: what a compiled expression asks of a message while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import islice
from typing import Any, Final

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.formats.document import TEXT, Document
from bridge.formats.hl7v2 import NULL, Segment
from bridge.formats.hl7v2_leaves import Leaf
from bridge.mapping import first_repetition
from bridge.mapping.codes import CODES
from bridge.mapping.contexts import Arrangement, Context, Top, plain_view
from bridge.mapping.messages import AnySegment, Message
from bridge.mapping.syntax import Member, Path, Where
from bridge.mapping.times import ZonesBySender, message_zone
from bridge.mapping.values import Seen, Value, ValueRefused
from bridge.message import Issue


class Unset:
    """Stands in the place of a let that nobody has asked for yet."""


UNSET: Final = Unset()
_NOT_ASKED: Final = Unset()
NO_NAMES: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Reads:
    """What a plan reads of a message: the segments by name, and where one of several would be passed over.

    ``once`` are those that a path at the top means once, ``by_group`` those that one in a group does.
    """

    names: frozenset[str]
    once: frozenset[str] = NO_NAMES
    by_group: Mapping[str, frozenset[str]] = field(default_factory=dict)
    arrangement: Arrangement | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a rule took that stands in the file itself: a constant, a default, the row of a table."""

    text: str


Zone = tzinfo | ZonesBySender | None
"""Where times without an offset were told, as a mapping declares it."""
Trace = dict[str | Leaf | Taken, None]
"""What a value came from, in order: paths of the file, values of the message, what the file itself gave."""


class Run:
    """One message on its way through one plan. Lives as long as that, and is seen by nobody else.

    ``here`` is the context that is read from; ``owners`` has the instance of each group that it is inside of.
    ``parts`` are the whole of what has no segments, and what stands before and after its rows.
    ``first`` is what reads first repetitions, once something that is written out has asked for it.
    ``lets`` holds the values of lets so far, ``trace`` the paths that gave values (an ordered set), for
    traced readers.
    """

    __slots__ = (
        "_declared",
        "_reads",
        "_zone",
        "first",
        "here",
        "issues",
        "lets",
        "local",
        "message",
        "noted",
        "owners",
        "parts",
        "repeated",
        "rows",
        "seen",
        "times",
        "top",
        "trace",
        "traces",
    )

    def __init__(self, message: Message, reads: Reads, lets_count: int, declared: Zone) -> None:
        self.message = message
        self.parts: dict[str, Any] = {}
        self.rows: Sequence[Any] = ()
        self.repeated: list[str] = []
        self.seen = Seen()
        self.times: dict[str, str] = {}
        self._reads = reads
        self.lets: list[Value | Unset] = [UNSET] * lets_count
        self.local: Mapping[str, Sequence[int]] = {}
        self.owners: dict[str, Context | None] = {}
        self.first: first_repetition.Readers | None = None
        self.issues: list[Issue] = []
        self.noted: list[str] = []
        self.trace: Trace = {}
        self.traces: dict[int, Trace] = {}
        self._declared = declared
        self._zone: tzinfo | Unset | None = _NOT_ASKED
        self.top = self._top(message)
        self.here: Context = self.top

    def _top(self, message: Message) -> Top:
        reads = self._reads
        segments: dict[str, AnySegment] = {}
        top = Top(message, None) if reads.arrangement is None else reads.arrangement.arrange(message)
        for name in reads.names:
            if present := top.named(name):
                segments[name] = present[0]
                if len(present) > 1 and name in reads.once:
                    self.repeated.append(name)
        if isinstance(message, Document):
            self.parts = {"root": message.root, "header": message.header, "trailer": message.trailer}
            self.rows, top.item = message.rows, message.root
        top.view = segments
        return top

    @property
    def segments(self) -> dict[str, AnySegment]:
        """The view of where it reads: the segment that each plain path means."""
        here = self.here
        return here.view if here.view is not None else self._view(here)

    def changing(self, group: str) -> Sequence[int]:
        """Slots of the lets that mean other things in each instance of a group inside of the same."""
        return (*self.local.get(group, ()), *self.local.get("", ()))

    def enter(self, context: Context) -> None:
        """Read from ``context`` from now on. What depends on where it is read is found anew."""
        before, self.here = self.here, context
        self._view(context)
        lets, group = self.lets, context.group
        if group and group == before.group and context.parent is before.parent:
            # Of two instances of one group inside of the same, all that is around is the same.
            self.owners[group] = context
            for slot in self.changing(group):
                lets[slot] = UNSET
            return
        # One segment or repetition of several means other things than what is around it does.
        apart = bool(context.closed or context.current_of) and not group
        for name, slots in self.local.items():
            if apart:
                owner = None
            elif group == name:
                owner = context
            else:
                owner = _owner(context.parent, name)
            if apart or not name or owner is not self.owners.get(name):
                self.owners[name] = owner
                for slot in slots:
                    lets[slot] = UNSET

    def _view(self, context: Context) -> dict[str, AnySegment]:
        if context.view is None:
            parent = context.parent
            around = self._view(parent) if parent is not None else {}
            context.view, several = plain_view(context, around)
            if several and context.group:
                for name in sorted(several & self._reads.by_group.get(context.group, NO_NAMES)):
                    self.issues.append(Issue("R005", "", "", CODES["R005"], name))
        return context.view

    def zone(self) -> tzinfo | None:
        """Where a time without an offset was told."""
        if isinstance(self._zone, Unset):
            told, declared = self.message.value("MSH", 7), self._declared
            if isinstance(declared, ZonesBySender):
                present = self.top.named(declared.segment)
                said = present[0].value(declared.field, 1, declared.component) if present else None
                declared = declared.of(said)
            self._zone = message_zone(told if isinstance(told, str) else "", declared)
        return self._zone


Reader = Callable[[Run], Value]


def reader(path: Path, *, traced: bool) -> Reader:
    """What reads ``path``; a traced one notes the path where it gave something."""
    plain = _plain_reader(path)
    if not traced:
        return plain
    text = path.text

    def read(run: Run) -> Value:
        value = plain(run)
        if value is not None:
            run.trace[text] = None
        return value

    return read


def _owner(here: Context | None, group: str) -> Context | None:
    """The instance of a group that a context is inside of."""
    while here is not None and here.group != group:
        here = here.parent
    return here


def _plain_reader(path: Path) -> Reader:
    find = finder(path)
    if path.repetition is None or path.which is None:
        return _all(path)
    if isinstance(path.repetition, Where):
        return _where(path, path.repetition, find)
    field, repetition = path.field, path.repetition
    segment, leaf = path.segment, leaf_reader(path)
    if find is not None or path.whole:

        def read_chosen(run: Run) -> Value:
            found = run.segments.get(segment) if find is None else find(run)
            return None if found is None else leaf(found, field, repetition)

        return read_chosen
    component, subcomponent = path.component or 1, path.subcomponent or 1

    def read(run: Run) -> Value:
        found = run.segments.get(segment)
        return None if found is None else found.value(field, repetition, component, subcomponent)

    return read


def current_reader(path: Path, *, traced: bool) -> Reader:
    """What reads ``path`` where each repetition of its field is gone through: the one that is current."""
    name, text, leaf = f"{path.segment}-{path.field}", path.text, leaf_reader(path)

    def read(run: Run) -> Value:
        for each in run.here.around():
            if each.current_of == name and each.current is not None:
                value = leaf(each.current, 1, 1)
                if traced and value is not None:
                    run.trace[text] = None
                return value
        return None

    return read


def finder(path: Path) -> Callable[[Run], AnySegment | None] | None:
    """What finds the segment of a path that names one of several; None where a plain path is meant."""
    which, segment = path.which, path.segment
    if isinstance(which, Where):
        number, wanted = which.component, which.value

        def matching(run: Run) -> AnySegment | None:
            for context in run.here.around():
                for each in context.named(segment):
                    if each.value(number) == wanted:
                        return each
                if segment in context.closed:
                    return None
            return None

        return matching
    if which is None or path.passes_over:
        return None
    number_of_it = which

    def numbered(run: Run) -> AnySegment | None:
        present = run.here.named(segment)
        return present[number_of_it - 1] if number_of_it <= len(present) else None

    return numbered


def leaf_reader(path: Path) -> Callable[[AnySegment, int, int], Value]:
    """What gives what a path means of a segment's field and repetition: one leaf, or the whole text."""
    if path.whole:
        # Other formats have no text that is not parted: `check` refuses such a path there.
        return lambda found, field, repetition: found.whole(field, repetition)  # type: ignore[union-attr]
    component, subcomponent = path.component or 1, path.subcomponent or 1
    return lambda found, field, repetition: found.value(field, repetition, component, subcomponent)


def _where(path: Path, where: Where, find: Callable[[Run], AnySegment | None] | None) -> Reader:
    segment, field, leaf = path.segment, path.field, leaf_reader(path)

    def read(run: Run) -> Value:
        found = run.segments.get(segment) if find is None else find(run)
        matching = None if found is None else _matching(found, field, where)
        return None if matching is None else leaf(matching, 1, 1)

    return read


def _matching(segment: AnySegment, field: int, where: Where) -> AnySegment | None:
    """The first repetition whose component is the wanted value. The same is asked for each component of an
    identifier, and for the key that order is kept for."""
    if type(segment) is not Segment:
        return _first_matching(segment, field, where)
    asked = field, where.component, where.value
    if (kept := segment.kept) is None:
        kept = segment.kept = {}
    if asked not in kept:
        kept[asked] = _first_matching(segment, field, where)
    found: AnySegment | None = kept[asked]
    return found


def _first_matching(segment: AnySegment, field: int, where: Where) -> AnySegment | None:
    for repetition in repetitions(segment, field):
        if repetition.value(1, 1, where.component) == where.value:
            return repetition
    return None


def repetitions(found: AnySegment, field: int) -> list[AnySegment]:
    """Each repetition as the only field of a segment of its own."""
    each: list[AnySegment] = list(islice(found.each_repetition(field), LIST_MAX_ITEMS + 1))
    if len(each) > LIST_MAX_ITEMS:
        raise ValueRefused("R040", f"a field has more than {LIST_MAX_ITEMS} repetitions")
    return each


def _all(path: Path) -> Reader:
    """A list: of every repetition, of every segment of the name, or of both."""
    segment, field, which, repetition = path.segment, path.field, path.which, path.repetition
    find, leaf = finder(path), leaf_reader(path)

    def segments(run: Run) -> Sequence[AnySegment]:
        if which is None:
            return run.here.named(segment)
        found = run.segments.get(segment) if find is None else find(run)
        return () if found is None else (found,)

    def read(run: Run) -> Value:
        values: list[Value] = []
        for each in segments(run):
            if repetition is None:
                values += [leaf(one, 1, 1) for one in repetitions(each, field)]
            elif isinstance(repetition, Where):
                matching = _matching(each, field, repetition)
                values.append(None if matching is None else leaf(matching, 1, 1))
            else:
                values.append(leaf(each, field, repetition))
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) > LIST_MAX_ITEMS:
            raise ValueRefused("R040", f"a list would have more than {LIST_MAX_ITEMS} items")
        return texts or (NULL if NULL in values else None)

    return read


def member_reader(member: Member, *, traced: bool) -> Reader:
    """What reads a place of a row, a JSON document or a record."""
    base, steps, text = member.base, member.steps, member.text

    def read(run: Run) -> Value:
        value = leaf_of(member_at(run.here.item if base == "item" else run.parts.get(base), steps))
        if traced and value is not None:
            run.trace[text] = None
        return value

    return read


def member_at(value: Any, steps: Sequence[str | int | None]) -> Any:
    """What stands below ``value``; None where nothing does. A list for `(*)`: of what its entries have."""
    for at, step in enumerate(steps):
        if step is None:
            items = value if isinstance(value, list | tuple) else [] if value is None else [value]
            found = [member_at(each, steps[at + 1 :]) for each in items]
            flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
            return [each for each in flat if each is not None]
        if isinstance(step, str):
            if isinstance(value, Mapping):
                value = value.get(step)
            elif step != TEXT or not isinstance(value, str):
                return None
        elif isinstance(value, list | tuple):
            value = value[step - 1] if step <= len(value) else None
        elif step != 1:
            return None
        if value is None:
            return None
    return value


def leaf_of(value: Any) -> Value:
    """A leaf as the language has it: text; NULL where it is to be deleted; nothing for what is no leaf."""
    if isinstance(value, str):
        return value or None
    if value is None or value is NULL:
        return NULL if value is NULL else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        if len(value) > LIST_MAX_ITEMS:
            raise ValueRefused("R040", f"a list has more than {LIST_MAX_ITEMS} items")
        leaves = [leaf_of(each) for each in value]
        return [each for each in leaves if isinstance(each, str)] or None
    return leaf_of(value.get(TEXT)) if isinstance(value, Mapping) else None
