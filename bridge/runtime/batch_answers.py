"""A batch of HL7 v2 that came in one block: whole and as it says, or not taken; and the one answer to it.

Pure. FHS, BHS, messages, BTS and FTS stand in a block as they stand in a file (v2.5.1 §2.10.3), and the
answer is a batch of the answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bridge.formats.base import Batch, Format, Piece, Unsplittable
from bridge.message import Microseconds
from bridge.transports.base import Answer

BEGINNINGS = (b"FHS", b"BHS")


@dataclass(frozen=True, slots=True)
class BatchAnswer(Answer):
    """The answer to a batch, and those to its messages."""

    parts: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class WholeBatch:
    """The messages of a block, and the batches that it holds."""

    pieces: Sequence[Piece]
    batches: Sequence[Batch]


def read_batch(format_: Format, body: bytes, *, balanced: bool) -> WholeBatch | str:
    """What a block holds; or why it is not taken: it is no batch, or with ``balanced`` not as it says."""
    splitter = format_.splitter(len(body))
    try:
        pieces = [*splitter.feed(body), *splitter.end()]
    except Unsplittable as error:
        return str(error)
    if not pieces:
        return "The batch holds no message."
    for batch in splitter.batches if balanced else ():
        if batch.differences:
            first = batch.differences[0]
            return f"The {batch.kind} says {first.declared} {first.what}, and {first.found} came."
        if not batch.ended:
            return f"The {batch.kind} has no trailer."
    return WholeBatch(pieces, splitter.batches)


def batch_answer(answers: Sequence[Answer], control_id: str, at_us: Microseconds) -> BatchAnswer:
    """One answer of all, in their order; nothing where nobody wants any."""
    said = [each.data for each in answers if each.data is not None]
    made = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")
    head = f"BHS|^~\\&|||||{made}||||{control_id}\r".encode()
    data = b"".join([head, *said, b"BTS|%d\r" % len(said)]) if said else None
    cut = any(each.cut for each in answers)
    return BatchAnswer(data, answers[0].message_id, cut=cut, parts=tuple(answers))
