"""Consents: what is known of patients' decisions, and what it means for a disclosure now.

What is known is held in memory, so that a decision costs no waiting. A file that cannot be read any more, or
has a mistake in it, leaves in force what was read before, for `KEPT_S`; after that its permits count no
longer, and its denials still do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from twisted.internet.threads import deferToThread

from bridge.destinations.base import NoAnswer, Registry, Secrets
from bridge.governance.base import Policies
from bridge.governance.consent import ASKED_FOR, OVERRIDDEN, ConsentOptions, ConsentPolicy, RegistryOptions
from bridge.governance.consent_fhir import by_patient
from bridge.governance.consent_rules import UNKNOWN, Consent, Decision, Question, decide
from bridge.governance.target_guard import is_permitted
from bridge.journal.consents import (
    KEEP_CONSENT,
    OVERRIDE,
    KeptConsent,
    Override,
    consents_of,
    overrides,
    patient_hash,
)
from bridge.journal.journal import Journal
from bridge.located import Problem
from bridge.message import Microseconds
from bridge.runtime.consent_files import FILE_MAX_BYTES, answered, answered_about, read_consents
from bridge.runtime.consent_sources import AWAY, AskedSource, Known, Source
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.consent")

LOOK_EVERY_S = 2.0
KEPT_S = 24 * 3600.0
BROKEN = "consent-source-broken"


class FileSource:
    """The consents of one file, read again when it changes."""

    def __init__(self, path: Path, world: Surroundings) -> None:
        self._path, self._world = path, world
        self._seen: tuple[int, ...] | None = None
        self._by_patient: Mapping[str, tuple[Consent, ...]] = {}
        self._good_at_us: Microseconds | None = None
        self.trouble = AWAY

    def known(self, names: Sequence[str], now_us: Microseconds) -> Known:
        """As `Source` says."""
        found = {id(each): each for name in names for each in self._by_patient.get(name, ())}
        good = self._good_at_us
        counts = good is not None and (not self.trouble or now_us - good < KEPT_S * 1e6)
        return Known(tuple(found.values()), counts, self.trouble)

    async def look(self) -> None:
        """As `Source` says."""
        if (at := self._stat()) is None:
            self._failed(AWAY)
            return
        now_us = self._world.now_us()
        # One that was away is read again though it is the same: it was out of reach, not wrong.
        if at == self._seen and self.trouble != AWAY:
            if not self.trouble:
                self._good_at_us = now_us
            return
        read = await deferToThread(_read, self._path)
        if isinstance(read, str):
            self._failed(read)
            return
        consents, problems = read
        self._seen = at
        if problems:
            for each in problems[:3]:
                log.error("consents-not-read", place=str(each.place), reason=each.text)
            self._failed(BROKEN)
            return
        self._by_patient, self._good_at_us, self.trouble = consents, now_us, ""
        log.info("consents-read", file=self._path.name, names=len(consents))

    def _stat(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _failed(self, why: str) -> None:
        if self.trouble != why:
            self.trouble = why
            log.error("consents-not-read", file=self._path.name, reason=why)


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

    def __init__(self, journal: Journal, world: Surroundings, secrets: Secrets) -> None:
        self._journal, self._world, self._secrets = journal, world, secrets
        self._sources: dict[Hashable, Source] = {}
        self._tables: dict[str, AskedSource] = {}
        self._overrides: dict[tuple[bytes, str], Microseconds] = {}
        self._telling = False
        self.asks: Callable[..., Registry] | None = None
        """Makes what asks a registry; the catalog's policy says it."""
        self.changed: Callable[[], None] = lambda: None
        """Called where something that was unknown may be known now."""

    def policies(self, api: str, policies: Policies) -> Policies:
        """These policies of an API, asked by what is known here."""
        for policy in policies.asks_anew:
            if isinstance(policy, ConsentPolicy):
                policy.use(partial(self.decide, api, policy.options))
        return policies

    def _sources_of(self, options: ConsentOptions) -> list[Source]:
        found: list[Source] = []
        if (file := options.file) is not None:
            found.append(self._source(file, lambda: FileSource(file, self._world)))
        if (registry := options.registry) is not None:
            found.append(self._source(registry, lambda: self._registry(registry)))
        if (name := options.table) is not None:
            found.append(self._table(name))
        return found

    def _source(self, key: Hashable, make: Callable[[], Source]) -> Source:
        if key not in self._sources:
            self._sources[key] = make()
        return self._sources[key]

    def _registry(self, options: RegistryOptions) -> AskedSource:
        assert self.asks is not None, "the catalog says who asks registries"
        asked: Registry = self.asks(
            options.url, options.token, options.ca, options.timeout, self._secrets, is_permitted
        )

        async def ask(names: tuple[str, ...]) -> tuple[tuple[Consent, ...], str]:
            return answered_about(await asked.ask(names[0]), names)

        return AskedSource(ask, self._world, self.tell_soon, cache_s=options.cache, keep_s=options.keep)

    def _table(self, name: str) -> AskedSource:
        async def ask(names: tuple[str, ...]) -> tuple[tuple[Consent, ...], str]:
            rows = await self._journal.read(consents_of, name, self._journal.facts.hashes, names)
            return tuple(consent for row in rows for consent in answered(row)), ""

        if name not in self._tables:
            table = AskedSource(ask, self._world, self.tell_soon)
            self._tables[name] = self._sources["table", name] = table
        return self._tables[name]

    async def keep(self, table: str, content: bytes) -> str:
        """Keep one consent in a table; why it cannot be kept, or empty. Raises JournalUnavailable."""
        try:
            (consent,) = answered(content)
        except (NoAnswer, ValueError):
            return "consent-unreadable"
        now_us = self._world.now_us()
        names = tuple(sorted(consent.patients))
        await self._journal.submit(KEEP_CONSENT, KeptConsent(table, consent.name, names, content, now_us))
        if (source := self._tables.get(table)) is not None:
            source.forget(names)
        self.tell_soon()
        return ""

    def tell_soon(self) -> None:
        """`changed`, once for all that happens in this turn of the reactor."""
        if not self._telling:
            self._telling = True
            self._world.reactor.callLater(0, self._tell)

    def _tell(self) -> None:
        self._telling = False
        self.changed()

    def decide(self, api: str, options: ConsentOptions, question: Question, now_us: Microseconds) -> Decision:
        """What follows for a disclosure to an API now, by all that is known."""
        if question.patients and all(self._overridden(api, names, now_us) for names in question.patients):
            return Decision("permit", OVERRIDDEN)
        if not question.recipients:
            question = replace(question, recipients=frozenset({api}))
        sources = self._sources_of(options)
        known = [[each.known(names, now_us) for each in sources] for names in question.patients]
        said = decide(
            question,
            [[consent for each in of_one if each for consent in each.consents] for of_one in known],
            now_us,
        )
        if said.word == "deny":
            return said
        all_known = [each for of_one in known for each in of_one]
        if None in all_known:
            return Decision("unknown", ASKED_FOR)
        doubtful = next((each.why_not for each in all_known if each is not None and not each.counts), None)
        return said if doubtful is None else Decision("unknown", doubtful or UNKNOWN)

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

    async def start(self, asking: Iterable[ConsentOptions]) -> None:
        """Learn what is known before anything is sent."""
        self._overrides = dict(await self._journal.read(overrides, self._world.now_us()))
        for options in asking:
            self._sources_of(options)
        await self._look()

    async def run(self) -> None:
        """Look for what is new, again and again."""
        while True:
            await self._world.pause(LOOK_EVERY_S)
            await self.look_now()

    async def _look(self) -> None:
        for source in list(self._sources.values()):
            await source.look()

    async def look_now(self) -> None:
        """Look at once, and let go what waits for it."""
        await self._look()
        self.changed()

    def status(self) -> dict[str, Any]:
        """The sources that are in trouble, each with its code."""
        return {_called(key): each.trouble for key, each in self._sources.items() if each.trouble}


def _called(key: Hashable) -> str:
    if isinstance(key, Path):
        return key.name
    return f"table {key[1]}" if isinstance(key, tuple) else "registry"
