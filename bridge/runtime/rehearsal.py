"""Before other mappings are used: what they would have made otherwise of the last messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from twisted.internet.threads import deferToThread

from bridge.config.difference import Difference
from bridge.config.topology import Topology
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_charset import Charset
from bridge.formats.hl7v2_options import Hl7v2Options
from bridge.journal.journal import Journal
from bridge.journal.recent import recent
from bridge.mapping.impact import Impact
from bridge.mapping.plan import Plan
from bridge.runtime.certificates import Exchange

OnChange = Literal["tell", "refuse"]
REPLAY_MAX_MESSAGES = 5_000
"""They are in memory at once, while senders go on sending."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How many of the last messages are tried on mappings that have changed, and what a change means."""

    messages: int = 200
    on_change: OnChange = "tell"


AS_USUAL: Final = Rehearsal()


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload changed; ``impact`` is what changed mappings make otherwise of the last messages, and
    ``exchanged`` what became of other files of TLS, ``tried`` what had been left alone and is called now.
    Where other keys of the journal were taken, ``journal_key`` names the current one."""

    difference: Difference
    impact: dict[str, Impact]
    exchanged: list[Exchange]
    tried: list[str]
    journal_key: str


async def rehearse(
    journal: Journal, before: Topology, after: Topology, messages_max: int
) -> dict[str, Impact]:
    """What would change, by channel and mapping; nothing of mappings that are as they were, or are new.

    Of channels of HL7 v2. Raises JournalUnavailable.
    """
    found: dict[str, Impact] = {}
    for name, channel in after.channels.items():
        old, options = _plans(before, name), channel.format.options
        if not isinstance(options, Hl7v2Options):
            continue
        for mapping, plan in _plans(after, name).items():
            known = old.get(mapping)
            if known is None or known.digest == plan.digest:
                continue
            types = known.accept | plan.accept
            bodies = await journal.read(recent, name, types, min(messages_max, REPLAY_MAX_MESSAGES))
            compared = await deferToThread(_compared, known, plan, bodies, options.as_charset())
            found[f"{name}: {mapping}"] = compared
    return found


def _plans(topology: Topology, channel: str) -> dict[str, Plan]:
    routes = topology.channels[channel].routes if channel in topology.channels else ()
    return {route.plan.name: route.plan for route in routes if route.plan is not None}


def _compared(before: Plan, after: Plan, bodies: list[tuple[int, bytes]], charset: Charset) -> Impact:
    impact = Impact(before, after)
    for message_id, body in bodies:
        impact.add(str(message_id), Hl7Message.read(body, charset))
    return impact


def told(found: dict[str, Impact]) -> dict[str, Any]:
    """For whoever asked: counts and names, no values."""
    return {
        name: {
            "messages": impact.messages,
            "changed": impact.changed,
            "fails_now": impact.fails_now,
            "changes": [
                {
                    "record": record,
                    "field": field,
                    "what": what,
                    "count": each.count,
                    "messages": each.messages,
                }
                for (record, field, what), each in impact.rows()
            ],
        }
        for name, impact in found.items()
    }


def in_words(found: dict[str, Impact], rows_max: int = 20) -> str:
    """What would change, line by line, no values."""
    lines = []
    for name, impact in found.items():
        lines.append(
            f"{name}: {impact.changed} of the last {impact.messages} messages would be mapped otherwise"
        )
        for (record, field, what), each in impact.rows()[:rows_max]:
            place = ".".join(filter(None, (record, field)))
            lines.append(f"  {place} {what} in {each.messages}")
    return "\n".join(lines)
