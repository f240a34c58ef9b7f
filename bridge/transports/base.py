"""What a transport and the spine say to each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Final, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort

from bridge.message import Received
from bridge.tls.client import Exchanges

Flaw = Literal["oversized", "truncated"]
"""What a transport itself found wrong: such a block is answered and recorded, but cannot be used."""


ODD_NAMED_MAX: Final = 5
_CHANNEL_ENDS: Final = "@"
"""Ends the name of a channel in a claim's word; it cannot be in one."""
NAME_SHOWN_MAX: Final = 255
"""Characters of a name that are shown of what is odd: a server may say longer ones."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the sender. ``data`` is None where nothing must be said.

    ``message_id`` is None where the message could not be journaled. ``later`` is a second answer, said on the
    same connection as soon as it is known and never before the first; it is cancelled where the connection is
    gone, and ``application`` tells that an answer is such a one. ``cut`` closes the connection, because no
    answer tells the sender that its message was not kept.
    """

    data: bytes | None
    message_id: int | None
    later: Deferred[Answer] | None = None
    application: bool = False
    cut: bool = False


class Intake(Protocol):
    """The spine's side of the door."""

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """Journal what arrived, then say what to answer. The Deferred always fires, and never fails."""
        ...

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """The answer was written to an open connection, or could not be."""
        ...


class Listener(Protocol):
    """A transport that is running."""

    async def start(self) -> IListeningPort | None:
        """Begin; the port that is listened on, None for a transport that has none.

        Raises twisted.internet.error.CannotListenError where the port is taken.
        """
        ...

    @property
    def connections(self) -> int:
        """How many peers are connected."""
        ...

    def prepare(self, options: Any) -> bool:
        """Make ready to take these options; False where they need another port, and so another listener.

        Raises PeerUnavailable, CertificateRefused and SecretUnavailable where they cannot be taken.
        """
        ...

    def use(self, options: Any) -> None:
        """Take options for which `prepare` was True: for new connections at least; no open one is dropped."""
        ...

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """When what is in use for TLS ends, in seconds since 1970, by its option; empty without TLS."""
        ...

    @property
    def certificates_not_reloaded(self) -> str:
        """Why changed files of TLS are not in use, for a person; empty where all is in use."""
        ...

    def look_at_certificates(self) -> Exchanges:
        """Take what has changed in the files of TLS, for new connections, and what became of it. Does not
        raise."""
        ...

    async def drain(self) -> None:
        """Take nothing more, answer what was taken, and close. Bounded by the transport's own limit."""
        ...


class BackChannel(Protocol):
    """A way to a listener of the sender's, for answers that do not go back on its connection."""

    async def ask(self, answer: bytes, matches: Callable[[bytes], bool]) -> bytes:
        """Send an answer, and return what ``matches`` among what the listener says to it.

        One at a time. Raises PeerUnavailable where nobody listens, and its subclass PeerSilent where the
        answer was written and not confirmed in time.
        """
        ...

    def hang_up(self) -> None:
        """Close at once."""
        ...


class Incoming(Protocol):
    """The bytes of one file, read from where they lie. It blocks, and is asked in a thread.

    All of it raises PeerUnavailable where the file's place cannot be reached, FileGone where the file is not
    there any more, and FileUnusable where it is there and cannot be read.
    """

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...

    def skip(self, size: int) -> None:
        """Go on after so many bytes, which were read before."""
        ...

    def unchanged(self) -> bool:
        """Asked at the end: whether nobody wrote to the file while it was read."""
        ...

    def close(self) -> None:
        """Let go of it. Does not raise."""
        ...


class FileGone(Exception):
    """A file is not there any more, or is no plain file any more: its sender or another bridge has it."""


class FileChanged(Exception):
    """A file was written to while it was read: it is not finished, and is read again later."""


Step = Literal["claimed", "read", "put away"]

_RIGHTS: Final[dict[Step, str]] = {
    "claimed": "the bridge's user needs to write into its folder, and to own the file if that is sticky (+t)",
    "read": "give the bridge's user the right to read it",
    "put away": "give the bridge's user the right to write into the folder that it goes to",
}


class FileUnusable(Exception):
    """A file is there, as its place is, and one step with it cannot be done. The text is for a person.

    ``denied`` where the bridge has no right to it, which no waiting gives.
    """

    def __init__(self, step: Step, why: str, *, denied: bool) -> None:
        """``why`` has no name in it."""
        self.denied = denied
        super().__init__(f"it cannot be {step}: {why}{f'; {_RIGHTS[step]}' if denied else ''}")


