"""The stages of a route that moves from an old engine to the bridge, and whose each key is. Pure.

    relay → shadow → canary p % → primary → complete, and back

Which keys of a canary are the bridge's follows from a salted hash: SHA-256 over salt, route and key, of which
the first eight bytes modulo 10,000 are below the share in hundredths of a percent. The same key has the same
number in every version, so that raising the share moves keys one way only. A key is its hash in the journal,
and the salt the route's own there; a site whose nodes must choose alike has a salt in its file, and then both
are of the site.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

Stage = Literal["relay", "shadow", "canary", "primary", "complete"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
Sender = Literal["legacy", "bridge"]
"""Whose output reaches the destination."""

BUCKETS_COUNT: Final = 10_000
SALT_BYTES: Final = 16
ONLY_PREFIXES: Final = ("facility", "event")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a route stands. ``share`` is how many of the 10,000 buckets are the bridge's in a canary.

    ``only`` are further words of a canary, ``facility=NORTH`` or ``event=ADT^A08``: of these messages the
    bridge's are those whose bucket is within the share. ``since_message_id`` is the last message that was
    there when the stage began.
    """

    stage: Stage
    share: int = 0
    only: tuple[str, ...] = ()
    salt: bytes = b""
    since_us: int = 0
    since_message_id: int = 0

    @property
    def fed(self) -> bool:
        """Whether the old engine gets the messages of this route."""
        return self.stage != "complete"

    @property
    def sends(self) -> bool:
        """Whether the bridge sends anything at this stage."""
        return self.stage in ("canary", "primary", "complete")

    @property
    def episode(self) -> str:
        """A word for this stay at this stage: evidence is of one such stay, and begins anew with the next."""
        return f"{self.stage}@{self.since_us}"

    @property
    def words(self) -> str:
        """The stage as a person writes it.

        >>> Standing("canary", 550).words
        'canary 5.5 %'
        """
        if self.stage != "canary":
            return self.stage
        return " ".join([f"canary {self.share / 100:g} %", *self.only])


def bucket(salt: bytes, route: str, key: bytes) -> int:
    """The number of a key on a route, 0 to 9,999; it depends on nothing but these.

    >>> bucket(b"salt", "encounter", b"key")
    3653
    """
    digest = hashlib.sha256(
        b"".join(len(each).to_bytes(4, "big") + each for each in (salt, route.encode(), key))
    )
    return int.from_bytes(digest.digest()[:8], "big") % BUCKETS_COUNT


def key_everywhere(salt: str, text: str) -> bytes:
    """What stands for a key on every node of a site, whatever its journal.

    >>> key_everywhere("north-site", "MR:4711").hex()[:16]
    '74a8f1fc7fc1861e'
    """
    return hashlib.sha256(f"{len(salt)} {salt} {text}".encode("utf-8", "surrogatepass")).digest()


def sender_of(
    standing: Standing, route: str, keys: Sequence[bytes], *, facility: str = "", event: str = ""
) -> Sender:
    """Who sends a message of these keys. One that touches several keys is the bridge's if any of them is."""
    if standing.stage != "canary":
        return "bridge" if standing.sends else "legacy"
    if not _meant(standing.only, facility, event):
        return "legacy"
    chosen = any(bucket(standing.salt, route, key) < standing.share for key in keys)
    return "bridge" if chosen else "legacy"


def _meant(only: Sequence[str], facility: str, event: str) -> bool:
    wanted = {"facility": set[str](), "event": set[str]()}
    for word in only:
        name, _, value = word.partition("=")
        wanted[name].add(value)
    return (not wanted["facility"] or facility in wanted["facility"]) and (
        not wanted["event"] or event in wanted["event"]
    )


def steps_back(stage: Stage) -> Stage | None:
    """The stage before, None before the first.

    >>> steps_back("primary"), steps_back("relay")
    ('canary', None)
    """
    place = STAGES.index(stage)
    return STAGES[place - 1] if place else None


def is_promotion(before: Standing, after: Standing) -> bool:
    """Whether more is the bridge's than before."""
    places = STAGES.index(before.stage), STAGES.index(after.stage)
    return places[1] > places[0] or (places[0] == places[1] and after.share > before.share)
