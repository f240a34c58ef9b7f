"""Output of the old engine that was recorded, imported to be compared: nothing is sent, nothing is kept "
"back."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Awaitable, Callable

from bridge.config.legacy import Tap
from bridge.config.topology import Channel, Route
from bridge.formats.hl7v2_ack import peek
from bridge.journal.outputs import OUTPUT_DONE, PASSED, TAKE_OUTPUT, Done, Output
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said

OUTPUTS_MAX = 500
"""Of one command; the command line sends several."""
IMPORTED = "imported"


class Recorded:
    """The command that imports."""

    def __init__(self, parts: Parts, routes: Callable[[str], list[tuple[Channel, Route]]]) -> None:
        """``routes`` gives what a target names."""
        self._parts, self._routes = parts, routes

    @property
    def named(self) -> dict[str, Callable[[str, Said], Awaitable[Said]]]:
        """The command under its name."""
        return {"parity-import": self._import}

    async def _import(self, actor: str, arguments: Said) -> Said:  # noqa: ARG002 - all commands are called alike
        """Take outputs as if they had passed a tap. The same once more is counted and not taken again."""
        found = self._routes(str(arguments.get("target", "")))
        if len(found) != 1:
            raise Refused("say which route the output stands for: CHANNEL/ROUTE", 2)
        (channel, route), outputs = found[0], arguments.get("outputs")
        tap = self._tap(channel, route)
        if not isinstance(outputs, list) or len(outputs) > OUTPUTS_MAX:
            raise Refused(f"expected at most {OUTPUTS_MAX} outputs at a time", 2)
        counts: Counter[str] = Counter()
        for each in outputs:
            counts[await self._take(channel, route, tap, _body(each))] += 1
        return {"done": dict(counts)}

    def _tap(self, channel: Channel, route: Route) -> Tap:
        place = f"{channel.name}/{route.name}"
        taps = () if channel.legacy is None else channel.legacy.taps
        tap = next((each for each in taps if each.route == route.name), None)
        if tap is None or not (tap.place or tap.pair_by):
            raise Refused(
                f"{place} has no tap for messages; `taps: [{{route: {route.name}, recorded: {{}}}}]` below "
                "`legacy:` says that its output is imported",
                2,
            )
        standing = self._parts.staging[channel.name].standings[route.name]
        if standing.stage != "shadow":
            raise Refused(
                f"{place} stands at {standing.words}: what was recorded is compared in shadow, where the "
                f"bridge "
                "makes every request and the old engine has sent all of it"
            )
        return tap

    async def _take(self, channel: Channel, route: Route, tap: Tap, body: bytes) -> str:
        journal, staging = self._parts.journal, self._parts.staging[channel.name]
        standing = staging.standings[route.name]
        match_hash, told = staging.match_message(tap, body) if peek(body).readable else (None, "")
        if match_hash is None:
            return "unreadable"
        turn = await journal.submit(
            TAKE_OUTPUT,
            Output(
                channel.name,
                route.name,
                match_hash,
                journal.facts.hash(body),
                body,
                self._parts.world.now_us(),
                standing.episode,
                "pass",
                told,
                standing.since_message_id,
            ),
        )
        if turn.doing != "pass":
            return "known" if turn.doing == "repeat" else "waits"
        await journal.submit(OUTPUT_DONE, Done(turn.output_id, PASSED, IMPORTED))
        return "taken"


def _body(written: object) -> bytes:
    try:
        return base64.b64decode(str(written), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("expected outputs in base64", 2) from None
