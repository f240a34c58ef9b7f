"""Messages that note which of their values are read, whatever their format: for accounting and lineage.

Of HL7 v2 it is `RecordedMessage`. X12, EDIFACT and what has no segments, rows, JSON and records, are noted
here in the same way: who reads has not to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.formats import hl7v2_leaves
from bridge.formats.document import TEXT, Document
from bridge.formats.edi import EdiMessage, EdiSegment
from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.hl7v2_leaves import Leaf, RecordedMessage
from bridge.mapping.messages import Message


@dataclass(frozen=True, slots=True)
class EdiLeaf(Leaf):
    """One value of X12 or EDIFACT: a component of an element, in one of its repetitions."""

    @property
    def place(self) -> str:
        """As its people write it: ``CLP[2]-01``, ``SVC-01.2``."""
        occurrence = f"[{self.occurrence}]" if self.occurrence > 1 else ""
        repetition = f"({self.repetition})" if self.several else ""
        return f"{self.segment}{occurrence}-{self.field:02}{repetition}{self._component()}"

    @property
    def path(self) -> str:
        """What a mapping would read."""
        return f"{self.segment}-{self.field:02}{self._component()}"

    def _component(self) -> str:
        return "" if self.alone else f".{self.component}"


@dataclass(frozen=True, slots=True)
class NamedLeaf(Leaf):
    """One value of a row, a document or a record. ``segment`` is its path, with (*) in lists."""

    shown: str = ""

    @property
    def place(self) -> str:
        """Where it is, with numbers: ``$.lines(2).code``."""
        return self.shown

    @property
    def path(self) -> str:
        """What a mapping would read."""
        return self.segment


class Notes:
    """What was read so far. ``on_read`` is told of each reading that found something."""

    def __init__(self) -> None:
        self.read_leaves: dict[Leaf, None] = {}
        self.on_read: Callable[[Leaf], None] | None = None

    def note(self, leaf: Leaf) -> None:
        """A leaf was read."""
        self.read_leaves[leaf] = None
        if self.on_read is not None:
            self.on_read(leaf)


class RecordedEdi(EdiMessage):
    """A message of X12 or EDIFACT that notes what is read of it."""

    def __init__(self, message: EdiMessage) -> None:
        self.notes = Notes()
        seen: dict[str, int] = {}
        recorded = []
        for segment in message.segments:
            seen[segment.name] = seen.get(segment.name, 0) + 1
            recorded.append(_RecordedSegment(self, segment, seen[segment.name]))
        super().__init__(tuple(recorded), message.delimiters, message.refused)
        self._of = message

    @property
    def message_type(self) -> str:
        """As the message has it."""
        return self._of.message_type

    @property
    def version(self) -> str:
        """As the message has it."""
        return self._of.version

    @property
    def control_id(self) -> str:
        """As the message has it."""
        return self._of.control_id

    @property
    def read_leaves(self) -> dict[Leaf, None]:
        """What was read so far."""
        return self.notes.read_leaves

    def all_leaves(self) -> Iterator[Leaf]:
        """Every value, in order."""
        for segment in self.segments:
            assert isinstance(segment, _RecordedSegment), "all of them are"
            yield from segment.leaves.values()


class _RecordedSegment(EdiSegment):
    """``at`` is the element and repetition that a part of a segment stands for."""

    __slots__ = ("_message", "_occurrence", "at", "leaves")

    def __init__(
        self, message: RecordedEdi, of: EdiSegment, occurrence: int, at: tuple[int, int] | None = None
    ) -> None:
        super().__init__(of.name, of.index, of._fields, of._delimiters)
        self._message, self._occurrence, self.at = message, occurrence, at
        self.leaves = {} if at is not None else dict(_leaves_of(of, occurrence))

    def value(self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1) -> str | None:
        value = super().value(field, repetition, component, subcomponent)
        if value is not None:
            whole = self._message.segments[self.index] if self.at is not None else self
            place = (*(self.at or (field, repetition)), component)
            assert isinstance(whole, _RecordedSegment), "all of them are"
            self._message.notes.note(whole.leaves[place])
        return value

    def each_repetition(self, number: int) -> Iterator[EdiSegment]:
        for repetition, each in enumerate(super().each_repetition(number), 1):
            yield _RecordedSegment(self._message, each, self._occurrence, (number, repetition))


def _leaves_of(segment: EdiSegment, occurrence: int) -> Iterator[tuple[tuple[int, int, int], Leaf]]:
    delimiters = segment._delimiters
    for number, text in enumerate(segment._fields[1:], 1):
        whole = segment.name == "ISA"  # its elements name the separators, and are never parted
        repetitions = [text] if whole else text.split(delimiters.repetition)
        for repetition, in_repetition in enumerate(repetitions, 1):
            components = [in_repetition] if whole else in_repetition.split(delimiters.component)
            for component, leaf in enumerate(components, 1):
                if leaf:
                    at = (number, repetition, component)
                    yield (
                        at,
                        EdiLeaf(
                            segment.index,
                            segment.name,
                            occurrence,
                            *at,
                            1,
                            None,
                            len(leaf.encode("utf-8", "replace")),
                            len(repetitions) > 1,
                            len(components) == 1,
                        ),
                    )


class RecordedDocument(Document):
    """Rows, a JSON document or a record that notes what is read of it."""

    def __init__(self, document: Document) -> None:
        self.notes = Notes()
        self._leaves: list[Leaf] = []
        rows: Sequence[Any] = ()
        if document.form in ("delimited", "fixed"):
            # `$root` means the first row, which is one of them.
            rows = [self._of(row, "$", f"row {number}: $") for number, row in enumerate(document.rows, 1)]
            root: Any = rows[0] if rows else {}
        else:
            root = self._of(document.root, "$", "$")
            rows = [each for each in root if isinstance(each, dict)] if isinstance(root, list) else ()
        around = "$meta" if document.form == "record" else "$header"
        super().__init__(
            document.form,
            root,
            rows=rows,
            header=self._of(document.header, around, around),
            trailer=self._of(document.trailer, "$trailer", "$trailer"),
            refused=document.refused,
        )

    @property
    def read_leaves(self) -> dict[Leaf, None]:
        """What was read so far."""
        return self.notes.read_leaves

    def all_leaves(self) -> Iterator[Leaf]:
        """Every value, in order."""
        yield from self._leaves

    def _of(self, node: Any, path: str, place: str) -> Any:
        """The same, noting what is read of it; leaves are gathered on the way."""
        if isinstance(node, Mapping):
            leaves: dict[Any, Leaf] = {}
            made = _Names(self.notes, leaves)
            for name, value in node.items():
                step = _step(str(name))
                dict.__setitem__(made, name, self._of(value, path + step, place + step))
                self._gather(name, value, path + step, place + step, leaves)
            return made
        if isinstance(node, list | tuple):
            found: dict[Any, Leaf] = {}
            items = _Items(self.notes, found)
            for number, value in enumerate(node):
                at = f"{place}({number + 1})"
                list.append(items, self._of(value, f"{path}(*)", at))
                self._gather(number, value, f"{path}(*)", at, found)
            return items
        return node

    def _gather(self, key: Any, value: Any, path: str, place: str, leaves: dict[Any, Leaf]) -> None:
        if value is NULL or (isinstance(value, str | bool | int) and value != ""):
            size = len(str(value).encode("utf-8", "replace"))
            leaf = NamedLeaf(len(self._leaves), path, 1, 0, 1, 1, 1, None, size, False, True, place)
            leaves[key] = leaf
            self._leaves.append(leaf)


def _step(name: str) -> str:
    """A name as a path has it. The text of an element is read as the element."""
    if name == TEXT:
        return ""
    return f".{name}" if name.removeprefix("@").isidentifier() else f"['{name}']"


class _Names(dict[Any, Any]):
    def __init__(self, notes: Notes, leaves: Mapping[Any, Leaf]) -> None:
        super().__init__()
        self._notes, self._leaves = notes, leaves

    def get(self, key: Any, default: Any = None) -> Any:
        if key in self._leaves:
            self._notes.note(self._leaves[key])
        return super().get(key, default)


class _Items(list[Any]):
    def __init__(self, notes: Notes, leaves: Mapping[Any, Leaf]) -> None:
        super().__init__()
        self._notes, self._leaves = notes, leaves

    def __getitem__(self, at: Any) -> Any:
        if at in self._leaves:
            self._notes.note(self._leaves[at])
        return super().__getitem__(at)

    def __iter__(self) -> Iterator[Any]:
        for at, value in enumerate(super().__iter__()):
            if at in self._leaves:
                self._notes.note(self._leaves[at])
            yield value


Recorded = RecordedMessage | RecordedEdi | RecordedDocument


def recorded(message: Message) -> Recorded:
    """The same message, of which nothing is read yet."""
    if isinstance(message, EdiMessage):
        return RecordedEdi(message)
    if isinstance(message, Document):
        return RecordedDocument(message)
    return RecordedMessage.of(message)


def leaves(message: Recorded) -> Iterator[Leaf]:
    """All values of a message, in the order in which they stand; none of one that was refused."""
    if message.refused is not None:
        return iter(())
    if isinstance(message, Hl7Message):
        return hl7v2_leaves.leaves(message)
    return message.all_leaves()
