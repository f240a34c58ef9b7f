"""A compiled entry of `emit:` that makes a message, and what it makes of one that came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from bridge.formats.hl7v2 import Delimiters, Hl7Message, Value
from bridge.formats.hl7v2_delimiters import STANDARD
from bridge.formats.hl7v2_write import (
    Hl7Draft,
    NotReversible,
    NotWritable,
    Place,
    PlaceMissing,
    SeveralPlaces,
    Spot,
    Unwritable,
    Written,
)
from bridge.mapping.codes import CODES
from bridge.mapping.contexts import Context
from bridge.mapping.each import Each, contexts
from bridge.mapping.reading import Reader, Run
from bridge.mapping.rules import Rule
from bridge.mapping.steps import Finish, RecordRejected, holds, note, rejected
from bridge.mapping.trace import parted
from bridge.mapping.values import ValueRefused, bounded_text
from bridge.message import Change, Issue, MadeMessage, SourceLeaf

MESSAGE: Final = "message"
"""What stands where a record's name would: in issues and in tests."""
ADDED_MAX_SEGMENTS: Final = 1000
_PLACES_MAX_COUNT: Final = 4
"""Of the places that an issue names: enough to find them, few enough to read."""


@dataclass(frozen=True, slots=True)
class PlaceStep:
    """One place: as it is written, what it means, and what gives its value."""

    name: str
    place: Place
    finish: Finish
    rule: Rule


@dataclass(frozen=True, slots=True)
class Removal:
    """What is taken out, and where the file says so."""

    name: str
    place: Place
    rule: str


@dataclass(frozen=True, slots=True)
class AddedSegment:
    """A segment that is added where its condition holds and one of its rules gives something."""

    name: str
    after: str | None
    rule: str
    when: Reader | None
    steps: tuple[PlaceStep, ...]
    each: Each | None = None
    then: tuple[AddedSegment, ...] = ()

    @property
    def all_steps(self) -> Iterator[PlaceStep]:
        """Its rules, and those of what stands behind it."""
        yield from self.steps
        for segment in self.then:
            yield from segment.all_steps


@dataclass(frozen=True, slots=True)
class RepeatedPart:
    """What is set and taken out in each segment, instance or repetition."""

    each: Each
    when: Reader | None
    steps: tuple[PlaceStep, ...]
    removals: tuple[Removal, ...]


@dataclass(frozen=True, slots=True)
class MessageBlock:
    """One entry of `emit` that makes a message, ready to run."""

    copied: bool
    when: Reader | None
    steps: tuple[PlaceStep, ...]
    removals: tuple[Removal, ...]
    added: tuple[AddedSegment, ...]
    repeated: tuple[RepeatedPart, ...]
    codec: str | None
    delimiters: Delimiters | None
    unwritable: Unwritable
    fail: bool
    rule: str

    @property
    def all_steps(self) -> tuple[PlaceStep, ...]:
        """The rules, those of added segments and of what is repeated among them."""
        added = (step for segment in self.added for step in segment.all_steps)
        return (*self.steps, *added, *(step for part in self.repeated for step in part.steps))

    def make(self, run: Run, *, lineage: bool) -> MadeMessage | None:
        """The message; None where the condition does not hold. Raises RecordRejected.

        Every rule and every place is read from the message as it came, before anything is changed.
        """
        if not holds(self.when, MESSAGE, run):
            return None
        draft = self._draft(run)
        values = _values(self.steps, run)
        adding: list[tuple[AddedSegment, str | None, list[SetValue]]] = []
        _add(self.added, None, run, adding)
        found = [(removal, draft.everywhere(removal.place)) for removal in self.removals]
        spots = [(_spot(draft, each, run), each) for each in values]
        for part in self.repeated:
            part_spots, part_found = in_each(part, draft, run)
            spots += part_spots
            found += part_found
        changes: list[Change] = []
        for spot, each in spots:
            if spot is not None:
                draft.put(spot, each.value)
                changes.append(each.change())
        draft.remove([spot for _, its in found for spot in its])
        changes += [Change(removal.name, "removed", removal.rule) for removal, its in found if its]
        for segment, after, its in adding:
            try:
                draft.append(segment.name, after, [(each.step.place, each.value) for each in its])
            except PlaceMissing:
                raise _issue(run, "R050", after or "", segment.rule) from None
            changes.append(Change(segment.name, "added", segment.rule))
            changes += [each.change() for each in its]
        written = self._written(draft, run)
        return MadeMessage("hl7v2", written.body, tuple(changes) if lineage else ())

    def _draft(self, run: Run) -> Hl7Draft:
        if not self.copied:
            return Hl7Draft.new(self.delimiters or STANDARD)
        assert isinstance(run.message, Hl7Message), "a copy is of a message of HL7 v2"
        return Hl7Draft.copy(run.message)

    def _written(self, draft: Hl7Draft, run: Run) -> Written:
        delimiters = self.delimiters if self.copied else None
        try:
            written = draft.write(codec=self.codec, delimiters=delimiters, unwritable=self.unwritable)
        except NotWritable as refused:
            raise _issue(run, "R052", _some(refused.places), self.rule) from None
        except NotReversible:
            raise _issue(run, "R053", "", self.rule) from None
        if written.respelt:
            _issue(run, "R052", _some(written.respelt), self.rule)
        return written


