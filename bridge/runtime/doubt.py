"""The start of a node on a journal in doubt: see `bridge.journal.restored`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from bridge.config.topology import Topology
from bridge.journal.controls import Control, not_resumed
from bridge.journal.files_kept import places_kept
from bridge.journal.journal import Journal
from bridge.journal.restored import DOUBT, PAUSED, Doubted, in_doubt
from bridge.journal.spool import Spool
from bridge.message import Microseconds

log = structlog.get_logger("bridge.doubt")

ADVICE: Final = (
    "what was open then may have been sent since, and what came since is not here; "
    "nothing of a channel is deleted before it is resumed, so make legal holds of since then again; "
    "look at `bridge quarantine list`, then `bridge resume --all`, which also gives an old engine what it "
    "was owed"
)
DOUBTER: Final = "bridge"
"""Who pauses channels then: by itself the bridge pauses none at any other time."""


async def settle_doubt(
    journal: Journal, topology: Topology, safety: Mapping[str, str], now_us: Microseconds
) -> None:
    """Where an older copy of the journal was put back: nothing moves until a person has looked."""
    why = await journal.read(in_doubt)
    if not why:
        return
    after: int | None = 0
    while after is not None:
        after = await journal.submit(DOUBT, Doubted(safety, now_us, after))
    reason = f"{why}: {ADVICE}"
    await journal.submit(
        PAUSED,
        [Control("channel", name, True, None, now_us, DOUBTER, reason) for name in topology.channels],
    )
    log.error("journal-in-doubt", reason=reason)


async def sweep(journal: Journal, spool: Spool) -> None:
    """Delete bytes of files that no row names, but not while an older copy waits for a person, since it does
    not know what came after it."""
    if not await journal.read(not_resumed):
        spool.sweep(await journal.read(places_kept))
