"""The parts of a node, by name: a way out for each API, a door and what stands behind it for each channel.

Whoever holds these maps sees what a reload puts into them and takes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from bridge.config.topology import Api, Channel, OnPoison, Topology
from bridge.delivery.lane import Entry
from bridge.delivery.stages import Standing
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Destination, KeepsConsents, Prepares, Secrets
from bridge.errors import PeerUnavailable
from bridge.governance.base import Policies, permits, policies
from bridge.governance.consent import ASKED_FOR, CONSENT_QUARANTINED, ConsentOptions, ConsentPolicy
from bridge.governance.order import NEWER_WINS
from bridge.journal.flows import Moved
from bridge.journal.hashes import Hashes
from bridge.journal.journal import Journal
from bridge.journal.resolutions import Resolved
from bridge.journal.spool import Spool
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import Answers
from bridge.runtime.application_acks import ApplicationAcks
from bridge.runtime.burning import Burning
from bridge.runtime.comparing import Compare
from bridge.runtime.consents import Consents
from bridge.runtime.deliver import Outlet
from bridge.runtime.disk import DiskWatch
from bridge.runtime.door import Door
from bridge.runtime.feed import Feed
from bridge.runtime.file_feed import FileFeed
from bridge.runtime.file_intake import FileIntake
from bridge.runtime.file_tending import FileTending
from bridge.runtime.flows import Flows
from bridge.runtime.hand_over import HandOver
from bridge.runtime.intake import Intake
from bridge.runtime.making import Maker
from bridge.runtime.precedence import Precedence
from bridge.runtime.rates import Rates
from bridge.runtime.release import WayOut, requests_of
from bridge.runtime.replacing import Replacing
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tap_door import TapDoor
from bridge.runtime.tasks import Tasks
from bridge.runtime.translate import Translate
from bridge.runtime.turns import Turns
from bridge.runtime.workers import Workers
from bridge.runtime.written_here import write_into

log = structlog.get_logger("bridge.parts")

TAP_AGAIN_S = 2.0


class Parts:
    """What a node is made of. Made, not started."""

    def __init__(
        self,
        topology: Topology,
        journal: Journal,
        metrics: Metrics,
        world: Surroundings,
        secrets: Secrets,
        workers: Workers | None = None,
    ) -> None:
        self.topology = topology
        journal.writer.configuration = topology.digest
        self.workers = workers
        self.outlets: dict[str, Outlet] = {}
        self.translators: dict[str, Translate] = {}
        self.intakes: dict[str, Intake | FileIntake] = {}
        self.tending: dict[str, FileTending] = {}
        self.answers: dict[str, Answers] = {}
        self.application_acks: dict[str, ApplicationAcks] = {}
        self.doors: dict[str, Door] = {}
        self.staging: dict[str, Staging] = {}
        self.feeds: dict[str, Feed | FileFeed] = {}
        self.compares: dict[str, Compare] = {}
        self.taps: dict[tuple[str, str], TapDoor] = {}
        self.on_different: Callable[[str, str], Awaitable[None]] = _nobody
        """Told of a channel and route of which a pair differed without an explanation."""
        self.hand_over = HandOver(journal, world, self._staged_standing, self._handed_over)
        self.burning = Burning(world)
        self.standings: dict[tuple[str, str], Standing] = {}
        """Where each route stands that has ever moved, by channel and name."""
        self.journal, self.metrics, self.world = journal, metrics, world
        self.precedence, self.rates = Precedence(world), Rates()
        self.spool = Spool(journal.database.beside, journal.database.seals)
        self.working, self.tasks = Tasks(), Tasks()
        self.reordered: dict[str, int] = {}
        """Channels that wait until what is open keeps no other order, each with how much that is."""
        self.disk: DiskWatch | None = None
        """None for a journal that is no file."""
        self.leaving: set[str] = set()
        """Names of what was taken out, and has not ended yet."""
        self._secrets = secrets
        self.consents = Consents(journal, world, secrets)
        self.consents.changed = self._consents_changed
        metrics.consent_sources.set_function(lambda: len(self.consents.status()))
        self.flows = Flows(journal, world, self.tasks)
        self.flows.bar, self.flows.relax, self.flows.moved = self._bar, self._relax, self._moved
        for api in topology.apis.values():
            self.add_api(api)
        for channel in topology.channels.values():
            self.add_channel(channel)
        self.tell_on_poison(topology)

    def add_api(self, api: Api) -> Outlet:
        """The way out to one API; it calls nothing before it is started."""
        destination = self.destination(api)
        outlet = self.outlets[api.name] = Outlet(
            api,
            destination,
            self.policies(api),
            self.journal,
            self.metrics,
            self.world,
            settled=self._kept if isinstance(destination, KeepsConsents) else self._settled,
            turns=Turns(self.precedence, self._is_bulk, self.hand_over.is_clear, self.rates.of),
        )
        outlet.waits.withheld.comes, outlet.waits.flows = self._consent_comes, self.flows
        name, metrics = api.name, self.metrics
        metrics.in_flight.labels(name).set_function(lambda: outlet.in_flight)
        metrics.operations_held.labels(name).set_function(lambda: outlet.governed.held)
        metrics.lanes_waiting.labels(name).set_function(lambda: outlet.lanes.waiting)
        metrics.lanes_blocked.labels(name).set_function(lambda: outlet.lanes.blocked)
        metrics.show_unwritten(name, lambda: outlet.waits.collecting.not_written)
        metrics.files_unacknowledged.labels(name).set_function(lambda: outlet.waits.acknowledging.overdue)
        metrics.withheld.labels(name).set_function(lambda: outlet.waits.withheld.status()["count"])
        return outlet

    def add_channel(self, channel: Channel) -> None:
        """All of one channel whose APIs are there; its door is closed and its translation does not run."""
        name, world, metrics = channel.name, self.world, self.metrics
        acks = self.application_acks[name] = ApplicationAcks(name, self.journal, metrics, world)
        self.lead_back(channel)
        answers = self.answers[name] = Answers(channel, self.journal, metrics, world, self._relax, acks.wake)
        staging = self.staging[name] = Staging(channel, self.journal.facts.hashes, self.standings_of(name))
        feed = self.feeds[name] = self._feed(channel, staging)
        if staging.staged:
            metrics.engine_away.labels(name).set_function(lambda: bool(feed.away))
        staging.on_legacy = partial(self.hand_over.legacy, name)
        self.compares[name] = Compare(
            channel, self.journal, world, partial(self._differed, name), self._requests, staging
        )
        self.fit_taps(channel)
        ways = self.ways_out(channel)
        translate = self.translators[name] = Translate(
            channel,
            self.journal,
            ways,
            answers,
            metrics,
            world,
            self.workers,
            staging=staging,
            precedence=self.precedence,
        )
        intake: Intake | FileIntake
        if isinstance(feed, FileFeed):
            self.tending[name] = FileTending(channel, self.journal, self.spool, metrics, world)
            intake = FileIntake(
                channel,
                self.journal,
                self.spool,
                translate,
                metrics,
                world,
                self._secrets,
                (staging, feed, Replacing(self.journal, world, self.relax)),
            )
        else:
            intake = Intake(
                channel, self.journal, translate, answers, metrics, world, acks.wake, engine=(staging, feed)
            )
        self.intakes[name] = intake
        self.doors[name] = Door(channel, intake, metrics, world, self._secrets)

    async def relax(self, resolved: Resolved) -> None:
        """Let keys go on that waited for something which a person, or another file, has decided."""
        outlets = [self.outlets.get(resolved.api)] if resolved.api else list(self.outlets.values())
        for outlet in outlets:
            if outlet is not None:
                await outlet.relax(resolved.keys)
        self.flows.look(resolved.message_id)

    def _feed(self, channel: Channel, staging: Staging) -> Feed | FileFeed:
        if channel.source.component.takes == "files":
            return FileFeed(channel, self.journal, self.spool, self.world, self._secrets)
        return Feed(channel, self.journal, self.metrics, self.world, staging)

    def status_of_files(self, name: str) -> dict[str, Any]:
        """What is known of the files of a channel, for a person who asks; nothing where it takes none."""
        intake, tending = self.intakes.get(name), self.tending.get(name)
        if not isinstance(intake, FileIntake) or tending is None:
            return {}
        return {"files_overdue": tending.overdue, **intake.status()}

    def begin(self, channel: str) -> None:
        """Begin to translate what a channel has taken, and to tell its sender's listener what it is owed."""
        self.working.spawn(f"translate {channel}", self.translators[channel].run())
        if (tending := self.tending.get(channel)) is not None:
            self.working.spawn(f"files {channel}", tending.run())
        if self.staging[channel].staged:
            self.feeds[channel].start()
            self.compares[channel].start()
        self.working.spawn(f"application acknowledgements {channel}", self.application_acks[channel].run())

    def standings_of(self, channel: str) -> dict[str, Standing]:
        """Where the routes of a channel stand, those that have ever moved."""
        return {route: standing for (name, route), standing in self.standings.items() if name == channel}

    def fit_taps(self, channel: Channel) -> list[TapDoor]:
        """The taps of a channel as its file has them; what is gone or changed is to be closed."""
        taps = () if channel.legacy is None else channel.legacy.taps
        wanted = {tap.route: tap for tap in taps if tap.keeps_back}
        closing = []
        for place, door in list(self.taps.items()):
            if place[0] == channel.name and wanted.get(place[1]) != door.tap:
                closing.append(self.taps.pop(place))
        for route, tap in wanted.items():
            if (channel.name, route) not in self.taps:
                staging, again = self.staging[channel.name], self.feeds[channel.name].again
                self.taps[channel.name, route] = TapDoor(
                    staging, tap, self.journal, self.world, self._secrets, self.metrics, again
                )
        return closing

    async def open_taps(self, channel: str) -> None:
        """Let the old engine's output of a channel come in. Raises PeerUnavailable."""
        for (name, _), door in self.taps.items():
            if name == channel:
                await door.open()

    async def exchange_taps(self, channel: str, closing: Sequence[TapDoor]) -> None:
        """Close what is gone, whose port another may want, and open what is there, until all of it
        listens."""
        for door in closing:
            await door.close()
        told = ""
        while channel in self.staging:
            try:
                await self.open_taps(channel)
            except PeerUnavailable as error:
                if told != str(error):
                    log.error("tap-not-open", channel=channel, reason=str(error))
                told = str(error)
                await self.world.pause(TAP_AGAIN_S)
            else:
                return

    def taps_shut(self, channel: str) -> dict[str, str]:
        """Why taps of a channel do not listen, by route."""
        return {route: door.why for (name, route), door in self.taps.items() if name == channel and door.why}

    def _staged_standing(self, channel: str, route: str) -> tuple[Channel, Standing] | None:
        staging = self.staging.get(channel)
        if staging is None or not staging.staged or route not in staging.standings:
            return None
        return staging.channel, staging.standings[route]

    def _is_bulk(self, channel: str) -> bool:
        known = self.topology.channels.get(channel)
        return known is not None and known.priority == "bulk"

    def _handed_over(self) -> None:
        for outlet in self.outlets.values():
            outlet.look_again()

    def _requests(self, api: str) -> Prepares:
        return requests_of(self.topology.apis[api])

    async def _differed(self, channel: str, route: str) -> None:
        await self.on_different(channel, route)

    def lead_back(self, channel: Channel) -> None:
        """Let application acknowledgements go where a channel says; to nobody where it says nothing."""
        address, back = channel.application_ack, channel.source.component.back_channel
        acks = self.application_acks[channel.name]
        if address != acks.address:
            assert address is None or back is not None, "a transport that takes the option has the way"
            acks.use(address, None if address is None or back is None else back(address, self.world.reactor))

    async def let_api_go(self, name: str) -> None:
        """Take a way out from the node. Calls under way end; what is open stays in the journal."""
        outlet = self.outlets.pop(name)
        self.leaving.add(name)
        await outlet.drain()
        self.leaving.discard(name)

    async def let_channel_go(self, name: str) -> None:
        """Take a channel out of the node. What it took is answered; what is open stays in the journal."""
        door, answers, translate = self.doors.pop(name), self.answers[name], self.translators.pop(name)
        intake = self.intakes.pop(name)
        self.leaving.add(name)
        await door.forget_next()
        await door.close()
        if isinstance(intake, FileIntake):
            intake.stop()
            self.tending.pop(name).stop()
        await self.feeds.pop(name).stop()
        await self.compares.pop(name).stop()
        for place in [each for each in self.taps if each[0] == name]:
            await self.taps.pop(place).close()
        await answers.stop()
        await translate.stop()
        del self.staging[name]
        self.application_acks.pop(name).stop()
        del self.answers[name]
        self.leaving.discard(name)

    def stop_intakes(self) -> None:
        """Let go of what reads files, once no door is open."""
        for intake in self.intakes.values():
            if isinstance(intake, FileIntake):
                intake.stop()

    def policies(self, api: Api) -> Policies:
        """What every request to an API passes."""
        for each in api.policies:
            self.consents.asks = each.component.asks or self.consents.asks
        return self.consents.policies(api.name, _policies(api, self._secrets))

    def asking_for_consent(self) -> list[ConsentOptions]:
        """What all APIs that ask for consent say of it."""
        asked = (each for outlet in self.outlets.values() for each in outlet.way.policies.asks_anew)
        return [each.options for each in asked if isinstance(each, ConsentPolicy)]

    def _consents_changed(self) -> None:
        for outlet in self.outlets.values():
            outlet.waits.look_again()
        self.flows.look_again()

    def destination(self, api: Api) -> Destination:
        """What calls an API."""
        made = _destination(api, self._secrets, self.world.told_us)
        write_into(made, self.outlets, self.consents.keep)
        return made

    def _consent_comes(self, entry: Entry) -> str:
        """Why a delivery waits for a consent that came with its message, or before it: one that is not kept
        yet, or in quarantine. Empty where it does not."""
        for outlet in self.outlets.values():
            if isinstance(outlet.destination, KeepsConsents):
                if outlet.lanes.bars(entry.keys, entry.message_id):
                    return CONSENT_QUARANTINED
                if outlet.behind or outlet.lanes.stands_before(entry.keys, entry.message_id):
                    return ASKED_FOR
        return ""

    def _kept(
        self, channel: str, route: str, message_id: int, delivery_id: int, state: DeliveryState, why: str
    ) -> None:
        """A consent rests in its table: what waits for it is looked at again."""
        self._settled(channel, route, message_id, delivery_id, state, why)
        self.consents.tell_soon()

    def ways_out(self, channel: Channel) -> Mapping[str, Outlet]:
        """The ways out to all APIs that a channel's routes name."""
        return {api: self.outlets[api] for route in channel.routes for api in route.apis}

    def tell_on_poison(self, topology: Topology) -> None:
        """Tell every way out what a refused request stops, by channel and route."""
        found: dict[tuple[str, str], OnPoison] = {
            (channel.name, route.name): route.on_poison
            for channel in topology.channels.values()
            for route in channel.routes
        }
        for outlet in self.outlets.values():
            outlet.on_poison = found
            outlet.lanes.theirs.channels = topology.channels_of(outlet.api.name)
            outlet.waits.acknowledging.aside = frozenset(
                route for route, stops in found.items() if stops == "quarantine_and_continue"
            )
        self.flows.use(topology.channels.values())

    def _settled(
        self, channel: str, route: str, message_id: int, delivery_id: int, state: DeliveryState, why: str
    ) -> None:
        """A delivery rests: tell the sender that may wait for it and what follows it, and count how the route
        does."""
        self.burning.note(channel, route, state)
        if (answers := self.answers.get(channel)) is not None:
            answers.settled(message_id, delivery_id, state, why)
        self.flows.settled(channel, route, message_id)

    def _moved(self, message_id: int, each: Moved) -> None:
        """A delivery rests because of its flow, and no call of it was made."""
        if each.state is DeliveryState.QUARANTINED:
            self.metrics.quarantine(each.api, each.reason)
        self._settled(each.channel, each.route, message_id, each.delivery_id, each.state, each.reason)

    def _bar(self, api: str, keys: Sequence[bytes], message_id: int) -> None:
        if (outlet := self.outlets.get(api)) is not None:
            outlet.bar(keys, message_id)

    async def _relax(self, apis: Iterable[str], keys: Sequence[bytes]) -> None:
        for name in apis:
            if (outlet := self.outlets.get(name)) is not None:
                await outlet.relax(keys)


async def _nobody(_channel: str, _route: str) -> None:
    """Nobody wants to know."""


def _policies(api: Api, secrets: Secrets) -> Policies:
    watched = NEWER_WINS if api.newer_wins else ""
    return policies(((each.component, each.options) for each in api.policies), secrets, watched)


def _destination(api: Api, secrets: Secrets, now_us: Callable[[], Microseconds]) -> Destination:
    build = api.destination.component.build
    assert build is not None, f"{api.destination.component.name} cannot be built"
    credential = api.credential.options if api.credential is not None else None
    destination: Destination = build(
        api.destination.options,
        api.operations,
        credential,
        secrets,
        now_us,
        permits=permits(each.options for each in api.policies),
    )
    return destination


def makers(
    topology: Topology, secrets: Secrets, now_us: Callable[[], Microseconds], hashes: Hashes
) -> dict[str, Maker]:
    """What makes the messages of each channel, apart from a node."""
    ways = {
        name: WayOut(api, requests_of(api), _policies(api, secrets)) for name, api in topology.apis.items()
    }
    return {
        name: Maker(
            channel, {api: ways[api] for route in channel.routes for api in route.apis}, hashes, now_us
        )
        for name, channel in topology.channels.items()
    }
