"""With approvals asked for: a node runs by approved files only, and says by whose word.

Whether they are asked for is the machine's to say, ``BRIDGE_APPROVALS=required``, and not a key of a file:
what is guarded must not hold the switch. The journal remembers it. A node that starts on such a journal
without the word is refused, so that a variable that was lost does not end approvals; ``off`` ends them, and
that is an action in the journal like any other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, Literal

import structlog

from bridge.approvals.admission import Admitted, Ledger, NotAdmitted, Recorded, admit, counted
from bridge.approvals.bundle import shown
from bridge.approvals.people import People
from bridge.config.approval_files import ApprovalFiles
from bridge.config.areas import bundle_of
from bridge.config.topology import Topology
from bridge.errors import ConfigurationRefused, JournalRefused, JournalUnavailable
from bridge.journal.bundles import (
    ADMIT,
    END_APPROVALS,
    REVIEWED,
    Admit,
    EndApprovals,
    Known,
    Reviewed,
    Signed,
    asked_for,
    known,
)
from bridge.journal.journal import Journal
from bridge.located import Place, Problem
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.approvals")

Mode = Literal["", "required", "off"]
LOOK_EVERY_S: Final = 60.0
NOT_SAID: Final = (
    "this journal runs approved files only, and BRIDGE_APPROVALS is not set here: set it to `required`; or "
    "to `off`, which ends approvals for this journal and is written down in it"
)


def ledger_of(files: ApprovalFiles, journal: Known) -> Ledger:
    """All bundles and statements, those of the folder and those that the journal has kept."""
    found: dict[str, Recorded] = {}
    for digest, each in journal.bundles.items():
        said = {*journal.statements.get(digest, ()), *files.statements.get(digest, ())}
        found[digest] = Recorded(each.bundle, tuple(said), each.state, each.people)
    for digest, bundle in files.bundles.items():
        found.setdefault(digest, Recorded(bundle, files.statements.get(digest, ())))
    return Ledger(found, journal.people)


class Approving:
    """What a node asks before it runs by files. Without approvals it lets everything through."""

    def __init__(
        self,
        mode: Mode,
        read: Callable[[], ApprovalFiles] | None,
        journal: Journal,
        world: Surroundings,
        metrics: Metrics,
    ) -> None:
        self._mode, self._read, self._journal, self._world = mode, read, journal, world
        self._metrics = metrics
        self._running: Admitted | None = None

    def _runs(self, running: Admitted) -> None:
        self._running = running
        due = not running.verdict.approved
        self._metrics.emergency_until.set((running.verdict.until_us or 0) / 1e6 if due else 0)

    async def begin(self, topology: Topology) -> None:
        """Before a node does anything by these files.

        Raises JournalRefused where the journal asks for approvals and nobody said so here, and
        ConfigurationRefused where the files are not approved.
        """
        if self._mode != "required" and await self._journal.read(asked_for):
            if self._mode != "off":
                raise JournalRefused(NOT_SAID)
            end = EndApprovals("BRIDGE_APPROVALS=off", self._world.now_us())
            await self._journal.submit(END_APPROVALS, end)
            log.warning("approvals-ended", reason="BRIDGE_APPROVALS is off")
        write = await self.admit(topology)
        await write()

    async def admit(self, topology: Topology) -> Callable[[], Awaitable[None]]:
        """What notes that a node runs by these files, to be called as it begins to.

        Raises ConfigurationRefused where they are not approved, with the files that are not.
        """
        if self._mode != "required" or self._read is None:
            return _nothing
        files = self._read()
        if files.persons is None:
            raise ConfigurationRefused(files.problems)
        ledger = ledger_of(files, await self._journal.read(known))
        found = admit(bundle_of(topology), files.persons, ledger, self._world.now_us())
        if isinstance(found, NotAdmitted):
            raise ConfigurationRefused([*problems_of(found), *files.problems])
        return partial(self._note, found, ledger)

    async def _note(self, found: Admitted, ledger: Ledger) -> None:
        digest = found.bundle.digest
        persons = found.people.people
        assert persons is not None
        words = f"approved by {found.verdict.words}; written by {found.author}"
        if (until_us := found.verdict.until_us) is not None:
            words += f"; an emergency, to be reviewed: {'; '.join(found.verdict.missing)}"
        item = Admit(
            _signed(ledger.bundles[digest], found.author, persons),
            tuple(_signed(ledger.bundles[bundle.digest], author, persons) for bundle, author in found.line),
            Signed(found.people, found.people_author, found.people_said),
            "bridge",
            words,
            self._world.now_us(),
        )
        await self._journal.submit(ADMIT, item)
        self._runs(found)
        log.info("bundle-loaded", bundle=shown(digest), by=found.verdict.words, until_us=until_us)

    @property
    def people(self) -> People | None:
        """The persons by whom this node runs; None where no approvals are asked for."""
        return None if self._mode != "required" or self._running is None else self._running.people.people

    async def watch(self) -> None:
        """See that an emergency is reviewed, and say so again and again where it is not.

        Does not end, but where no approvals are asked for.
        """
        while self._mode == "required":
            await self._world.pause(LOOK_EVERY_S)
            try:
                await self.look()
            except JournalUnavailable as error:
                log.error("journal-unavailable", reading="approvals", reason=str(error))

    async def look(self) -> None:
        """Take what was signed since about an emergency that runs."""
        running = self._running
        if running is None or running.verdict.approved or self._read is None:
            return
        files, now_us = self._read(), self._world.now_us()
        if files.persons is None:
            return
        ledger = ledger_of(files, await self._journal.read(known))
        found = admit(running.bundle, files.persons, ledger, now_us)
        if isinstance(found, NotAdmitted) or not found.verdict.approved:
            self._tell_due(running, now_us)
            return
        persons = found.people.people
        assert persons is not None
        signed = _signed(ledger.bundles[running.bundle.digest], found.author, persons)
        words = f"the emergency was reviewed by {found.verdict.words}"
        await self._journal.submit(
            REVIEWED, Reviewed(running.bundle.digest, signed.statements, words, now_us)
        )
        self._runs(found)
        log.info("emergency-reviewed", bundle=shown(running.bundle.digest), by=found.verdict.words)

    def _tell_due(self, running: Admitted, now_us: int) -> None:
        until_us = running.verdict.until_us or 0
        late = now_us >= until_us
        (log.error if late else log.warning)(
            "emergency-not-reviewed", bundle=shown(running.bundle.digest), until_us=until_us, expired=late
        )

    def status(self) -> dict[str, Any] | None:
        """What runs and by whose word; None without approvals."""
        running = self._running
        if running is None:
            return None
        return {
            "bundle": shown(running.bundle.digest),
            "author": running.author,
            "by": running.verdict.words,
            "review_missing": list(running.verdict.missing),
            "until_us": running.verdict.until_us,
        }


async def _nothing() -> None:
    """Nobody asks for approvals."""


def _signed(each: Recorded, author: str, people: People) -> Signed:
    return Signed(each.bundle, author, counted(each, author, people))


def problems_of(found: NotAdmitted) -> list[Problem]:
    """Why files may not run, each reason with the file that it is about."""
    hint = "the node runs by approved files only; `bridge bundle` shows what is missing"
    first = Problem(Place(found.path, 1, 1), "C199", found.text, hint)
    return [first, *(Problem(Place(path, 1, 1), "C199", text) for path, text in found.more)]
