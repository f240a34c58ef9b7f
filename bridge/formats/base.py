"""What every format says about content that is not as it should be, and what the spine asks of a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol, overload, runtime_checkable

Balance = Literal["balanced", "undeclared", "no-trailer", "differs"]


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """One thing noticed while reading: a short code, where (``MSH-2``, ``line 4``), and a sentence.

    The text is for a person and never holds a value of the message. As an objection it ``holds`` the message
    back, or is noted with it.
    """

    code: str
    path: str
    text: str
    holds: bool = True


class Header(NamedTuple):
    """What intake decides from, of a format that has no MSH; `hl7v2_ack.MshPeek` has the same and more."""

    message_code_event: str = ""
    control_id: bytes = b""
    processing_id: bytes = b""
    version: bytes = b""
    readable: bool = False
    encoding_characters: bytes = b""


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of a file, and the byte of the file at which it begins."""

    offset_bytes: int
    body: bytes = field(repr=False)


class Pieces(Sequence[Piece]):
    """Messages of a file in order, in two columns: to make an object of each takes longer than to find it."""

    __slots__ = ("bodies", "offsets_bytes")

    def __init__(self, offsets_bytes: Iterable[int] = (), bodies: Iterable[bytes] = ()) -> None:
        self.offsets_bytes, self.bodies = list(offsets_bytes), list(bodies)

    def add(self, offset_bytes: int, body: bytes) -> None:
        """One more."""
        self.offsets_bytes.append(offset_bytes)
        self.bodies.append(body)

    def __len__(self) -> int:
        return len(self.bodies)

    def __iter__(self) -> Iterator[Piece]:
        return map(Piece, self.offsets_bytes, self.bodies)

    @overload
    def __getitem__(self, at: int) -> Piece: ...

    @overload
    def __getitem__(self, at: slice) -> Pieces: ...

    def __getitem__(self, at: int | slice) -> Piece | Pieces:
        if isinstance(at, slice):
            return Pieces(self.offsets_bytes[at], self.bodies[at])
        return Piece(self.offsets_bytes[at], self.bodies[at])


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a batch is not what it says: ``what`` differs, and ``place`` is where it says so."""

    what: str
    declared: str
    found: str
    place: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that belong together, as the file says, and its control totals.

    ``kind`` is what the format calls it, ``made`` the date that its header gives, as it stands there.
    ``first`` and ``last`` are numbers of messages from 1; without any, ``last`` is before ``first``. Totals
    are decimal text by their names. ``ended`` tells whether its trailer came; ``digest`` is of its messages.
    """

    kind: str
    control_id: str
    made: str
    offset_bytes: int
    first: int
    last: int
    declared: Mapping[str, str]
    found: Mapping[str, str]
    differences: tuple[Difference, ...]
    ended: bool
    digest: bytes

    @property
    def balance(self) -> Balance:
        """Whether what it says of itself is so."""
        if self.differences:
            return "differs"
        if not self.ended:
            return "no-trailer"
        return "balanced" if self.declared else "undeclared"

    @property
    def is_right(self) -> bool:
        """Whether nothing speaks against it. What declares no totals cannot be wrong about them."""
        return self.balance in ("balanced", "undeclared")


@runtime_checkable
class NamesColumns(Protocol):
    """Options of a format that may know which columns its rows have."""

    @property
    def columns_of(self) -> Mapping[str, frozenset[str]]:
        """The names of columns by what is read: ``item``, ``root``, ``header``, ``trailer``; without those
        of which only a file says them."""
        ...


class Unsplittable(Exception):
    """Bytes that are no file of this format. ``reason`` is a code, ``offset_bytes`` where that was seen.

    The text is for a person, and holds nothing of the file.
    """

    def __init__(self, reason: str, offset_bytes: int, text: str) -> None:
        self.reason, self.offset_bytes = reason, offset_bytes
        super().__init__(text)


class Splitter(Protocol):
    """One file, read once from its beginning. What it holds is bounded by the size of a message."""

    @property
    def batches(self) -> Sequence[Batch]:
        """The batches of it that have ended so far, in the order of their ends."""
        ...

    def feed(self, data: bytes) -> Sequence[Piece]:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        ...

    def end(self) -> Sequence[Piece]:
        """The file has ended; the rest of its messages. Raises Unsplittable."""
        ...


class Opened(Protocol):
    """A file as it came, read once from its beginning."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that was not taken: its number in its file, and its bytes as the journal has them."""

    number: int
    body: bytes = field(repr=False)


class Share(NamedTuple):
    """What a message adds to a total of its batch. Of a hash total the last ``digits`` of a sum count."""

    amount: Decimal
    digits: int = 0

    def plus(self, other: Share) -> Share:
        """Both together."""
        digits = self.digits or other.digits
        amount = self.amount + other.amount
        return Share(amount % Decimal(10**digits) if digits else amount, digits)


@runtime_checkable
class SharesInTotals(Protocol):
    """A `Format` whose files have totals of more than counts, which each message has its share in."""

    def shares(self, body: bytes) -> Mapping[str, Share]:
        """What a message adds to the totals of its batch, by their names; never raises on content."""
        ...


def amount_of_one(splitter: Splitter, body: bytes) -> Mapping[str, Share]:
    """What a message comes to that is a file of its own, as what takes such files apart adds it up."""
    try:
        splitter.feed(body)
        splitter.end()
    except Unsplittable:
        return {}
    found = next((each.found["amount"] for each in splitter.batches if "amount" in each.found), None)
    return {} if found is None else {"amount": Share(Decimal(found))}


class Format(Protocol):
    """How the bytes of a channel are read. Pure, and for any number of messages."""

    @property
    def strict(self) -> bool:
        """Whether nothing is tolerated."""
        ...

    def header(self, body: bytes) -> Any:
        """What intake decides from, read from the beginning alone; never raises on content."""
        ...

    def read(self, body: bytes) -> Any:
        """The message as mappings read it; never raises on content, and says what it noticed."""
        ...

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:
        """Why a channel that is strict takes no message like this; None where it does, or is not strict."""
        ...

    def content(self, body: bytes) -> bytes:
        """What a message says, without what differs each time that it is sent: numbers, times, its line."""
        ...

    def rejects(self, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
        """A file of what was not taken, which its sender can correct and send again.

        ``opened`` gives the file as it came, which rows are cut out of.
        """
        ...

    def splitter(self, message_max_bytes: int) -> Splitter:
        """What takes a file of several messages apart."""
        ...
