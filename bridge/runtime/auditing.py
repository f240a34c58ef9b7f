"""Checkpoints of the chain while a node runs: by count and by time, signed, and given to the anchors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

import structlog
from twisted.internet.threads import deferToThread

from bridge.audit.notes import Signer
from bridge.config.settings import AuditSettings
from bridge.errors import JournalRefused, JournalUnavailable, PeerUnavailable, SecretUnavailable
from bridge.journal.audit_presence import Presence, presence
from bridge.journal.checkpoints import ANCHORED, CHECKPOINT, Anchored, Sealing, not_anchored, uncovered
from bridge.journal.journal import Journal
from bridge.journal.letting_go import LET_GO, LetGo
from bridge.observe.anchors import Anchor, anchor
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings
from bridge.units import SecretRef

log = structlog.get_logger("bridge.audit")

LOOK_EVERY_S: Final = 1.0
LET_GO_EVERY_S: Final = 3600.0
"""How often rows of the chain are looked for that may go."""
REST_S: Final = 0.5
"""Between two transactions in which they do."""
COUNT_EVERY_S: Final = 20.0
COUNT_REST: Final = 20.0
"""So many times as long as counting took it rests at least, however large a journal is."""
WAIT_MAX_S: Final = 300.0
"""So long an anchor that is away is left alone, at most, before it is tried again."""


class Audited(Protocol):
    """What of a node's plan says how its chain is signed."""

    @property
    def audit(self) -> AuditSettings:
        """When, with which key, and to whom."""

    @property
    def secrets(self) -> Callable[[SecretRef], str]:
        """Looks a secret up."""


def _signer(plan: Audited) -> Signer | None:
    if plan.audit.key is None:
        return None
    try:
        return Signer.parse(plan.secrets(plan.audit.key))
    except SecretUnavailable as refused:
        raise JournalRefused(f"the key that signs the audit chain cannot be read: {refused}") from None
    except ValueError as wrong:
        raise JournalRefused(f"{plan.audit.key}: {wrong}") from None


def _anchors(settings: AuditSettings) -> list[Anchor]:
    if settings.anchors and settings.key is None:
        raise JournalRefused("BRIDGE_AUDIT_ANCHORS needs BRIDGE_AUDIT_KEY: only what is signed is anchored")
    try:
        return [anchor(each) for each in settings.anchors]
    except ValueError as wrong:
        raise JournalRefused(f"BRIDGE_AUDIT_ANCHORS: {wrong}") from None


class Auditing:
    """Makes checkpoints, and sees that each anchor has the newest."""

    def __init__(self, journal: Journal, plan: Audited, world: Surroundings, metrics: Metrics) -> None:
        """Raises JournalRefused where the key or an anchor cannot be used as they are named."""
        self._journal, self._settings, self._world = journal, plan.audit, world
        self._signer, self._anchors = _signer(plan), _anchors(plan.audit)
        self._wait_s: dict[str, float] = {}
        self._not_before_s: dict[str, float] = {}
        self._commits = -1
        self._metrics = metrics
        self._lets_go_at_s = self._counts_at_s = 0.0
        self._present = Presence()

    async def run(self) -> None:
        """Look again and again, until this is cancelled."""
        while True:
            await self._world.pause(LOOK_EVERY_S)
            try:
                await self.look()
                await self._let_go()
                await self._count()
            except JournalUnavailable as error:
                log.error("no-checkpoint", reason=str(error))

    async def end(self) -> None:
        """Let a checkpoint stand for all that was written, as a node ends. Does not raise."""
        try:
            await self.look(now=True)
        except JournalUnavailable as error:
            log.error("no-checkpoint", reason=str(error))

    async def look(self, *, now: bool = False) -> None:
        """Make a checkpoint where one is due, or ``now``; then tell the anchors that lack the newest.

        Raises JournalUnavailable.
        """
        if self._commits != self._journal.writer.commits or now:
            self._commits = self._journal.writer.commits
            waiting, at_us = await self._journal.read(uncovered), self._world.now_us()
            late = at_us - waiting.last_at_us >= self._settings.every_s * 1_000_000
            if waiting.rows and (now or late or waiting.rows >= self._settings.every_rows):
                await self._journal.submit(CHECKPOINT, Sealing(self._signer, at_us))
            elif waiting.rows:
                self._commits = -1  # what waits is looked at again when its time has come
        for each in self._anchors:
            await self._give(each)

    async def _let_go(self) -> None:
        keep_s, now_s = self._settings.keep_s, self._world.reactor.seconds()
        if keep_s is None or now_s < self._lets_go_at_s:
            return
        self._lets_go_at_s = now_s + LET_GO_EVERY_S
        gone, at_us, before_us = 0, self._world.now_us(), self._world.believed_us() - int(keep_s * 1e6)
        why = f"kept for {keep_s / 86_400:g} days, signed and anchored"
        while some := await self._journal.submit(LET_GO, LetGo(before_us, at_us, why)):
            gone += some
            await self._world.pause(REST_S)
        if gone:
            log.info("chain-let-go", commits=gone)

    async def _count(self) -> None:
        """Whether what was written is all there; what is missing was deleted past the database's rules."""
        began_s = self._world.reactor.seconds()
        if began_s < self._counts_at_s:
            return
        before = self._present.lacking
        self._present = now = await self._journal.read(presence, self._present)
        self._metrics.audit_completeness.set(now.ratio)
        if now.lacking and now.lacking != before:
            missing = ", ".join(f"{count} {name}" for name, count in now.lacking.items())
            log.error("audit-rows-missing", missing=missing, advice="bridge audit verify")
        ended_s = self._world.reactor.seconds()
        self._counts_at_s = ended_s + max(COUNT_EVERY_S, COUNT_REST * (ended_s - began_s))

    async def _give(self, to: Anchor) -> None:
        if self._world.reactor.seconds() < self._not_before_s.get(to.name, 0.0):
            return
        sealed = await self._journal.read(not_anchored, to.name)
        if sealed is None:
            return
        at_us = self._world.now_us()
        try:
            await deferToThread(partial(to.give, sealed.note, at_us))
        except PeerUnavailable as error:
            wait_s = self._wait_s[to.name] = min(WAIT_MAX_S, 2 * self._wait_s.get(to.name, 1.0))
            self._not_before_s[to.name] = self._world.reactor.seconds() + wait_s
            self._metrics.audit_not_anchored.set(len(self._wait_s))
            log.warning("not-anchored", anchor=to.name, reason=str(error), again_in_s=wait_s)
            return
        self._wait_s.pop(to.name, None)
        self._metrics.audit_not_anchored.set(len(self._wait_s))
        await self._journal.submit(ANCHORED, Anchored(sealed.size, to.name, at_us))
