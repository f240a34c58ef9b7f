"""One operation as it answers: what of it is other than its contract says, and whether that stops it. Pure.

A change in an answer is seen at once. A change in what an API takes shows in refusals: when `REJECTED_MIN` of
the last `ANSWERED_MAX_COUNT` messages are refused for the same field, it is the API that has changed and not
the messages. Where no field is named, `REJECTED_WITHOUT_PLACE_MIN` in a row must be refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.contracts.findings import HARMLESS, Finding

ANSWERED_MAX_COUNT: Final = 10
"""So many messages back is looked."""
REJECTED_MIN: Final = 5
REJECTED_WITHOUT_PLACE_MIN: Final = 8
NOT_FOUND_MIN: Final = 5
SEEN_MAX_COUNT: Final = 200
"""More places of one operation are not kept apart: then it is another API."""
HEALS: Final = frozenset({"gone", "scope"})
"""Kinds that the next good answer ends: one call tries again after a while, and nobody need accept them."""


@dataclass(slots=True)
class Seen:
    """A place that is other than the contract says: how often, since when, and whether it was accepted."""

    times: int
    first_us: int
    last_us: int
    accepted: bool = False


class Watch:
    """What is known of one operation. ``enforced`` says whether a change holds it, ``affected_max`` how many
    messages may meet one that heals by itself before that too waits for a person."""

    __slots__ = ("_answered", "_met", "_not_found", "affected_max", "enforced", "held", "seen")

    def __init__(self, *, enforced: bool, affected_max: int = 20) -> None:
        self.enforced, self.affected_max = enforced, affected_max
        self.seen: dict[Finding, Seen] = {}
        self.held: dict[Finding, None] = {}
        """What a person must accept, or what waits for the API to be as it was."""
        self._answered: deque[tuple[int, Finding | None]] = deque(maxlen=ANSWERED_MAX_COUNT)
        self._not_found: dict[int, None] = {}
        self._met: set[int] = set()
        """The messages that met what heals by itself."""

    def restore(self, finding: Finding, times: int, first_us: int, *, held: bool) -> None:
        """Know again what was known before a process ended."""
        if held:
            self.held[finding] = None
        elif finding.kind == "rejected" or finding.kind in HEALS:
            return  # these are not expected from then on; they were done with
        self.seen[finding] = Seen(times, first_us, first_us, accepted=not held)

    @property
    def shut(self) -> bool:
        """Whether no call may begin until a person has accepted what changed."""
        waits = any(each.kind not in HEALS for each in self.held)
        return waits or (self.enforced and len(self._met) >= self.affected_max)

    def met(self, findings: Iterable[Finding], now_us: int) -> list[Finding]:
        """Count what was found; what of it is new, or was seen so often that it should be told again."""
        told: list[Finding] = []
        for each in findings:
            known = self.seen.get(each)
            if known is None:
                if len(self.seen) >= SEEN_MAX_COUNT:
                    continue
                known = self.seen[each] = Seen(0, now_us, now_us)
            known.times += 1
            known.last_us = now_us
            holds = self.enforced and not known.accepted and each.kind not in HARMLESS
            if holds and each not in self.held:
                self.held[each] = None
                told.append(each)
            elif known.times & (known.times - 1) == 0:  # 1, 2, 4, 8: what is kept stays small
                told.append(each)
        return told

    def answered(self, delivery_id: int) -> list[Finding]:
        """The API took a message: what a good answer ends."""
        self._not_found.clear()
        self._met.clear()
        self._note(delivery_id, None)
        over = [each for each in self.held if each.kind in HEALS]
        for each in over:
            del self.held[each]
        return over

    def refused(self, delivery_id: int, places: Iterable[str], status: int) -> list[Finding]:
        """The API refused a message, at these places: the refusals that are too many, if so."""
        self._not_found.clear()
        found = [Finding("rejected", place, str(status)) for place in places]
        first = found[0] if found else Finding("rejected", "", str(status))
        self._note(delivery_id, first)
        newest = [each for _, each in self._answered]
        if first.pointer:
            return [first] if newest.count(first) >= REJECTED_MIN else []
        newest = newest[-REJECTED_WITHOUT_PLACE_MIN:]
        return [first] if newest == [first] * REJECTED_WITHOUT_PLACE_MIN else []

    def not_found(self, delivery_id: int, status: int) -> list[Finding]:
        """What the path names is not there: of one message after the other, it is the path."""
        self._not_found[delivery_id] = None
        if len(self._not_found) < NOT_FOUND_MIN:
            return []
        self._met.update(self._not_found)
        return [Finding("gone", "", str(status))]

    def stopped(self, delivery_id: int, finding: Finding) -> list[Finding]:
        """The operation is gone or wants more rights, for every message alike."""
        self._met.add(delivery_id)
        return [finding]

    def accept(self) -> list[Finding]:
        """A person has looked: what was held. Changes of answers among it are expected from now on."""
        done = list(self.held)
        self.held.clear()
        self._answered.clear()
        self._not_found.clear()
        self._met.clear()
        for each in done:
            if each.kind == "rejected" or each.kind in HEALS:
                self.seen.pop(each, None)
            elif each in self.seen:
                self.seen[each].accepted = True
        return done

    def _note(self, delivery_id: int, finding: Finding | None) -> None:
        """The newest word about each delivery counts, so that a message which is tried again counts once."""
        for each in [each for each in self._answered if each[0] == delivery_id]:
            self._answered.remove(each)
        self._answered.append((delivery_id, finding))