@dataclass(frozen=True, slots=True)
class Arriving:
    """A file that is finished and this bridge's to take.

    ``name`` is for people, in characters that do no harm; ``seen_as`` is how its place shows it, so that the
    same file is known again after a crash. ``claim`` is a word of which there is no second, None where the
    transport can give none. With ``stays`` it is left where it lies. ``peer`` is for the operator.
    """

    name: str
    seen_as: str
    claim: str | None
    peer: str
    size_bytes: int
    stays: bool
    open: Callable[[], Incoming]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a file. ``good`` files go where taken ones do, others where errors do, with ``reason``.

    With ``known`` it was taken before, as a body of this ``sha256``. With ``again`` nothing is decided: the
    file stays as it is, and is offered again. ``file_id`` is its number in the journal, None where it has
    none.
    """

    file_id: int | None
    good: bool
    reason: str = ""
    text: str = ""
    place: str = ""
    again: bool = False
    messages: int = 0
    known: bool = False
    sha256: bytes = b""
    size_bytes: int | None = None
    """What of it was taken."""


@dataclass(slots=True)
class Odd:
    """Names of what is not taken: how many, and the first of them for a person, each with why."""

    NOT_PLAIN: ClassVar = "no plain file"
    NO_FOLDER: ClassVar = "no folder, which it must be for what the bridge puts there"
    NOT_OPENED: ClassVar = "a folder that cannot be looked into"
    TOO_MANY: ClassVar = "one of too many files in one place: it is taken, and more are, once others are gone"

    count: int = 0
    told: list[str] = field(default_factory=list)

    def note(self, name: str, why: str, *, unless: bool = False) -> None:
        """One more."""
        if unless:
            return
        self.count += 1
        if len(self.told) < ODD_NAMED_MAX:
            self.told.append(f"{printable(name[:NAME_SHOWN_MAX])}: {why}")


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the place of files came to; ``reason`` is empty where it could be looked at."""

    reason: str = ""
    waiting: int = 0
    """Files that are not finished, or that wait for an earlier one."""
    odd: int = 0
    """Names that are no plain files: links, devices, and what could not be a file's name, or is no text."""
    odd_named: tuple[str, ...] = ()
    """The first of them, each with why it is not taken."""
    queued: int = 0
    """Files that are finished, and have still to be taken."""
    held_up: tuple[str, ...] = ()
    """Files that cannot be claimed, read or put away, or have grown since, by name and with what to do."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What the sender of a file is to be told: files, each an answer or rejects, with name and content."""

    file_id: int
    files: tuple[tuple[Literal["answer", "rejects"], str, bytes], ...]


class FileIntake(Protocol):
    """The spine's side of a door for files."""

    @property
    def owner(self) -> str:
        """A short word for this journal and channel; claims begin with it, so that they are known again."""
        ...

    def claim_word(self) -> str:
        """A new word that begins with ``owner``, of which there is no second."""
        ...

    def take(self, arriving: Arriving) -> Deferred[Fate]:
        """See a file to disk, then its messages. Fails with FileGone where it is not there, with
        FileChanged and FileUnusable where it cannot be read now, and with PeerUnavailable where its place
        went away meanwhile; with nothing else."""
        ...

    def resume(self) -> Deferred[None]:
        """Go on with files whose messages were not all journaled when the last process ended. Never fails."""
        ...

    def scratch(self) -> BinaryIO:
        """A file without a name, beside the journal, for bytes that arrive."""
        ...

    def hurry(self) -> None:
        """Leave the file under way at the next place where that does no harm; it is offered again."""
        ...

    def settled(self, file_id: int) -> None:
        """Nothing is left to be done where the file lay."""
        ...

    def looked(self, looked: Looked) -> None:
        """The place was looked at, for metrics and for who is to be told."""
        ...

    def telling(self) -> Deferred[Telling | None]:
        """The next that a sender is to be told; None where nothing is, or not yet. Never fails."""
        ...

    def told(self, file_id: int) -> Deferred[None]:
        """It is where the sender looks. Never fails: what could not be noted is asked for again."""
        ...


def owner_of(journal_id: str, channel: str) -> str:
    """How the words of a channel's claims begin.

    >>> owner_of("5f3a09c1", "lab")
    '5f3a09c1-lab@'
    """
    return f"{journal_id}-{channel}{_CHANNEL_ENDS}"


def former_word(word: str, owner: str) -> str:
    """What the claim of this word was called by an earlier version, which did not name the channel.

    >>> former_word("5f3a09c1-lab@77", "5f3a09c1-lab@")
    '5f3a09c1-77'
    """
    return _former(owner) + word.removeprefix(owner)


def own_word(former: str, owner: str) -> str:
    """The other way round.

    >>> own_word("5f3a09c1-77", "5f3a09c1-lab@")
    '5f3a09c1-lab@77'
    """
    return owner + former.removeprefix(_former(owner))


def is_former_word(word: str, owner: str) -> bool:
    """Whether a claim is of this journal, and of a version that did not name the channel.

    >>> is_former_word("5f3a09c1-77", "5f3a09c1-lab@"), is_former_word("5f3a09c1-x@77", "5f3a09c1-lab@")
    (True, False)
    """
    return owner.endswith(_CHANNEL_ENDS) and word.startswith(_former(owner)) and _CHANNEL_ENDS not in word


def _former(owner: str) -> str:
    return f"{owner.partition('-')[0]}-"


def printable(name: str) -> str:
    r"""A name in characters that do no harm where it is shown; the same name is always the same text.

    >>> printable("adt\n.hl7")
    'adt\\n.hl7'
    """
    return "".join(map(_printable, name))


def _printable(each: str) -> str:
    if "\udc80" <= each <= "\udcff":  # a byte that is no UTF-8, as Python passes it on
        return f"\\x{ord(each) - 0xDC00:02x}"
    if each.isprintable() and each != "\\" and not "\ud800" <= each <= "\udfff":
        return each
    return each.encode("unicode_escape", "surrogatepass").decode("ascii")
