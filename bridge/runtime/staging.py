"""Staging: whose each message is, by where its routes stand, and what its deliveries become because of it.

Decided once, as a message is translated, and journaled with its deliveries: READY is the bridge's, RECORDED
the old engine's. Nothing that is RECORDED can ever be sent: the state machine has no arrow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

import orjson

from bridge.config.legacy import Tap
from bridge.config.topology import Channel
from bridge.delivery.stages import Sender, Standing, sender_of
from bridge.delivery.state import DeliveryState
from bridge.formats.hl7v2_ack import MshPeek, peek
from bridge.journal.hashes import Hashes
from bridge.journal.messages import NewDelivery, Untranslated
from bridge.journal.outputs import Pairing
from bridge.message import Microseconds
from bridge.migration.relay.outputs import value_at
from bridge.runtime.making import Made

BY_ID, BY_TARGET, BY_KEY = b"output of", b"output to", b"output like"
UNSENT = frozenset({DeliveryState.READY, DeliveryState.QUARANTINED})


class Staging:
    """Where the routes of one channel stand."""

    def __init__(self, channel: Channel, hashes: Hashes, standings: Mapping[str, Standing]) -> None:
        self._hashes = hashes
        self.held_up_us: Microseconds = 0
        """When an output of the old engine was last kept from passing; behind it others may wait."""
        self.on_legacy: Callable[[str, Sequence[bytes], int], None] = lambda _route, _keys, _message: None
        """Told of each message of a canary that is the old engine's: route, keys, message."""
        self.use(channel, standings)

    def use(self, channel: Channel, standings: Mapping[str, Standing]) -> None:
        """Decide from now on by this channel, and where its routes stand; a new route stands where its file
        says."""
        self.channel, self._format = channel, channel.reads()
        self.standings = {
            route.name: standings.get(route.name, Standing(channel.stage)) for route in channel.routes
        }
        taps = () if channel.legacy is None else channel.legacy.taps
        self._taps = {tap.route: tap for tap in taps}

    @property
    def staged(self) -> bool:
        """Whether there is an old engine at all."""
        return self.channel.legacy is not None

    @property
    def feeds(self) -> bool:
        """Whether the old engine gets messages: while any route is not complete."""
        return self.staged and any(standing.fed for standing in self.standings.values())

    @property
    def only_relays(self) -> bool:
        """Whether nothing is made of what comes: while no route is further than relay."""
        return self.staged and all(each.stage == "relay" for each in self.standings.values())

    @property
    def relays_answers(self) -> bool:
        """Whether senders hear the old engine: while it is in charge of every route."""
        early = all(each.stage in ("relay", "shadow", "canary") for each in self.standings.values())
        return self.feeds and early and self.channel.acknowledge == "relayed"

    @property
    def shares(self) -> bool:
        """Whether some messages are the bridge's though their senders hear the old engine: in a canary."""
        return self.relays_answers and any(each.stage == "canary" for each in self.standings.values())

    def conclude(self, source: Untranslated, made: Made) -> str | None:
        """Change what a message has come to by where its routes stand.

        Why the message is only relayed, empty where no route of it is further than that; None where it goes
        on. What the bridge cannot make of a message that is the old engine's is a difference.
        """
        if not self.staged:
            return None
        header = peek(source.body)
        senders = {name: self._sender(name, made, header) for name in self.standings}
        for name, sender in senders.items():
            if sender == "legacy" and self.standings[name].stage == "canary":
                self.on_legacy(name, made.keys, source.message_id)
        if made.failed:
            return made.failed if all(each == "legacy" for each in senders.values()) else None
        made.deliveries = [
            staged
            for delivery in made.deliveries
            if (staged := self._staged(delivery, senders[delivery.route], header, source.body)) is not None
        ]
        return None if made.deliveries else ""

    def _sender(self, route: str, made: Made, header: MshPeek) -> Sender:
        standing = self.standings[route]
        if made.chosen_by and self.channel.legacy is not None:
            standing = replace(standing, salt=str(self.channel.legacy.salt).encode())
        return sender_of(
            standing,
            route,
            made.chosen_by or made.keys,
            facility=header.sending_facility.partition(header.encoding_characters[:1] or b"^")[0].decode(
                "latin-1"
            ),
            event=header.message_code_event,
        )

    def _staged(
        self, delivery: NewDelivery, sender: Sender, header: MshPeek, body: bytes
    ) -> NewDelivery | None:
        standing = self.standings[delivery.route]
        if standing.stage == "relay":
            return None
        if sender == "legacy" and delivery.state in UNSENT:
            delivery = delivery._replace(state=str(DeliveryState.RECORDED))
        tap = None if standing.stage == "complete" else self._taps.get(delivery.route)
        if tap is None or (match_hash := self._match(tap, header.control_id, body, delivery.request)) is None:
            return delivery
        made = delivery.state != DeliveryState.FILTERED
        pairing = Pairing(match_hash, sender, header.message_code_event[:32], standing.episode, made)
        return delivery._replace(pairing=pairing)

    def _match(self, tap: Tap, control_id: bytes, body: bytes, request: bytes | None) -> bytes | None:
        """What a request of ours and its counterpart have in common; None where nothing tells."""
        if tap.pair_by:
            return self.match_key(tap, body)
        if tap.place or (tap.http is not None and tap.http.control_id):
            return self.match_id(tap, control_id)
        called = {} if request is None else orjson.loads(request)
        return self.match_target(tap, called["method"], called["path"]) if "path" in called else None

    def match_id(self, tap: Tap, control_id: bytes) -> bytes:
        """What stands for the message that both sides are about."""
        return self._hashes.hash(BY_ID, self.channel.name.encode(), tap.route.encode(), control_id)

    def match_message(self, tap: Tap, message: bytes) -> tuple[bytes | None, str]:
        """What stands for the message that an output, itself a message, is about; and its control ID, as far
        as that is told."""
        if tap.pair_by:
            return self.match_key(tap, message), ""
        control_id = value_at(tap.place, self._format, message)
        return self.match_id(tap, control_id) if control_id else None, control_id.decode("utf-8", "replace")

    def match_key(self, tap: Tap, body: bytes) -> bytes | None:
        """What stands for all messages with the same values; None where a message lacks one."""
        values = [value_at(place, self._format, body) for place in tap.pair_by]
        if not all(values):
            return None
        return self._hashes.hash(BY_KEY, self.channel.name.encode(), tap.route.encode(), *values)

    def match_target(self, tap: Tap, method: str, path: str) -> bytes:
        """What stands for the thing that both sides write to, whatever way its path is escaped."""
        parts = (method.encode(), unquote(path).encode())
        return self._hashes.hash(BY_TARGET, self.channel.name.encode(), tap.route.encode(), *parts)


def unpaired_goes(standing: Standing) -> Sender:
    """Whose an output is that stands for nothing the bridge has made."""
    return "bridge" if standing.stage in ("primary", "complete") else "legacy"
