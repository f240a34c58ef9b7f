"""Commands: what a person asks a running node to do, each done once and written down with who and why."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from functools import partial

from bridge.audit.entries import LOOKS
from bridge.delivery.state import MessageState
from bridge.errors import CertificateRefused, ConfigurationRefused, PeerUnavailable, SecretUnavailable
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.controls import Control, Scope
from bridge.journal.feeding import owed_to_engines
from bridge.journal.quarantine import requests_of
from bridge.journal.refusals import refusals_of
from bridge.journal.resolutions import (
    RESOLVE,
    REVISE,
    Action,
    Resolution,
    Revision,
    body_of,
    original_of,
)
from bridge.journal.search import story
from bridge.located import did_you_mean
from bridge.message import Microseconds
from bridge.runtime.approving import Approving
from bridge.runtime.bundle_commands import retire_bundle
from bridge.runtime.certificates import Certificates
from bridge.runtime.consent_commands import ConsentCommands
from bridge.runtime.drift_commands import DriftCommands
from bridge.runtime.file_commands import decide_about_files, settle_file
from bridge.runtime.held_codes import remade, try_again
from bridge.runtime.hold_commands import decide_hold
from bridge.runtime.mass_retry import retry_next
from bridge.runtime.parts import Parts
from bridge.runtime.refused import REASON_MAX_CHARACTERS, Refused, Said, given_reason, wanted_reason
from bridge.runtime.rehearsal import REPLAY_MAX_MESSAGES, Rehearsal, Reloaded, told
from bridge.runtime.reload import ReloadRefused
from bridge.runtime.replay_commands import replay
from bridge.runtime.stage_commands import StageCommands, automatic
from bridge.runtime.stages import Stages
from bridge.runtime.traffic import Traffic
from bridge.runtime.trying import try_now, waits_still

IDS_MAX = 10_000
LOOKS_AT_LENGTH = sorted(LOOKS - {"reveal"})
"""By commands that show content themselves, and let the node write it down before."""
"""What is said of looks at content that a command takes by itself."""
DIGEST_SHOWN_CHARACTERS = 12


class Commands:
    """The commands of a node, by name."""

    def __init__(
        self,
        parts: Parts,
        traffic: Traffic,
        reload: Callable[[Rehearsal], Awaitable[Reloaded]],
        stages: Stages,
        approving: Approving | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self._certificates = certificates
        self._parts, self._traffic, self._reload_files = parts, traffic, reload
        self._journal, self._world, self._approving = parts.journal, parts.world, approving
        self._outlets, self._translators, self._doors = parts.outlets, parts.translators, parts.doors
        self._named: dict[str, Callable[[str, Said], Awaitable[Said]]] = {
            "pause": self._pause,
            "resume": self._resume,
            "resume-all": self._resume_all,
            "resend": self._resend,
            "resolve": self._resolve,
            "edit": self._edit,
            "replay": self._replay,
            "files": self._files,
            "settle-file": partial(settle_file, parts),
            "reveal": self._reveal,
            "look": self._look,
            "legal-hold": self._legal_hold,
            "reload": self._reload,
            "try-now": partial(try_now, parts),
            "retry-next": partial(retry_next, parts),
            "bundle-retire": partial(retire_bundle, parts),
            "status": self._status,
            **StageCommands(parts, stages, approving).named,
            **DriftCommands(parts).named,
            **ConsentCommands(parts).named,
        }
        parts.on_different = automatic(parts, stages)

    async def __call__(self, actor: str, name: str, arguments: Said) -> Said:
        """Do a command for ``actor``. Raises BridgeError where the journal or a port is not to be had."""
        command = self._named.get(name)
        if command is None:
            hint = did_you_mean(name, self._named) or "`bridge --help` lists them"
            return {"error": f"no such command; {hint}", "exit": 2}
        try:
            return await command(actor, arguments)
        except Refused as refused:
            return {"error": str(refused), "exit": refused.exit_status}

    async def _files(self, actor: str, arguments: Said) -> Said:
        ids = arguments.get("ids")
        if not isinstance(ids, list) or not all(isinstance(each, int) for each in ids):
            raise Refused("name files by their numbers", 2)
        done, refused = await decide_about_files(
            self._parts, ids, actor, wanted_reason(arguments), discard=bool(arguments.get("discard"))
        )
        if refused:
            raise Refused("; ".join([*done, refused]))
        return {"done": done}

    # Traffic.

    async def _pause(self, actor: str, arguments: Said) -> Said:
        control = self._control(actor, arguments)
        await self._traffic.pause(control)
        return {"done": f"{control.subject} is paused", "until_us": control.until_us}

    async def _resume(self, actor: str, arguments: Said) -> Said:
        control = self._control(actor, arguments)
        if not await self._traffic.resume(control):
            tried = f"; `bridge apis try {control.name}` calls what is left alone"
            raise Refused(f"{control.subject} was not paused" + (tried if control.scope == "api" else ""))
        return {"done": f"{control.subject} goes on"}

    async def _resume_all(self, actor: str, arguments: Said) -> Said:
        reason, done = wanted_reason(arguments), []
        for stopped in self._traffic.stopped:
            if stopped.scope != "resend":
                control = replace(stopped, at_us=self._world.now_us(), actor=actor, reason=reason)
                if await self._traffic.resume(control):
                    done.append(f"{control.subject} goes on")
        return {"done": done or ["nothing was paused"]}

    async def _resend(self, actor: str, arguments: Said) -> Said:
        name = str(arguments.get("name", ""))
        if name not in self._parts.topology.channels:
            hint = did_you_mean(name, self._parts.topology.channels) or "`bridge status` lists them"
            raise Refused(f"there is no channel {name!r}; {hint}", 2)
        control = Control(
            "resend",
            name,
            intake=False,
            until_us=_time(arguments),
            at_us=self._world.now_us(),
            actor=actor,
            reason=wanted_reason(arguments),
        )
        if arguments.get("end"):
            if not await self._traffic.resume(control):
                raise Refused(f"repeats of {name} were not let through")
            return {"done": f"repeats of {name} are recognised again"}
        if control.until_us is None:
            raise Refused("say until when, as in --until 2h", 2)
        await self._traffic.pause(control)
        return {"done": f"{name} takes repeats for new messages", "until_us": control.until_us}

    def _control(self, actor: str, arguments: Said) -> Control:
        scope, name = self._subject(str(arguments.get("name", "")), arguments.get("scope"))
        intake = bool(arguments.get("intake"))
        if intake and scope != "channel":
            raise Refused("--intake is for a channel: what comes in has no route and no API yet", 2)
        return Control(
            scope, name, intake, _time(arguments), self._world.now_us(), actor, wanted_reason(arguments)
        )

    def _subject(self, name: str, scope: object) -> tuple[Scope, str]:
        """What a name means: a channel, one of its routes, or an API."""
        channels = self._parts.topology.channels
        routes = {f"{channel.name}/{route.name}" for channel in channels.values() for route in channel.routes}
        names: tuple[tuple[Scope, set[str]], ...] = (
            ("channel", set(channels)),
            ("route", routes),
            ("api", set(self._parts.topology.apis)),
        )
        found = [kind for kind, known in names if name in known and scope in (None, kind)]
        if len(found) == 1:
            return found[0], name
        if found:
            raise Refused(f"{name} is a channel and an API; say --channel or --api", 2)
        known = sorted(set().union(*(each for _, each in names)))
        hint = did_you_mean(name, known) or "`bridge status` lists them"
        raise Refused(f"there is no channel, route or API {name!r}; {hint}", 2)

    async def _reload(self, actor: str, arguments: Said) -> Said:
        """Run by the files as they are now, or by none of them."""
        digest = self._parts.topology.digest[:DIGEST_SHOWN_CHARACTERS]
        try:
            reloaded = await self._reload_files(_rehearsal(arguments))
        except ConfigurationRefused as refused:
            mistakes = [str(problem) for problem in refused.mistakes]
            raise Refused("\n".join([*mistakes, "the node runs on by the files it had"])) from None
        except (ReloadRefused, PeerUnavailable, CertificateRefused, SecretUnavailable) as refused:
            raise Refused(f"{refused}; the node runs on by the files it had") from None
        before, digest = digest, self._parts.topology.digest[:DIGEST_SHOWN_CHARACTERS]
        exchanged = any(not each.why_not for each in reloaded.exchanged)
        changed = digest != before or exchanged or reloaded.journal_key
        why = given_reason(arguments) or ("files changed" if changed else "nothing has changed")
        await self._note(actor, "reload", f"configuration {digest}", why)
        found = reloaded.difference
        return {
            "digest": digest,
            "channels": asdict(found.channels),
            "apis": asdict(found.apis),
            "certificates": [each._asdict() for each in reloaded.exchanged],
            "tried": reloaded.tried,
            "journal_key": reloaded.journal_key,
            "impact": told(reloaded.impact),
            "warnings": [str(problem) for problem in self._parts.topology.warnings],
        }

    # Quarantine.

    async def _resolve(self, actor: str, arguments: Said) -> Said:
        """Retry, skip or discard deliveries and messages; each is told by itself."""
        action = arguments.get("action")
        if action not in ("retry", "skip", "discard"):
            raise Refused("expected retry, skip or discard", 2)
        reason, remap = wanted_reason(arguments), bool(arguments.get("remap"))
        results = [
            await self._resolve_one(actor, action, reason, kind, number, remap=remap)
            for kind, number in _subjects(arguments)
        ]
        return {"results": results}

    async def _resolve_one(
        self, actor: str, action: Action, reason: str, kind: str, number: int, *, remap: bool
    ) -> Said:
        at_us = self._world.now_us()
        if kind == "message":
            if action == "retry":
                return await self._again(actor, number, reason)
            resolution = Resolution(None, number, action, actor, reason, at_us)
        elif action == "retry" and remap:
            return await self._remade(actor, number, reason)
        else:
            resolution = Resolution(number, None, action, actor, reason, at_us)
        return await self._decided(kind, number, resolution)

    async def _decided(self, kind: str, number: int, resolution: Resolution) -> Said:
        resolved = await self._journal.submit(RESOLVE, resolution)
        waits = ""
        if resolved.done:
            await self._parts.relax(resolved)
            if resolution.action == "retry":
                outlet = self._outlets.get(resolved.api)
                waits = waits_still(outlet, resolved.operation, self._world.now_us())
        found = {"what": kind, "id": number, "done": resolved.done, "why_not": resolved.why_not}
        return {**found, **({"waits": waits} if waits else {})}

    async def _again(self, actor: str, message_id: int, reason: str) -> Said:
        why_not = await try_again(self._parts, actor, message_id, reason)
        return {"what": "message", "id": message_id, "done": not why_not, "why_not": why_not}

    async def _remade(self, actor: str, delivery_id: int, reason: str) -> Said:
        """A delivery again, with a request that the mapping of today makes."""
        why_not = await remade(self._parts, actor, delivery_id, reason)
        return {"what": "delivery", "id": delivery_id, "done": not why_not, "why_not": why_not}

    async def _edit(self, actor: str, arguments: Said) -> Said:
        """Correct a message: kept beside what came, and what is in quarantine of it made anew from it."""
        message_id, reason = _number(arguments, "message"), wanted_reason(arguments)
        body = str(arguments.get("body", "")).encode("latin-1", "strict")
        found = await self._journal.read(story, message_id)
        if found is None:
            raise Refused(f"there is no message {message_id}")
        stuck = [row["id"] for row in found.deliveries if row["state"] == "QUARANTINED"]
        if found.message["state"] != MessageState.QUARANTINED and not stuck:
            raise Refused(f"nothing of message {message_id} is in quarantine; `bridge replay` sends it again")
        await self._journal.submit(REVISE, Revision(message_id, body, actor, reason, self._world.now_us()))
        if found.message["state"] == MessageState.QUARANTINED:
            return {"results": [await self._again(actor, message_id, reason)]}
        return {"results": [await self._remade(actor, number, reason) for number in stuck]}

    # Once more, and looking.

    async def _replay(self, actor: str, arguments: Said) -> Said:
        return await replay(self._parts, _ids(arguments), actor, arguments)

    async def _reveal(self, actor: str, arguments: Said) -> Said:
        """A message's content, once it is written down who looked and why."""
        message_id, reason = _number(arguments, "message"), wanted_reason(arguments)
        found = await self._journal.read(story, message_id)
        if found is None:
            raise Refused(f"there is no message {message_id}")
        await self._note(actor, "reveal", f"message {message_id}", reason)
        which = original_of if arguments.get("as_it_came") is True else body_of
        body = await self._journal.read(which, message_id)
        requests = await self._journal.read(requests_of, message_id)
        refusals = await self._journal.read(refusals_of, message_id)
        return {
            "body": None if body is None else body.decode("latin-1"),
            "requests": {str(number): request.decode("latin-1") for number, request in requests.items()},
            "answers": {str(number): each.answer.decode("latin-1") for number, each in refusals.items()},
        }

    async def _look(self, actor: str, arguments: Said) -> Said:
        """Write down that somebody looks into messages by a command of their own, before it does."""
        action = str(arguments.get("action"))
        if action not in LOOKS_AT_LENGTH:
            raise Refused("expected one of: " + ", ".join(LOOKS_AT_LENGTH), 2)
        subject = str(arguments.get("subject", ""))[:REASON_MAX_CHARACTERS]
        await self._note(actor, action, subject, wanted_reason(arguments))
        return {"done": action}

    async def _legal_hold(self, actor: str, arguments: Said) -> Said:
        """Begin or end a legal hold on a channel, or on all about a key."""
        done, refused, status = await decide_hold(self._parts, arguments, actor, wanted_reason(arguments))
        if refused:
            raise Refused(refused, status)
        return done

    async def _note(self, actor: str, action: str, subject: str, reason: str) -> Microseconds:
        """Write an action down; when it was, which is also when what it does is done."""
        at_us = self._world.now_us()
        await self._journal.submit(NOTE, ActionRow(at_us, actor, action, subject, reason))
        return at_us

    async def _status(self, actor: str, arguments: Said) -> Said:  # noqa: ARG002 - all commands are called alike
        return {
            "environment": self._parts.topology.environment,
            "production": self._parts.topology.production,
            "channels": {
                name: {
                    **door.status(),
                    **self._parts.status_of_files(name),
                    "keeps_old_order": self._parts.reordered.get(name, 0),
                }
                for name, door in self._doors.items()
            },
            "apis": {name: outlet.status() for name, outlet in self._outlets.items()},
            "engines": await self._engines(),
            "tls_of_calls": {} if self._certificates is None else self._certificates.status(),
            "flows_waiting": self._parts.flows.waiting,
            "consent_sources": self._parts.consents.status(),
            "stopped": [
                {
                    "subject": control.subject,
                    "scope": control.scope,
                    "intake": control.intake,
                    "until_us": control.until_us,
                    "actor": control.actor,
                    "reason": control.reason,
                }
                for control in self._traffic.stopped
            ],
            "approvals": None if self._approving is None else self._approving.status(),
            "journal_failing": self._journal.writer.failing,
            "journal_trouble": self._journal.writer.trouble
            or ("" if self._parts.disk is None else self._parts.disk.trouble),
            "disk": None if self._parts.disk is None else self._parts.disk.status(),
            "clock": self._world.clock(),
        }

    async def _engines(self) -> Said:
        owed = await self._journal.read(owed_to_engines)
        return {
            name: {
                "away": self._parts.feeds[name].away,
                "owed": owed[name].messages if name in owed else 0,
                "oldest_us": owed[name].oldest_us if name in owed else None,
                "taps": self._parts.taps_shut(name),
            }
            for name, staging in self._parts.staging.items()
            if staging.staged
        }


