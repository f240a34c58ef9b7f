"""What a person decides about stages and about differences."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from bridge.approvals.decisions import Decision, asked_of, refused
from bridge.config.areas import areas_of
from bridge.config.topology import Channel, Route
from bridge.delivery.stages import ONLY_PREFIXES, STAGES, Stage, Standing, is_promotion, steps_back
from bridge.journal.parity import ACCEPT, Accept
from bridge.journal.route_facts import RouteFacts, route_facts
from bridge.journal.stages import APPROVE, Approval
from bridge.located import did_you_mean
from bridge.runtime.approving import Approving
from bridge.runtime.parts import Parts
from bridge.runtime.recorded import Recorded
from bridge.runtime.refused import Refused, Said, wanted_reason
from bridge.runtime.stage_board import board, evidence_of, gates_of
from bridge.runtime.stages import Stages

PERSON: Final = "person:"
"""Before the name of somebody who has signed; who is known by a user of the machine is ``user:`` instead."""
UNSIGNED: Final = (
    "this node runs approved files only, and there two persons are two keys: sign with yours, --key FILE or "
    "BRIDGE_APPROVAL_KEY. A step back needs no key"
)


class StageCommands:
    """The commands about stages, by name."""

    def __init__(self, parts: Parts, stages: Stages, approving: Approving | None = None) -> None:
        self._parts, self._stages, self._approving = parts, stages, approving
        self._journal, self._world = parts.journal, parts.world

    @property
    def named(self) -> dict[str, Callable[[str, Said], Awaitable[Said]]]:
        """Each command under its name."""
        named = {"stage": self._stage, "stage-board": self._board, "parity-accept": self._accept}
        return named | Recorded(self._parts, self._routes).named

    async def _board(self, actor: str, arguments: Said) -> Said:  # noqa: ARG002 - all commands are called alike
        return {"routes": await board(self._parts, self._world.now_us())}

    async def _stage(self, actor: str, arguments: Said) -> Said:
        """Move routes, agree that they may be moved, or say why they may not."""
        routes = self._routes(str(arguments.get("target", "")))
        reason = wanted_reason(arguments)
        wanted = str(arguments.get("stage", ""))
        actor = self._signed(actor, arguments, routes)
        if arguments.get("approve"):
            for channel, route in routes:
                item = Approval(
                    channel.name, route.name, self._stage_word(wanted), actor, reason, self._world.now_us()
                )
                await self._journal.submit(APPROVE, item)
            return {"done": [f"{c.name}/{r.name}: {actor} agrees to {wanted}" for c, r in routes]}
        done: list[str] = []
        for channel, route in routes:
            done.append(await self._move(channel, route, wanted, arguments, actor, reason))
        return {"done": done}

    def _signed(self, actor: str, arguments: Said, routes: list[tuple[Channel, Route]]) -> str:
        """Who decides: with approvals asked for, the person whose key has signed what is asked."""
        people = None if self._approving is None else self._approving.people
        given = arguments.pop("signed", None)
        if people is None or (given is None and not arguments.get("approve")):
            return actor
        if given is None:
            raise Refused(UNSIGNED)
        try:
            decision = Decision.of_json(given)
            asked = asked_of("stage", arguments)
        except ValueError:
            raise Refused("this is no signed decision", 2) from None
        of: set[str] = set()
        if arguments.get("approve"):
            topology = self._parts.topology
            areas, paths = areas_of(topology), topology.paths
            of = {area for channel, _ in routes for area in areas[paths["channel", channel.name]]}
        journal, now_us = self._journal.facts.journal_id, self._world.now_us()
        if why := refused(decision, people, journal=journal, asked=asked, now_us=now_us, areas=of):
            raise Refused(why)
        return f"{PERSON}{decision.person}"

    def _agreed(self, facts: RouteFacts) -> RouteFacts:
        """With approvals asked for only those count who have signed, and whom the files still name."""
        people = None if self._approving is None else self._approving.people
        if people is None:
            return facts
        known = {f"{PERSON}{name}" for name in people.persons}
        return facts._replace(approved_by=tuple(each for each in facts.approved_by if each in known))

    def _stage_word(self, word: str) -> Stage:
        if word not in STAGES:
            hint = did_you_mean(word, STAGES) or "expected " + ", ".join(STAGES)
            raise Refused(f"there is no stage {word!r}; {hint}", 2)
        return word

    async def _move(
        self, channel: Channel, route: Route, wanted: str, arguments: Said, actor: str, reason: str
    ) -> str:
        place, before = f"{channel.name}/{route.name}", self._stages.standing(channel.name, route.name)
        if wanted == "back":
            earlier = steps_back(before.stage)
            if earlier is None:
                raise Refused(f"{place} is at its first stage already")
            share = before.share if earlier == "canary" else 0
            if earlier == "canary" and not share:
                earlier = "shadow"
            after = replace(before, stage=earlier, share=share)
        else:
            stage = self._stage_word(wanted)
            share = self._share(stage, arguments)
            kept = before.share if stage in ("primary", "complete") else 0  # for a step back to that canary
            only = _only(arguments) if stage == "canary" else before.only if kept else ()
            after = replace(before, stage=stage, share=share or kept, only=only)
        if (after.stage, after.share, after.only) == (before.stage, before.share, before.only):
            raise Refused(f"{place} stands at {before.words} already")
        promoted = is_promotion(before, after)
        asks_for_keys = self._approving is not None and self._approving.people is not None
        if promoted and asks_for_keys and not actor.startswith(PERSON):
            raise Refused(UNSIGNED)
        if promoted:
            await self._hold_gates(channel, route, before, after, arguments, actor)
        if arguments.get("replay") and promoted:
            raise Refused("--replay goes with a step back: what the bridge took and did not send", 2)
        if arguments.get("replay") and channel.legacy is not None and channel.legacy.takes_files:
            raise Refused(
                f"{place} takes files, and its old job had each of them whole: what the bridge took and "
                f"did not "
                "send is sent all the same after a step back; leave --replay out",
                2,
            )
        forced = bool(arguments.get("force"))
        if arguments.get("replay") and forced:
            await self._hold_second(channel, route, after.stage, actor)
        stood = await self._stages.move(
            channel,
            route.name,
            after,
            actor=actor,
            reason=reason + (" (forced)" if forced and (promoted or arguments.get("replay")) else ""),
            action="stage" if promoted else "stage-back",
            replay=bool(arguments.get("replay")),
            delivered=forced and bool(arguments.get("replay")),
        )
        said = f"{place} stands at {stood.standing.words}; it was at {before.words}"
        if arguments.get("replay"):
            said += (
                f"; {stood.given_back} messages go to the old engine again, {stood.kept} stay the bridge's"
            )
        return said

    async def _hold_second(self, channel: Channel, route: Route, stage: Stage, actor: str) -> None:
        """What was delivered is sent twice only where a second person agrees."""
        facts = await self._journal.read(route_facts, channel.name, route.name, stage, self._world.now_us())
        if not [each for each in facts.approved_by if each != actor]:
            raise Refused(
                f"--replay --force gives the old engine what was delivered, and its receivers have that "
                f"twice then; it needs two persons: let somebody else run "
                f"`bridge stage {channel.name}/{route.name} {stage} --approve --reason ...` first"
            )

    def _share(self, stage: Stage, arguments: Said) -> int:
        share = arguments.get("share")
        if stage != "canary":
            if share is not None:
                raise Refused("a share goes with canary alone, as in: canary 5%", 2)
            return 0
        if not isinstance(share, int) or not 0 < share <= 10_000:
            raise Refused("say which share of keys, more than 0 and at most 100 percent: canary 5%", 2)
        return share

    async def _hold_gates(
        self, channel: Channel, route: Route, before: Standing, after: Standing, arguments: Said, actor: str
    ) -> None:
        now_us = self._world.now_us()
        found = await self._journal.read(route_facts, channel.name, route.name, after.stage, now_us)
        facts = self._agreed(found)
        waiting, _ = self._parts.hand_over.waiting().get((channel.name, route.name), (0, 0))
        evidence = evidence_of(facts, channel, route, before, waiting, now_us)
        gates = gates_of(channel, before, after, evidence, now_us, actor)
        missing = [gate for gate in gates if not gate.holds]
        if not missing:
            return
        lines = [f"  {gate.name}: {gate.found}, wanted {gate.wanted}" for gate in missing]
        place = f"{channel.name}/{route.name}"
        if not arguments.get("force"):
            raise Refused(
                f"{place} may not go from {before.words} to {after.words} yet:\n" + "\n".join(lines) + "\n"
                "--force passes these gates, once a second person has agreed with --approve"
            )
        if not [each for each in facts.approved_by if each != actor]:
            raise Refused(
                f"--force needs two persons: let somebody else run "
                f"`bridge stage {place} {after.stage} --approve --reason ...` first. It would pass:\n"
                + "\n".join(lines)
            )

    def _routes(self, target: str) -> list[tuple[Channel, Route]]:
        name, _, route_name = target.partition("/")
        staging = self._parts.staging.get(name)
        if staging is None:
            hint = did_you_mean(name, self._parts.staging) or "`bridge stage` lists them"
            raise Refused(f"there is no channel {name!r}; {hint}", 2)
        channel = staging.channel
        if channel.legacy is None:
            raise Refused(f"{name} has no `legacy:`, and so no stages: it is the bridge's alone", 2)
        found = [route for route in channel.routes if route_name in ("", route.name)]
        if not found:
            names = [route.name for route in channel.routes]
            hint = did_you_mean(route_name, names) or "its routes are " + ", ".join(names)
            raise Refused(f"{name} has no route {route_name!r}; {hint}", 2)
        return [(channel, route) for route in found]

    async def _accept(self, actor: str, arguments: Said) -> Said:
        """A difference is meant, or no longer."""
        routes = self._routes(str(arguments.get("target", "")))
        reason, until_us = wanted_reason(arguments), arguments.get("until_us")
        fingerprint = str(arguments.get("fingerprint", ""))
        end = bool(arguments.get("end"))
        items = [
            Accept(channel.name, route.name, fingerprint, until_us, self._world.now_us(), actor, reason, end)
            for channel, route in routes
        ]
        done = await self._journal.submit_all(ACCEPT, items)
        places = [
            f"{item.channel}/{item.route}" for item, did in zip(items, done, strict=True) if did is True
        ]
        if not places:
            raise Refused(f"there is no difference {fingerprint} here; `bridge parity` lists them")
        word = "is not explained any more" if end else "counts as explained from now on"
        return {"done": f"{fingerprint} {word}: {', '.join(places)}"}


def _only(arguments: Said) -> tuple[str, ...]:
    only = arguments.get("only") or []
    wrong = [
        each
        for each in only
        if not isinstance(each, str)
        or not re.fullmatch(f"({'|'.join(ONLY_PREFIXES)})=[A-Za-z0-9_.^-]{{1,40}}", each)
    ]
    if wrong:
        raise Refused("expected --only facility=NORTH or --only event=ADT^A08", 2)
    return tuple(only)


def automatic(parts: Parts, stages: Stages) -> Callable[[str, str], Awaitable[None]]:
    """What takes a financial route back by itself when a pair differs without an explanation."""

    async def differed(channel_name: str, route: str) -> None:
        staging: Any = parts.staging.get(channel_name)
        if staging is not None and staging.channel.parity.financial:
            await stages.step_back(staging.channel, route, "an unexplained difference in a financial route")

    return differed
