"""What is hashed of a row: one canonical JSON text for each change of state, each action, each commit.

The texts are written out here by hand, names in order, since each change of state on the message path pays
for one; a test holds that they are what `canonical` makes of the same values. A text that a database could
not keep as it is, one with NUL, counts as it is kept there, so that a journal can be copied to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from json.encoder import encode_basestring as _quoted
from typing import Any, Final, NamedTuple

from bridge.audit.merkle import HASH_BYTES, root

NUL_AS: Final = "\ufffd"
"""What stands for NUL in a database that cannot keep it."""
LOOKS: Final = frozenset({"reveal", "search", "export", "events", "disclosures"})
"""Actions by which a person saw content of messages, or whom they are about."""
GENESIS: Final = bytes(HASH_BYTES)
"""What the first row of a chain goes on from."""


def step_entry(  # noqa: PLR0913, PLR0917 - a row as it stands, without an object made of it
    id_: int,
    message_id: int,
    delivery_id: int | None,
    from_state: str | None,
    to_state: str,
    at_us: int,
    actor: str,
    reason: str,
    detail: str,
) -> str:
    """A change of state of a message, or of a delivery, as it is hashed.

    ``detail`` is what else is known of it, as the canonical JSON of an object without a name ``from``, or
    empty: policies, digests, hashes; never a payload. Where it ends is therefore told by the text.
    """
    return (
        f'{{"actor":{_quoted(actor)},"at":{at_us},'
        f'"delivery":{"null" if delivery_id is None else delivery_id},"detail":{detail or "null"},'
        f'"from":{"null" if from_state is None else _quoted(from_state)},"id":{id_},'
        f'"kind":"step","message":{message_id},"reason":{_quoted(reason)},"to":{_quoted(to_state)}}}'
    )


def action_entry(id_: int, at_us: int, actor: str, action: str, subject: str, reason: str) -> str:
    """What a person did or looked at, as it is hashed."""
    return (
        f'{{"action":{_quoted(action)},"actor":{_quoted(actor)},"at":{at_us},"id":{id_},"kind":"action",'
        f'"object":{_quoted(subject)},"reason":{_quoted(reason)}}}'
    )


def file_step_entry(
    id_: int, file_id: int, from_state: str | None, to_state: str, at_us: int, actor: str, reason: str
) -> str:
    """A change of state of a file that was taken, as it is hashed."""
    return (
        f'{{"actor":{_quoted(actor)},"at":{at_us},"file":{file_id},'
        f'"from":{"null" if from_state is None else _quoted(from_state)},"id":{id_},"kind":"file",'
        f'"reason":{_quoted(reason)},"to":{_quoted(to_state)}}}'
    )


def disclosure_entry(  # noqa: PLR0913, PLR0917 - as `step_entry`
    id_: int,
    at_us: int,
    patient: str,
    message_id: int,
    delivery_id: int,
    api: str,
    operation: str,
    mapping: str,
    mapping_digest: str,
    outcome: str,
) -> str:
    """What is kept of a delivery that went somewhere, once its message is deleted, as it is hashed.

    ``patient`` is a keyed hash, in hexadecimal.
    """
    return (
        f'{{"api":{_quoted(api)},"at":{at_us},"delivery":{delivery_id},"id":{id_},"kind":"disclosure",'
        f'"mapping":{_quoted(mapping)},"mapping_digest":{_quoted(mapping_digest)},"message":{message_id},'
        f'"operation":{_quoted(operation)},"outcome":{_quoted(outcome)},"patient":{_quoted(patient)}}}'
    )


def entry_hash(entry: str) -> bytes:
    """The hash of such a text: a leaf of its commit's tree (RFC 6962 2.1)."""
    # A backslash by itself is looked for in a sixth of the time, and hardly any row has one.
    if "\\" in entry and "\\u0000" in entry:
        entry = entry.replace("\\u0000", NUL_AS)
    return sha256(b"\x00" + entry.encode()).digest()


def step_hashes(rows: Iterable[tuple[Any, ...]]) -> list[bytes]:
    """The hashes of changes of state, each row as `step_entry` takes it."""
    return [entry_hash(step_entry(*row)) for row in rows]


class Span(NamedTuple):
    """Rows of one table that a commit wrote: the first id, and how many. Ids have no gaps."""

    first: int = 0
    size: int = 0


class Commit(NamedTuple):
    """One row of the chain: what one transaction of the writer has written.

    ``at_us`` is the latest time of its rows. ``configuration`` is the digest of the files the node ran by,
    ``retired`` are ids of steps that retention has deleted in it (`bridge.audit.ranges`), ``note`` says why
    an epoch begins, or which rows of the chain went. ``root`` is over the hashes of its steps, actions, steps
    of files and disclosures, in this order.
    """

    seq: int
    epoch: int
    at_us: int
    steps: Span
    actions: Span
    files: Span
    disclosures: Span
    root: bytes
    configuration: str
    retired: str
    note: str

    def entry(self, journal_id: str, previous: bytes) -> bytes:
        """What is hashed of it: the hash of the row before, and its canonical JSON.

        So the hash of a row is at once what the next one goes on from, and its leaf in the tree that
        checkpoints are signed over.
        """
        seq, epoch, at_us, steps, actions, files, gone, over, configuration, retired, note = self
        text = (
            f'{{"actions":[{actions[0]},{actions[1]}],"at":{at_us},"configuration":{_quoted(configuration)},'
            f'"disclosures":[{gone[0]},{gone[1]}],"epoch":{epoch},"files":[{files[0]},{files[1]}],'
            f'"journal":{_quoted(journal_id)},"note":{_quoted(note)},"retired":{_quoted(retired)},'
            f'"root":"{over.hex()}","seq":{seq},"steps":[{steps[0]},{steps[1]}]}}'
        )
        return previous + text.encode()

    def hash(self, journal_id: str, previous: bytes) -> bytes:
        """The hash of the row."""
        return sha256(b"\x00" + self.entry(journal_id, previous)).digest()


_LET_GO: Final = "let go of commits up to "


def let_go_note(up_to: int) -> str:
    """What a row of the chain says that lets all those up to another one go.

    >>> let_go_in("restored; " + let_go_note(2000)), let_go_in("restored")
    (2000, 0)
    """
    return f"{_LET_GO}{up_to}"


def let_go_in(note: str) -> int:
    """Up to which row a note lets go; 0 where it says nothing of it."""
    number = note.rpartition(_LET_GO)[2]
    return int(number) if _LET_GO in note and number.isascii() and number.isdecimal() else 0


def root_of(leaves: bytes) -> bytes:
    """The root over hashes that stand one behind the other, as a row of the chain keeps them."""
    return root(split(leaves))


def split(leaves: bytes) -> Sequence[bytes]:
    """Hashes that stand one behind the other, each by itself."""
    return [leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)]