def _rehearsal(arguments: Said) -> Rehearsal:
    messages, on_change = arguments.get("replay", 200), arguments.get("on_change", "tell")
    if not isinstance(messages, int) or not 0 <= messages <= REPLAY_MAX_MESSAGES:
        raise Refused(f"--replay takes 0 to {REPLAY_MAX_MESSAGES} messages", 2)
    if on_change not in ("tell", "refuse"):
        raise Refused("--on-change takes tell or refuse", 2)
    return Rehearsal(messages, on_change)


def _time(arguments: Said) -> int | None:
    until_us = arguments.get("until_us")
    if until_us is not None and (not isinstance(until_us, int) or until_us <= 0):
        raise Refused("expected a time in microseconds", 2)
    return until_us


def _number(arguments: Said, name: str) -> int:
    value = arguments.get(name)
    if not isinstance(value, int):
        raise Refused(f"expected the number of a {name}", 2)
    return value


def _ids(arguments: Said) -> Sequence[int]:
    ids = arguments.get("ids")
    if not isinstance(ids, list) or not ids or not all(isinstance(each, int) for each in ids):
        raise Refused("name at least one message", 2)
    if len(ids) > IDS_MAX:
        raise Refused(f"that is more than {IDS_MAX} at once; take them in parts", 2)
    return sorted(set(ids))


def _subjects(arguments: Said) -> list[tuple[str, int]]:
    subjects = arguments.get("subjects")
    right = isinstance(subjects, list) and 0 < len(subjects) <= IDS_MAX
    if not right or not all(
        isinstance(each, list)
        and len(each) == 2
        and each[0] in ("message", "delivery")
        and isinstance(each[1], int)
        for each in subjects or ()
    ):
        raise Refused("name what is meant, as `bridge quarantine list` does: m17 or d42", 2)
    return [(kind, number) for kind, number in subjects or ()]
