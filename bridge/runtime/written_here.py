"""Destinations whose deliveries end in this node's own journal: what each is told to write with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge.destinations.base import Acknowledges, Destination, Keep, KeepsConsents, TellsConfirmed
from bridge.formats.acknowledged import FILE_NOT_KNOWN, Acknowledgement
from bridge.runtime.confirming import NOT_KNOWN

if TYPE_CHECKING:
    from bridge.runtime.deliver import Outlet


def write_into(made: Destination, outlets: Mapping[str, Outlet], keep: Keep) -> None:
    """Tell a destination how to write, where it writes here. ``outlets`` are all ways out, by API, as they
    come and go."""

    async def confirmed(api: str, called: str, word: str) -> str:
        outlet = outlets.get(api)
        return NOT_KNOWN if outlet is None else await outlet.waits.confirming.told(called, word)

    async def acknowledged(api: str, said: Acknowledgement) -> str:
        outlet = outlets.get(api)
        return FILE_NOT_KNOWN if outlet is None else await outlet.waits.acknowledging.told(said)

    if isinstance(made, KeepsConsents):
        made.keep_with(keep)
    if isinstance(made, TellsConfirmed):
        made.tell_with(confirmed)
    if isinstance(made, Acknowledges):
        made.acknowledge_with(acknowledged)
