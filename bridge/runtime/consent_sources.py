"""Where consents come from, and one that is asked for each patient and remembers what it said."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import structlog

from bridge.destinations.base import NoAnswer
from bridge.errors import BridgeError
from bridge.governance.consent_rules import Consent
from bridge.message import Microseconds
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.consent")

AWAY = "consent-source-away"
KEPT_MAX_PATIENTS = 50_000
ASKED_MAX_AT_ONCE = 4
ASKED_AGAIN_S = 10.0
"""How long a patient about whom there was no answer is not asked about again."""


class Known(NamedTuple):
    """What a source knows of a patient; whether what it permits counts, and if not why not, as a code."""

    consents: Sequence[Consent]
    counts: bool
    why_not: str = ""


class Source(Protocol):
    """Where consents come from. ``trouble`` is a code for why what it knows may be old, or empty."""

    trouble: str

    def known(self, names: Sequence[str], now_us: Microseconds) -> Known | None:
        """What is known of a patient by any of these names; None where somebody is being asked."""
        ...

    async def look(self) -> None:
        """See whether there is something new. Does not raise."""
        ...


@dataclass(slots=True)
class _Said:
    consents: tuple[Consent, ...] = ()
    doubt: str = ""
    at_us: Microseconds | None = None
    failed_at_us: Microseconds | None = None


@dataclass(slots=True)
class _Asking:
    """What was forgotten while it was asked for is asked for again."""

    stale: bool = field(default=False)


class AskedSource:
    """A source that is asked for each patient. What it said counts for ``cache_s``, None for always."""

    def __init__(
        self,
        ask: Callable[[tuple[str, ...]], Awaitable[tuple[tuple[Consent, ...], str]]],
        world: Surroundings,
        changed: Callable[[], None],
        *,
        cache_s: float | None = None,
        keep_s: float = 0.0,
    ) -> None:
        """``ask`` gives consents, and a code for why what they permit does not count, or ''; it raises a
        BridgeError where there is no answer. ``changed`` is told of each that came."""
        self._ask, self._world, self._changed = ask, world, changed
        self._cache_s, self._keep_s = cache_s, keep_s
        self._said: OrderedDict[tuple[str, ...], _Said] = OrderedDict()
        self._of_name: dict[str, set[tuple[str, ...]]] = {}
        self._wanted: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._asking: dict[tuple[str, ...], _Asking] = {}
        self._tasks = Tasks()
        self.trouble = ""

    def known(self, names: Sequence[str], now_us: Microseconds) -> Known | None:
        """As `Source` says."""
        key = tuple(names)
        said = self._said.get(key)
        if said is not None and said.at_us is not None and self._within(said.at_us, self._cache_s, now_us):
            return Known(said.consents, not said.doubt, said.doubt)
        failed = said is not None and said.failed_at_us is not None
        if not (said and failed and self._within(said.failed_at_us, ASKED_AGAIN_S, now_us)):
            self._want(key)
        if said is None or not failed:
            return None
        kept_s = None if self._cache_s is None else self._cache_s + self._keep_s
        counts = not said.doubt and self._within(said.at_us, kept_s, now_us)
        return Known(said.consents, counts, said.doubt or AWAY)

    def _within(self, at_us: Microseconds | None, span_s: float | None, now_us: Microseconds) -> bool:
        return at_us is not None and (span_s is None or 0 <= now_us - at_us < span_s * 1e6)

    def _want(self, key: tuple[str, ...]) -> None:
        if key in self._wanted or key in self._asking:
            return
        self._wanted[key] = None
        if len(self._asking) < ASKED_MAX_AT_ONCE:
            self._tasks.spawn("consents-asked", self._ask_all())

    async def _ask_all(self) -> None:
        while self._wanted and len(self._asking) < ASKED_MAX_AT_ONCE:
            key, _ = self._wanted.popitem(last=False)
            asking = self._asking[key] = _Asking()
            try:
                consents, doubt = await self._ask(key)
            except BridgeError as error:
                self._failed(key, str(error) if isinstance(error, NoAnswer) else type(error).__name__)
            else:
                self._answered(key, _Said(consents, doubt, self._world.now_us()), stale=asking.stale)
            finally:
                del self._asking[key]
            self._changed()

    def _answered(self, key: tuple[str, ...], said: _Said, *, stale: bool) -> None:
        if self.trouble:
            log.info("consents-answered-again")
        self.trouble = ""
        if stale:
            self._wanted[key] = None
            return
        self._keep(key, said)

    def _failed(self, key: tuple[str, ...], why: str) -> None:
        if not self.trouble:
            log.error("consents-not-answered", reason=why)
        self.trouble = AWAY
        said = self._said.get(key) or _Said()
        self._keep(key, replace(said, failed_at_us=self._world.now_us()))

    def _keep(self, key: tuple[str, ...], said: _Said) -> None:
        self._said.pop(key, None)
        self._said[key] = said
        for name in key:
            self._of_name.setdefault(name, set()).add(key)
        while len(self._said) > KEPT_MAX_PATIENTS:
            self._drop(next(iter(self._said)))

    def _drop(self, key: tuple[str, ...]) -> None:
        self._said.pop(key, None)
        for name in key:
            if (keys := self._of_name.get(name)) is not None:
                keys.discard(key)
                if not keys:
                    del self._of_name[name]

    def forget(self, names: Iterable[str]) -> None:
        """What was said of a patient is no longer so."""
        for name in names:
            for key in list(self._of_name.get(name, ())):
                self._drop(key)
            for key, asking in self._asking.items():
                asking.stale |= name in key

    async def look(self) -> None:
        """Nothing comes by itself; what waits asks again."""
