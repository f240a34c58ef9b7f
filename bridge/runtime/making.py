"""Making: what one message comes to by its channel's files. It reads, maps and releases, and writes nothing.

Here or in a worker, the same message under the same files is made into the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import structlog

from bridge.config.topology import Channel
from bridge.delivery.stages import key_everywhere
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Origin
from bridge.formats.base import Format, ReadProblem
from bridge.formats.hl7v2 import Hl7Message
from bridge.journal.hashes import Hashes, as_bytes
from bridge.journal.messages import CONTROL_ID_CONFLICT, NewDelivery, Untranslated
from bridge.journal.replays import only_to
from bridge.journal.unmapped import TRIED_BY
from bridge.mapping.codes import HELD
from bridge.message import Mapped, Microseconds
from bridge.runtime.flow_step import as_step
from bridge.runtime.release import NoTarget, WayOut, release

log = structlog.get_logger("bridge.translate")

ISSUES_MAX = 100


@dataclass(eq=False, slots=True)
class Made:
    """What one message has come to. ``failed`` is why it needs a person, or empty; ``issues`` are JSON."""

    keys: tuple[bytes, ...] = ()
    search: list[tuple[str, bytes]] = field(default_factory=list)
    deliveries: list[NewDelivery] = field(default_factory=list)
    failed: str = ""
    noticed: tuple[str, ...] = ()
    charset: str = ""
    issues: str = ""
    chosen_by: tuple[bytes, ...] = ()
    """What a canary chooses by instead of ``keys``, where the site has a salt of its own."""

    def fail(self, reason: str) -> None:
        """It needs a person."""
        self.failed = reason


class Maker:
    """Makes the messages of one channel."""

    def __init__(
        self,
        channel: Channel,
        ways: Mapping[str, WayOut],
        hashes: Hashes,
        now_us: Callable[[], Microseconds],
    ) -> None:
        self._channel, self._ways, self._hashes, self._now_us = channel, ways, hashes, now_us
        self._format: Format = channel.reads()
        self._name = channel.name.encode()
        plans = [each.plan for each in channel.routes]
        plans += [body for way in ways.values() for body in way.api.bodies.values()]
        self._digests = {plan.name: plan.digest for plan in plans if plan is not None}

    def make(self, source: Untranslated, *, only_read: bool = False) -> Made:
        """What becomes of one message. Whatever it holds, this does not raise. With ``only_read`` nothing is
        mapped, and so nothing of it goes anywhere."""
        made = Made()
        mapped: dict[str, Mapped] = {}
        try:
            self._make(source, made, mapped, only_read=only_read)
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost this message only, not the feed
            log.error("translation-fault", message=source.message_id, fault=type(error).__name__)
            made.fail("internal-fault")
        made.issues = made.issues or _issues(mapped, self._digests)
        return made

    def make_all(self, sources: Sequence[Untranslated], *, only_read: bool = False) -> list[Made]:
        """`make`, for each of several."""
        return [self.make(source, only_read=only_read) for source in sources]

    def _make(self, source: Untranslated, made: Made, mapped: dict[str, Mapped], *, only_read: bool) -> None:
        message = self._format.read(source.body)
        made.charset = f"{message.encoding} {message.decided_by}"
        made.noticed = tuple(problem.code for problem in message.problems)
        if message.refused is not None:
            made.fail(f"unreadable: {message.refused.code}")
            made.issues = _unreadable(message.refused)
            return
        complete = self._find_keys(source, message, made)
        if CONTROL_ID_CONFLICT in source.flags:
            made.fail(CONTROL_ID_CONFLICT)
        elif not complete:
            made.fail("no-key")
        elif not only_read:
            self._map_and_release(source, message, made, mapped)

    def _map_and_release(
        self, source: Untranslated, message: Hl7Message, made: Made, known: dict[str, Mapped]
    ) -> None:
        origin = Origin(
            self._channel.name, source.message_id, source.received_at_us, made.keys[0], self._hashes.alias
        )
        now_us, only = self._now_us(), only_to(source.flags)
        for route in self._channel.routes:
            plan = route.plan
            mapped = None if plan is None else known.get(plan.name)
            takes = route.when is None or route.when(message)
            # Where its route does not take the message, a mapping must not fail it for the others.
            if takes and plan is not None and mapped is None and plan.accepts(message.message_type):
                mapped = known[plan.name] = plan.run(message)
                if mapped.failed:
                    made.fail("mapping-failed")
                    return
            try:
                released = release(
                    route,
                    message,
                    mapped,
                    takes,
                    self._ways,
                    source.body,
                    origin,
                    now_us,
                    known,
                    self._hashes.patient,
                )
            except NoTarget:
                made.fail("no-target")
                return
            made.deliveries += [as_step(route, each) for each in released] if route.of_flow else released
        if only:
            made.deliveries = [each if each.api == only else _left_out(each) for each in made.deliveries]
        taken = any(delivery.state != DeliveryState.FILTERED for delivery in made.deliveries)
        if not taken and not only and self._channel.on_no_route == "quarantine":
            made.fail("no-route")

    def _find_keys(self, source: Untranslated, message: Hl7Message, made: Made) -> bool:
        """What order is kept for and what it is found by, as hashes; False where a key is missing.

        What is missing one of several keys occupies those that it has.
        """
        channel, hashes = self._channel, self._hashes
        for name, value_of in channel.search.items():
            if (value := value_of(message)) is not None:
                made.search.append((name, hashes.search_hash(value)))
        if not channel.order_by and not channel.order_by_type:
            made.keys = (hashes.hash(self._name),)  # the channel as a whole keeps order
            return True
        texts, complete = channel.keys_of(message)
        made.keys = tuple(hashes.hash(self._name, b"key", as_bytes(text)) for text in texts)
        if channel.legacy is not None and (salt := channel.legacy.salt) is not None:
            made.chosen_by = tuple(key_everywhere(salt, text) for text in texts)
        made.search += [("key", hashes.search_hash(text)) for text in texts]
        if complete:
            return True
        match channel.on_no_key:
            case "serial":
                made.keys = (*made.keys, hashes.hash(self._name))
            case "unordered":
                made.keys = made.keys or (
                    hashes.hash(self._name, b"message", str(source.message_id).encode()),
                )
            case _:
                return False
        return True


def _left_out(delivery: NewDelivery) -> NewDelivery:
    """A delivery of a replay that is for another API alone: nothing is sent, and it is counted."""
    state = DeliveryState.FILTERED
    return delivery._replace(state=state, reason="not-replayed", request=None, aside=False, verdicts="")


def _unreadable(refused: ReadProblem) -> str:
    """An issue that says where a message cannot be read, as JSON; empty where that is not known."""
    if not refused.path:
        return ""
    row = {"mapping": "", "code": refused.code, "record": "", "field": "", "source": refused.path}
    return orjson.dumps([row]).decode()


def _issues(mapped: Mapping[str, Mapped], digests: Mapping[str, str]) -> str:
    """Issues as JSON: codes and places, never values. Of a code that no table has also the table.

    What waits for a code says by which digest of its mapping it was tried: another one is worth a try.
    """
    rows = [
        {
            "mapping": name,
            "code": issue.code,
            "record": issue.record,
            "field": issue.field,
            "source": issue.source,
            **({"table": issue.table} if issue.table else {}),
            **({TRIED_BY: digests[name]} if issue.code == HELD and name in digests else {}),
        }
        for name, made in mapped.items()
        for issue in made.issues
    ]
    return orjson.dumps(rows[:ISSUES_MAX]).decode() if rows else ""