@dataclass(frozen=True, slots=True)
class SetValue:
    """What a rule gave, and the paths that it came from where they were traced. ``at``: which of several."""

    step: PlaceStep
    value: Value
    sources: tuple[str, ...]
    leaves: tuple[SourceLeaf, ...]
    at: str = ""

    def change(self) -> Change:
        """It, as a change of the message."""
        what: Literal["set", "emptied"] = "emptied" if self.value is None else "set"
        name = self.at or self.step.name
        return Change(name, what, str(self.step.rule.place), self.sources, self.leaves)


def _add(
    segments: tuple[AddedSegment, ...],
    after: str | None,
    run: Run,
    adding: list[tuple[AddedSegment, str | None, list[SetValue]]],
) -> None:
    """Note each segment that is to be added, behind which, and with what. Raises RecordRejected."""
    for segment in segments:
        behind = segment.after if after is None else after
        for _ in gone_through(segment.each, run):
            if not holds(segment.when, MESSAGE, run):
                continue
            its = [value for value in _values(segment.steps, run) if value.value is not None]
            if its:
                adding.append((segment, behind, its))
                _add(segment.then, behind, run, adding)
            if len(adding) > ADDED_MAX_SEGMENTS:
                raise _issue(run, "R040", "", segment.rule)


def in_each(
    part: RepeatedPart, draft: Hl7Draft, run: Run
) -> tuple[list[tuple[Spot | None, SetValue]], list[tuple[Removal, list[Spot]]]]:
    """What is set in each of what is gone through, and what is taken out. Raises RecordRejected."""
    spots: list[tuple[Spot | None, SetValue]] = []
    found: list[tuple[Removal, list[Spot]]] = []
    for context in gone_through(part.each, run):
        if not holds(part.when, MESSAGE, run):
            continue
        repetition = context.index - 1 if context.current is not None else None
        for each in _values(part.steps, run):
            its = _within(each.step.place, context, repetition, draft, run)
            if each.value is None and not any(map(draft.is_there, its)):
                continue
            if len(its) != 1:
                note(run, "R051" if its else "R050", MESSAGE, each.step.rule)
                raise RecordRejected
            spots.append((its[0], replace(each, at=_at(each.step, context))))
        for removal in part.removals:
            its = _within(removal.place, context, repetition, draft, run)
            found.append((removal, [spot for spot in its if draft.is_there(spot)]))
    return spots, found


def _within(place: Place, context: Context, repetition: int | None, draft: Hl7Draft, run: Run) -> list[Spot]:
    """Where a place is in what is current: in a segment of its own, or in one repetition of a field."""
    segment = run.segments.get(place.segment)
    if segment is None or (repetition is None and segment not in (context.own or ())):
        return []
    return draft.within(segment.index, place, repetition)


def _at(step: PlaceStep, context: Context) -> str:
    """A place by which one of several it is: `OBX(2)-3.1`, `PID-3(2).4`."""
    if context.current is None:
        return step.name.replace("-", f"({context.group_index})-", 1)
    whole = f"{step.place.segment}-{step.place.field}"
    return step.name.replace(whole, f"{whole}({context.index})", 1)


def gone_through(each: Each | None, run: Run) -> Iterator[Context]:
    """Enter each of what is gone through; without ``each``, stay. Raises RecordRejected."""
    here = run.here
    try:
        for context in (here,) if each is None else contexts(each, run):
            if context is not run.here:
                run.enter(context)
            yield context
    except ValueRefused as refused:
        run.issues.append(Issue(refused.code, MESSAGE, "for_each", str(refused)))
        raise RecordRejected from None
    finally:
        if run.here is not here:
            run.enter(here)


def _values(steps: tuple[PlaceStep, ...], run: Run) -> list[SetValue]:
    values: list[SetValue] = []
    for step in steps:
        run.trace = {}
        try:
            value = step.finish(run)
            if isinstance(value, str) and "\0" in bounded_text(value):
                raise ValueRefused("R020", "a NUL cannot stand in a message")
        except ValueRefused as refused:
            raise rejected(run, refused, MESSAGE, step.rule) from None
        values.append(SetValue(step, None if value == "" else value, *parted(run.trace)[:2]))
    return values


def _spot(draft: Hl7Draft, each: SetValue, run: Run) -> Spot | None:
    """Where a value comes; None where nothing is to be set and nothing is there."""
    try:
        if each.value is None and not draft.everywhere(each.step.place):
            return None
        return draft.spot(each.step.place)
    except PlaceMissing:
        note(run, "R050", MESSAGE, each.step.rule)
    except SeveralPlaces:
        note(run, "R051", MESSAGE, each.step.rule)
    raise RecordRejected


def _issue(run: Run, code: str, source: str, rule: str) -> RecordRejected:
    """Note an issue of the whole message. What to raise where it is not to go on."""
    run.issues.append(Issue(code, MESSAGE, "", f"{CODES[code]} (rule at {rule})", source))
    return RecordRejected()


def _some(places: Sequence[str]) -> str:
    return ", ".join(places[:_PLACES_MAX_COUNT])
