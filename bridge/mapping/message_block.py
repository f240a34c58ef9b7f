"""A compiled entry of `emit:` that makes a message, and what it makes of one that came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from bridge.mapping.reading import Reader, Run
from bridge.mapping.rules import Rule
from bridge.mapping.steps import Finish, RecordRejected, holds, note, rejected
from bridge.mapping.trace import parted
from bridge.mapping.values import ValueRefused, bounded_text
from bridge.message import Change, Issue, MadeMessage, SourceLeaf

MESSAGE: Final = "message"
"""What stands where a record's name would: in issues and in tests."""
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


@dataclass(frozen=True, slots=True)
class MessageBlock:
    """One entry of `emit` that makes a message, ready to run."""

    copied: bool
    when: Reader | None
    steps: tuple[PlaceStep, ...]
    removals: tuple[Removal, ...]
    added: tuple[AddedSegment, ...]
    codec: str | None
    delimiters: Delimiters | None
    unwritable: Unwritable
    fail: bool
    rule: str

    @property
    def all_steps(self) -> tuple[PlaceStep, ...]:
        """The rules, those of added segments among them."""
        return (*self.steps, *(step for added in self.added for step in added.steps))

    def make(self, run: Run, *, lineage: bool) -> MadeMessage | None:
        """The message; None where the condition does not hold. Raises RecordRejected.

        Every rule and every place is read from the message as it came, before anything is changed.
        """
        if not holds(self.when, MESSAGE, run):
            return None
        draft = self._draft(run)
        values = _values(self.steps, run)
        adding = [
            (each, [value for value in _values(each.steps, run) if value.value is not None])
            for each in self.added
            if holds(each.when, MESSAGE, run)
        ]
        found = [(removal, draft.everywhere(removal.place)) for removal in self.removals]
        spots = [(_spot(draft, each, run), each) for each in values]
        changes: list[Change] = []
        for spot, each in spots:
            if spot is not None:
                draft.put(spot, each.value)
                changes.append(each.change())
        draft.remove([spot for _, its in found for spot in its])
        changes += [Change(removal.name, "removed", removal.rule) for removal, its in found if its]
        for segment, its in adding:
            if not its:
                continue
            try:
                draft.append(segment.name, segment.after, [(each.step.place, each.value) for each in its])
            except PlaceMissing:
                raise _issue(run, "R050", segment.after or "", segment.rule) from None
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
class _Value:
    """What a rule gave, and the paths that it came from where they were traced."""

    step: PlaceStep
    value: Value
    sources: tuple[str, ...]
    leaves: tuple[SourceLeaf, ...]

    def change(self) -> Change:
        what: Literal["set", "emptied"] = "emptied" if self.value is None else "set"
        return Change(self.step.name, what, str(self.step.rule.place), self.sources, self.leaves)


def _values(steps: tuple[PlaceStep, ...], run: Run) -> list[_Value]:
    values: list[_Value] = []
    for step in steps:
        run.trace = {}
        try:
            value = step.finish(run)
            if isinstance(value, str) and "\0" in bounded_text(value):
                raise ValueRefused("R020", "a NUL cannot stand in a message")
        except ValueRefused as refused:
            raise rejected(run, refused, MESSAGE, step.rule) from None
        values.append(_Value(step, None if value == "" else value, *parted(run.trace)[:2]))
    return values


def _spot(draft: Hl7Draft, each: _Value, run: Run) -> Spot | None:
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
