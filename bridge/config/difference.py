"""What of two configurations is not the same, by name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bridge.config.topology import Channel, Topology

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Changes:
    """Names that came, went, or now mean something else; each sorted."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed. ``reordered`` are channels that now keep order for something else."""

    channels: Changes
    apis: Changes
    reordered: tuple[str, ...]

    def __bool__(self) -> bool:
        sides = (self.channels, self.apis)
        return any(side.added or side.removed or side.changed for side in sides)


def difference(before: Topology, after: Topology) -> Difference:
    """What a node that runs by ``before`` must change to run by ``after``.

    A channel changes with its own file and with each mapping that it uses, an API with its own file.
    """
    channels = _changes(
        {name: _of_channel(channel) for name, channel in before.channels.items()},
        {name: _of_channel(channel) for name, channel in after.channels.items()},
    )
    apis = _changes(
        {name: api.digest for name, api in before.apis.items()},
        {name: api.digest for name, api in after.apis.items()},
    )
    reordered = tuple(
        name
        for name in channels.changed
        if before.channels[name].order_words != after.channels[name].order_words
    )
    return Difference(channels, apis, reordered)


def _of_channel(channel: Channel) -> tuple[str, ...]:
    return (channel.digest, *(route.plan.digest for route in channel.routes if route.plan is not None))


def _changes(before: Mapping[str, T], after: Mapping[str, T]) -> Changes:
    return Changes(
        tuple(sorted(after.keys() - before.keys())),
        tuple(sorted(before.keys() - after.keys())),
        tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )
