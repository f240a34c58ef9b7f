"""Where a value came from, as a run gathers it. Only runs of a message that notes it pay for it.

No kind of expression has to say what it reads: the message notes every reading itself, and what is read
while a rule runs belongs to that rule.
"""

from __future__ import annotations

from typing import Any

from bridge.formats.hl7v2_leaves import Leaf
from bridge.mapping.reading import Run, Taken, Trace
from bridge.mapping.recorded import Recorded, RecordedDocument, RecordedEdi
from bridge.message import SourceLeaf


def listen(message: Recorded, run: Run) -> None:
    """Put what is read from now on into whatever trace the run has at that moment."""

    def read(leaf: Leaf) -> None:
        run.trace[leaf] = None

    if isinstance(message, RecordedEdi | RecordedDocument):
        message.notes.on_read = read
    else:
        message.on_read = read


def parted(trace: Trace) -> tuple[tuple[str, ...], tuple[SourceLeaf, ...], tuple[str, ...]]:
    """A trace as lineage tells it: paths of the file, values of the message, what the file itself gave."""
    kinds: dict[type, list[Any]] = {str: [], Leaf: [], Taken: []}
    for each in trace:
        kinds[Leaf if isinstance(each, Leaf) else type(each)].append(each)
    places = (SourceLeaf(leaf.place, leaf.start, leaf.size) for leaf in kinds[Leaf])
    return tuple(kinds[str]), tuple(places), tuple(each.text for each in kinds[Taken])
