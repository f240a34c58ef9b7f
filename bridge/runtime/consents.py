"""Consents: what is known of patients' decisions, and what it means for a disclosure now.

What is known is held in memory, so that a decision costs no waiting. A file that cannot be read any more, or
has a mistake in it, leaves in force what was read before, for `KEPT_S`; after that its permits count no
longer, and its denials still do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog
from twisted.internet.threads import deferToThread

from bridge.errors import JournalUnavailable
from bridge.governance.base import Policies
from bridge.governance.consent import OVERRIDDEN, ConsentOptions, ConsentPolicy
from bridge.governance.consent_fhir import by_patient
from bridge.governance.consent_rules import UNKNOWN, Consent, Decision, Question, decide
from bridge.journal.consents import OVERRIDE, Override, overrides, patient_hash
from bridge.journal.journal import Journal
from bridge.located import Problem
from bridge.message import Microseconds
from bridge.runtime.consent_files import FILE_MAX_BYTES, read_consents
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.consent")

LOOK_EVERY_S = 2.0
KEPT_S = 24 * 3600.0
AWAY, BROKEN = "consent-source-away", "consent-source-broken"


class Source(Protocol):
    """Where consents come from. ``trouble`` is a code for why what it knows may be old, or empty."""

    trouble: str

    def known(self, names: Iterable[str]) -> Sequence[Consent]:
        """The consents of a patient who is known by any of these names."""
        ...

    def counts(self, now_us: Microseconds) -> bool:
        """Whether what it permits still counts."""
        ...

    async def look(self) -> bool:
        """See whether there is something new; whether there is. Does not raise."""
        ...


class FileSource:
    """The consents of one file, read again when it changes."""

    def __init__(self, path: Path, world: Surroundings) -> None:
        self._path, self._world = path, world
        self._seen: tuple[int, ...] | None = None
        self._by_patient: Mapping[str, tuple[Consent, ...]] = {}
        self._good_at_us: Microseconds | None = None
        self.trouble = AWAY
        self.count = 0

    def known(self, names: Iterable[str]) -> Sequence[Consent]:
        """As `Source` says."""
        found = {id(each): each for name in names for each in self._by_patient.get(name, ())}
        return tuple(found.values())

    def counts(self, now_us: Microseconds) -> bool:
        """As `Source` says."""
        if self._good_at_us is None:
            return False
        return not self.trouble or now_us - self._good_at_us < KEPT_S * 1e6

    async def look(self) -> bool:
        """As `Source` says."""
        if (at := self._stat()) is None:
            return self._failed(AWAY)
        now_us = self._world.now_us()
        if at == self._seen:
            if not self.trouble:
                self._good_at_us = now_us
            return False
        read = await deferToThread(_read, self._path)
        if isinstance(read, str):
            return self._failed(read)
        consents, problems = read
        self._seen = at
        if problems:
            for each in problems[:3]:
                log.error("consents-not-read", place=str(each.place), reason=each.text)
            return self._failed(BROKEN)
        self._by_patient, self.count = consents, sum(map(len, consents.values()))
        self._good_at_us, self.trouble = now_us, ""
        log.info("consents-read", file=self._path.name, patients=len(consents))
        return True

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _failed(self, why: str) -> bool:
        if self.trouble == why:
            return False
        self.trouble = why
        log.error("consents-not-read", file=self._path.name, reason=why)
        return True


def _read(path: Path) -> tuple[Mapping[str, tuple[Consent, ...]], list[Problem]] | str:
    try:
        with path.open("rb") as opened:
            content = opened.read(FILE_MAX_BYTES + 1)
    except OSError:
        return AWAY
    if len(content) > FILE_MAX_BYTES:
        return BROKEN
    consents, problems = read_consents(path.name, content)
    return by_patient(consents), problems


class Consents:
    """What is known, all APIs together."""

    def __init__(self, journal: Journal, world: Surroundings) -> None:
        self._journal, self._world = journal, world
        self._sources: dict[Path, Source] = {}
        self._overrides: dict[tuple[bytes, str], Microseconds] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called where something that was unknown may be known now."""

    def policies(self, api: str, policies: Policies) -> Policies:
        """These policies of an API, asked by what is known here."""
        for policy in policies.asks_anew:
            if isinstance(policy, ConsentPolicy):
                self._source_of(policy.options)
                policy.use(self._asked(api, policy.options))
        return policies

    def _source_of(self, options: ConsentOptions) -> list[Source]:
        if options.file is None:
            return []
        if options.file not in self._sources:
            self._sources[options.file] = FileSource(options.file, self._world)
        return [self._sources[options.file]]

    def _asked(self, api: str, options: ConsentOptions) -> Callable[[Question, Microseconds], Decision]:
        def asked(question: Question, now_us: Microseconds) -> Decision:
            return self.decide(api, options, question, now_us)

        return asked

    def decide(self, api: str, options: ConsentOptions, question: Question, now_us: Microseconds) -> Decision:
        """What follows for a disclosure to an API now, by all that is known."""
        if question.patients and all(self._overridden(api, names, now_us) for names in question.patients):
            return Decision("permit", OVERRIDDEN)
        asked = question if question.recipients else _of_api(question, api)
        sources = self._source_of(options)
        known = [[each for source in sources for each in source.known(names)] for names in question.patients]
        said = decide(asked, known, now_us)
        if said.word != "deny" and not all(source.counts(now_us) for source in sources):
            return Decision("unknown", next((each.trouble for each in sources if each.trouble), UNKNOWN))
        return said

    def _overridden(self, api: str, names: Iterable[str], now_us: Microseconds) -> bool:
        if not self._overrides:
            return False
        hashes = self._journal.facts.hashes
        found = (self._overrides.get((patient_hash(hashes, name), api), 0) for name in names)
        return any(now_us < until_us for until_us in found)

    async def override(self, wanted: Override) -> bool:
        """Let through, or no longer, what a person says; False where there was nothing to end. Raises
        JournalUnavailable."""
        done = await self._journal.submit(OVERRIDE, wanted)
        key = patient_hash(self._journal.facts.hashes, wanted.patient), wanted.api
        self._overrides.pop(key, None)
        if wanted.until_us is not None:
            self._overrides[key] = wanted.until_us
        self.changed()
        return done

    async def start(self) -> None:
        """Learn what is known before anything is sent."""
        self._overrides = dict(await self._journal.read(overrides, self._world.now_us()))
        await self._look()

    async def run(self) -> None:
        """Look for what is new, again and again."""
        while True:
            await self._world.pause(LOOK_EVERY_S)
            try:
                await self._look()
            except JournalUnavailable as error:
                log.error("journal-unavailable", reading="consents", reason=str(error))
            self.changed()

    async def _look(self) -> None:
        for source in list(self._sources.values()):
            await source.look()

    async def look_now(self) -> None:
        """Look at once, and let go what waits for it."""
        await self._look()
        self.changed()

    def status(self) -> dict[str, Any]:
        """The sources that are in trouble, each with its code."""
        return {path.name: each.trouble for path, each in self._sources.items() if each.trouble}


def _of_api(question: Question, api: str) -> Question:
    return Question(question.patients, question.record, question.labels, question.purpose, frozenset({api}))
