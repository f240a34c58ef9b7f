"""Whether a stream keeps what it acknowledges: asked of the stream, and of every server that holds it.

JetStream writes to its files at once and has them synced every two minutes, unless `sync_interval: always` is
set. What it acknowledged before that is gone after a power cut, so an event would be DELIVERED and nowhere.
Only the server's own monitoring endpoint, `/varz`, says how it is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.delivery.outcomes import Outcome, Verdict

VARZ_MAX_BYTES: Final = 262_144
SEEN_WITHIN_NS: Final = 10_000_000_000
"""A server that its leader has heard nothing of for so long is away, and acknowledges nothing."""

NOT_ALWAYS: Final = "stream-not-sync-always"
ADVICE: Final[Mapping[str, str]] = {
    NOT_ALWAYS: "the server syncs its files now and then: what it acknowledged is gone after a power cut; "
    "write `jetstream { sync_interval: always }` into its configuration and start it again",
    "stream-persists-later": "the stream has `persist_mode: async`: make it anew without",
    "stream-in-memory": "the stream is kept in memory: make it with `--storage file`",
    "stream-without-acks": "the stream acknowledges nothing (`no_ack`): `nats stream edit STREAM --ack`",
    "stream-missing": "make the stream: `nats stream add STREAM --subjects 'SUBJECT.>' --storage file "
    "--replicas 3 --dupe-window 1h`",
    "stream-takes-other-subjects": "the stream takes other subjects: "
    "`nats stream edit STREAM --subjects 'SUBJECT.>'`",
    "stream-not-proven": "no monitoring endpoint tells of a server that holds the stream: name that of each "
    "under `monitors:`",
    "monitor-unusable": "a monitoring endpoint answers, and not as one of NATS: look at `monitors:`",
    "jetstream-off": "JetStream is off at a server that is named: start it with `jetstream { ... }`",
}
"""By reason, what to do about it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one server says of itself."""

    server: str
    jetstream: bool
    always: bool


def told_by(varz: Any) -> Told | None:
    """What a monitoring endpoint says, or None where that is no `/varz` of a NATS server."""
    match varz:
        case {"server_name": str(server), "jetstream": dict() as jetstream}:
            config = jetstream.get("config")
            return Told(server, bool(config), isinstance(config, dict) and config.get("sync_always") is True)
        case {"server_name": str(server)}:
            return Told(server, jetstream=False, always=False)
    return None


def holders(info: Mapping[str, Any], connected: str) -> Iterator[str]:
    """The servers that hold a stream, but for those that are away. ``connected`` is the one that answered."""
    cluster = info.get("cluster") or {}
    yield cluster.get("leader") or connected
    for replica in cluster.get("replicas") or ():
        away = replica.get("offline") is True or (
            replica.get("current") is not True and replica.get("active", 0) > SEEN_WITHIN_NS
        )
        if not away:
            yield str(replica.get("name", ""))


def covers(pattern: str, subject: str) -> bool:
    """Whether all subjects of a wildcard, ``A.B.>``, are among those of a stream's pattern.

    >>> covers("bridge.>", "bridge.evt.>"), covers("*.evt.>", "bridge.evt.>")
    (True, True)
    >>> covers("bridge.evt", "bridge.evt.>")
    False
    """
    ours, theirs = subject.split("."), pattern.split(".")
    for at, word in enumerate(theirs):
        if word == ">":
            return at < len(ours) and at == len(theirs) - 1
        if at >= len(ours) or ours[at] == ">" or word not in ("*", ours[at]):
            return False
    return len(theirs) == len(ours)


def against(info: Mapping[str, Any], subject: str) -> Outcome | None:
    """What speaks against a stream, by its own description; None where nothing does."""
    config = info.get("config") or {}
    if config.get("storage") != "file":
        return Outcome(Verdict.HOLD, "stream-in-memory")
    if config.get("persist_mode") == "async":
        return Outcome(Verdict.HOLD, "stream-persists-later")
    if config.get("no_ack") is True:
        return Outcome(Verdict.HOLD, "stream-without-acks")
    if not any(covers(each, subject) for each in config.get("subjects") or ()):
        return Outcome(Verdict.HOLD, "stream-takes-other-subjects")
    return None


def not_proven(info: Mapping[str, Any], connected: str, told: Mapping[str, Told]) -> Outcome | None:
    """What is not proven of the servers that hold a stream; None where each syncs before it acknowledges."""
    for server in holders(info, connected):
        found = told.get(server)
        if found is None:
            # It may have just gone, and be counted as away in a moment; or it is named nowhere.
            return Outcome(Verdict.RETRY, "stream-not-proven")
        if not found.jetstream:
            return Outcome(Verdict.HOLD, "jetstream-off")
        if not found.always:
            return Outcome(Verdict.HOLD, NOT_ALWAYS)
    return None
