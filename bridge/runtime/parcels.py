"""What goes between a node and its workers: parcels of JSON and bytes, over a UNIX socket. Pure.

A parcel is eight bytes of sizes, JSON, and the bytes that the JSON speaks of by their sizes, in order. Both
ends are the same code on the same machine, started by the same node; what one writes the other reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from bridge.journal.flows import NewStep
from bridge.journal.messages import NewDelivery, Untranslated
from bridge.journal.newness import Newness
from bridge.journal.outputs import Pairing
from bridge.runtime.making import Made

PARCEL_MAX_BYTES = 256 * 1024**2
"""Above a batch of the largest messages that a channel takes."""
_SIZES = struct.Struct(">II")


def wrap(content: Any, *blobs: bytes) -> bytes:
    """One parcel."""
    text, blob = orjson.dumps(content), b"".join(blobs)
    return b"".join((_SIZES.pack(len(text), len(blob)), text, blob))


class Unwrapping:
    """Takes bytes as they come, gives whole parcels. Raises ValueError for what can be none."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, memoryview]]:
        """The parcels that are whole now: what they say, and their bytes."""
        held = self._held
        held += data
        while len(held) >= _SIZES.size:
            text_bytes, blob_bytes = _SIZES.unpack_from(held)
            end = _SIZES.size + text_bytes + blob_bytes
            if end > PARCEL_MAX_BYTES:
                raise ValueError("a parcel is larger than any can be")
            if len(held) < end:
                return
            parcel = bytes(held[:end])
            del held[:end]
            text_end = _SIZES.size + text_bytes
            yield orjson.loads(parcel[_SIZES.size : text_end]), memoryview(parcel)[text_end:]


def question(number: int, channel: str, sources: Sequence[Untranslated]) -> bytes:
    """Messages of one channel that are to be made, under a number."""
    rows = [tuple(each._replace(body=len(each.body), trace_id=None)) for each in sources]  # type: ignore[arg-type]
    return wrap([number, channel, rows], *(each.body for each in sources))


def read_question(content: Any, blob: memoryview) -> tuple[int, str, list[Untranslated]]:
    """What `question` wrote."""
    number, channel, rows = content
    cut = _Cut(blob)
    return number, channel, [Untranslated(*row)._replace(body=cut.take(row[1]), trace_id=b"") for row in rows]


def answer(number: int, mades: Iterable[Made]) -> bytes:
    """What messages were made into, under the number of their question."""
    rows, blobs = [], []
    for made in mades:
        deliveries = []
        for each in made.deliveries:
            size = None if each.request is None else len(each.request)
            pairing = each.pairing and (each.pairing.match_hash.hex(), *each.pairing[1:])
            new = each.newness and tuple(each.newness)
            undo = None if each.step is None else each.step.undo_request
            undo_size = None if undo is None else len(undo)
            step = each.step and tuple(each.step._replace(undo_request=undo_size))  # type: ignore[arg-type]
            plain = each._replace(request=size, pairing=pairing, newness=new, step=step)  # type: ignore[arg-type]
            deliveries.append(tuple(plain))
            blobs += [each.request or b"", undo or b""]
        keys = [key.hex() for key in made.keys]
        search = [(name, hashed.hex()) for name, hashed in made.search]
        chosen_by = [key.hex() for key in made.chosen_by]
        rows.append(
            (keys, search, deliveries, made.failed, made.noticed, made.charset, made.issues, chosen_by)
        )
    return wrap([number, rows], *blobs)


def read_answer(content: Any, blob: memoryview) -> tuple[int, list[Made]]:
    """What `answer` wrote."""
    number, rows = content
    cut, names = _Cut(blob), ("request", "pairing", "newness", "step")
    at, paired, new, step = map(NewDelivery._fields.index, names)
    mades = []
    for keys, search, deliveries, failed, noticed, charset, issues, chosen_by in rows:
        made = [
            NewDelivery(*row)._replace(
                request=None if row[at] is None else cut.take(row[at]),
                pairing=_pairing(row[paired]),
                newness=None if row[new] is None else Newness(*row[new]),
                step=_step(row[step], cut),
            )
            for row in deliveries
        ]
        mades.append(
            Made(
                tuple(map(bytes.fromhex, keys)),
                [(name, bytes.fromhex(hashed)) for name, hashed in search],
                made,
                failed,
                tuple(noticed),
                charset,
                issues,
                tuple(map(bytes.fromhex, chosen_by)),
            )
        )
    return number, mades


def _pairing(row: Sequence[Any] | None) -> Pairing | None:
    return None if row is None else Pairing(bytes.fromhex(row[0]), *row[1:])


def _step(row: Sequence[Any] | None, cut: _Cut) -> NewStep | None:
    if row is None:
        return None
    step = NewStep(*row)
    undo = None if step.undo_request is None else cut.take(row[NewStep._fields.index("undo_request")])
    return step._replace(follows=tuple(step.follows), undo_request=undo)


class _Cut:
    """Cuts pieces off, in order."""

    def __init__(self, blob: memoryview) -> None:
        self._blob, self._at = blob, 0

    def take(self, size: int) -> bytes:
        taken = bytes(self._blob[self._at : self._at + size])
        self._at += size
        return taken
