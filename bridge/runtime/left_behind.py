"""What a file was renamed or removed under stays open in the journal; somebody must hear of it."""

from __future__ import annotations

import structlog

from bridge.config.topology import Topology
from bridge.journal.journal import Journal
from bridge.journal.ledger import left_behind
from bridge.journal.owed_answers import owed_counts

log = structlog.get_logger("bridge.service")


async def tell_left_behind(journal: Journal, topology: Topology) -> None:
    """Warn of what no file of a configuration is about any more. Raises JournalUnavailable."""
    found = await journal.read(left_behind, topology.channels.keys(), topology.apis.keys())
    for name, count in found.items():
        log.warning(
            "left-behind", name=name, open=count, reason="no file of this configuration has this name"
        )
    for name, count in (await journal.read(owed_counts)).items():
        channel = topology.channels.get(name)
        if channel is None or channel.application_ack is None:
            log.warning(
                "left-behind", name=name, acknowledgements=count, reason="no `application_ack` any more"
            )
