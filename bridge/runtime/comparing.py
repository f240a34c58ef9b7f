"""Comparing: each pair of what both sides made, as soon as it is complete, oldest first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import orjson
import structlog

from bridge.config.topology import Channel
from bridge.destinations.base import UNKNOWN, Prepares, RequestRefused, read_file
from bridge.errors import JournalUnavailable
from bridge.journal.clusters import Found
from bridge.journal.journal import Journal
from bridge.journal.outputs import REFUSED
from bridge.journal.parity import DIFFERENT, VERDICT, ToCompare, Verdict, to_compare
from bridge.migration.compare import Compared, Comparing, Difference, of_pair
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.parity")

PAGE_PAIRS = 200
LOOK_EVERY_S = 1.0
LATE_STEPS_S = (0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0)

OnDifferent = Callable[[str], Awaitable[None]]
"""Told the route of which a pair differed without an explanation."""


class Compare:
    """The comparisons of one channel."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        world: Surroundings,
        on_different: OnDifferent,
        requests: Callable[[str], Prepares],
        staging: Staging,
    ) -> None:
        """``requests`` gives what makes the requests of an API."""
        self._requests, self._staging, self._began_us = requests, staging, world.now_us()
        self._journal, self._world, self._on_different = journal, world, on_different
        self._tasks = Tasks()
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Compare from now on as this channel says."""
        self._channel = channel
        self._plans = {
            route.name: "" if route.plan is None else route.plan.digest for route in channel.routes
        }

    def start(self) -> None:
        """Begin, if it has not begun."""
        if not len(self._tasks):
            self._tasks.spawn("compare", self._run())

    async def stop(self) -> None:
        """Compare nothing more; what is left waits in the journal."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                found = await self.step()
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                found = 0
            await self._world.pause(0 if found == PAGE_PAIRS else LOOK_EVERY_S)

    async def step(self) -> int:
        """Compare the next pairs; of how many is known now how they compare. Raises JournalUnavailable."""
        legacy, now_us = self._channel.legacy, self._world.now_us()
        if legacy is None:
            return 0
        before_us = now_us - int(legacy.pair_within * 1e6)
        # The taps were shut before this began. While nothing gets through, nothing of the engine is missing.
        if max(self._began_us, self._staging.held_up_us) >= before_us:
            before_us = 0
        page = await self._journal.read(to_compare, self._channel.name, before_us, PAGE_PAIRS)
        if not page:
            return 0
        comparing = Comparing(self._channel.parity, datetime.fromtimestamp(now_us / 1e6, UTC).date())
        verdicts = [self._verdict(each, comparing, now_us) for each in page]
        said = await self._journal.submit_all(VERDICT, verdicts)
        failed = [what for what in said if isinstance(what, Exception)]
        if failed:
            log.error(
                "journal-unavailable", channel=self._channel.name, pairs=len(failed), reason=str(failed[0])
            )
        for verdict, what in zip(verdicts, said, strict=True):
            if what == DIFFERENT and not verdict.counted:
                await self._on_different(verdict.route)
        return len(page) - len(failed)

    def _verdict(self, each: ToCompare, comparing: Comparing, now_us: int) -> Verdict:
        try:
            compared = self.compared(each, comparing)
        except Exception as error:  # noqa: BLE001 - whatever the old engine made must not stop the others
            log.error("comparison-fault", pair=each.pair_id, fault=type(error).__name__)
            compared = Compared([of_pair("value", "fault")])
        differences = list({one.fingerprint: one for one in compared.differences}.values())
        late = self._late(each)
        if late > self._channel.parity.late_after:
            differences.append(of_pair("late", _word(late)))
        return Verdict(
            each.pair_id,
            self._channel.name,
            each.route,
            each.mapping if each.mapping is not None else self._plans.get(each.route, ""),
            each.stage,
            each.message_type,
            each.message_id,
            tuple(Found(one.fingerprint, one.kind, one.path, one.ours, one.theirs) for one in differences),
            tuple(sorted(compared.used.items())),
            tuple((path, str(a), str(b)) for path, (a, b) in sorted(compared.money.items())),
            "" if each.ours_at_us is None or each.theirs_at_us is None else _word(late),
            now_us,
            each.counted,
        )

    def compared(self, each: ToCompare, comparing: Comparing) -> Compared:
        """What differs between both sides of a pair."""
        if each.state == REFUSED:
            return Compared([of_pair("answer", "AA", "refused")])
        if each.state == "QUIET":
            return Compared()  # neither has made anything of it
        if each.theirs is None:
            return Compared([of_pair("missing there")])
        if each.message_id is None:
            return Compared([of_pair("missing here")])
        if each.ours is None:
            filtered = each.delivery_state == "FILTERED"
            ours = f"filtered: {each.delivery_reason}" if filtered else each.delivery_reason or "failed"
            return Compared([of_pair("decision", ours[:40], "sent")])
        theirs = self._as_a_request(each.route, each.theirs)
        if theirs is None:
            return Compared([of_pair("value", "one record", "none, or several")])
        compared = self._bodies(each.ours, theirs, comparing)
        if each.overtaken:
            compared.differences.append(of_pair("order"))
        return compared

    def _as_a_request(self, route_name: str, theirs: bytes) -> bytes | None:
        """What the old engine made, as the request that the bridge would send of it where its tap has a
        mapping; None where that makes none or several."""
        plan = self._channel.tap_plans.get(route_name)
        if plan is None:
            return theirs
        route = next(each for each in self._channel.routes if each.name == route_name)
        message = self._channel.reads().read(theirs)
        records = [each for each in plan.run(message).records if each.record == route.record]
        if message.refused is not None or len(records) != 1:
            return None
        operation, api = route.operations.get(records[0].operation), route.api_for(message)
        if operation is None or api is None:
            return None
        try:
            return self._requests(api).prepare(operation, records[0], UNKNOWN)
        except RequestRefused:
            return None

    def _bodies(self, ours: bytes, theirs: bytes, comparing: Comparing) -> Compared:
        if (file := read_file(ours)) is not None:
            # A file's own bytes; a tap has none that are wrapped, but where its mapping makes a request.
            return self._contents(
                file[1], theirs if (other := read_file(theirs)) is None else other[1], comparing
            )
        if theirs.startswith(b"{"):
            return comparing.documents(_call(ours), _call(theirs))
        return self._contents(ours, theirs, comparing)

    def _contents(self, ours: bytes, theirs: bytes, comparing: Comparing) -> Compared:
        """Two messages by field, two lines of JSON by theirs, and whatever else as it is."""
        if ours.startswith(b"{") and theirs.startswith(b"{"):
            return comparing.documents(_document(ours), _document(theirs))
        format_ = self._channel.reads()
        one, other = format_.read(ours), format_.read(theirs)
        if one.refused is None and other.refused is None:
            return comparing.messages(one, other)
        return Compared([] if ours == theirs else [Difference("value", "(unreadable)")])

    def _late(self, each: ToCompare) -> float:
        if each.ours_at_us is None or each.theirs_at_us is None:
            return 0.0
        return max(0.0, (each.ours_at_us - each.theirs_at_us) / 1e6)


def _document(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"(unreadable)": line.decode("latin-1")}


def _call(request: bytes) -> Any:
    """A call as what is compared: method, path however it is escaped, and body."""
    read = orjson.loads(request)
    body = read.get("body")
    called = {"(method)": read.get("method"), "(path)": unquote(str(read.get("path")))}
    return {**called, **body} if isinstance(body, dict) else {**called, "(body)": body}


def _word(late_s: float) -> str:
    return next((f"{step:g}" for step in LATE_STEPS_S if late_s <= step), "more")
