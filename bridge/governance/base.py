"""What a policy is asked, what it may say, and the policies of one API in their order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from bridge.canonical.base import Tag
from bridge.component import Component, Options
from bridge.governance.order import declared, noticed, stopped
from bridge.message import Microseconds, Record
from bridge.units import SecretRef

Secrets = Callable[[SecretRef], str]
"""Looks a secret up, and raises where there is none."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is about to become a request.

    ``record`` is None for a whole message. ``asks`` is what a policy is to be asked again with at each
    attempt, as text; None where none is. ``pinned`` are the digests of what it is made by: the API's file,
    and the mapping where there is one. ``sends`` are the fields that leave as they are, ``tags`` how the
    mapping classifies fields, by record and name.
    """

    operation: str
    record: Record | None
    pinned: tuple[str, ...]
    sends: frozenset[str]
    tags: Mapping[tuple[str, str], Tag]
    now_us: Microseconds
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """A policy's no. ``quarantine``: a person must look at it; ``hold``: it waits for another file.

    Of one delivery alone: ``withhold``: it waits until the policy says something else; ``suppress``: it is
    not to be sent, and ends. ``reason`` is a code, never a value.
    """

    what: Literal["quarantine", "hold", "withhold", "suppress"]
    reason: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A policy's yes of which somebody should know, with the code for why."""

    reason: str


class Policy(Protocol):
    """One policy, with the options of one API. It is asked for each request, or at each attempt, or both."""

    def of_request(self, case: Case) -> Case | Stop:
        """The case, perhaps with less in it, or why it may not become a request."""
        ...

    def of_attempt(self, now_us: Microseconds) -> Stop | None:
        """Why the API may not be called now, if so."""
        ...


@runtime_checkable
class AsksAnew(Protocol):
    """A policy that is asked at each attempt about that delivery, with what it wrote down of its request."""

    def of_delivery(self, asks: str | None, now_us: Microseconds) -> Stop | Notice | None:
        """Why it may not be sent now, or what is to be known of it; None where there is neither."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A policy of the catalog with its options, and the letters under which its word is kept."""

    component: Component
    policy: Policy

    @property
    def at_request(self) -> str:
        """Its letter where it is asked as a request is made, else empty."""
        return self.component.letters[0].strip()

    @property
    def at_attempt(self) -> str:
        """Its letter where it is asked at each attempt, else empty."""
        return self.component.letters[1].strip()


@runtime_checkable
class LimitsAddresses(Protocol):
    """Options that say which addresses a host may be called at."""

    def permits(self) -> Callable[[str, str], bool]:
        """Whether a host, the first, may be called at an address, the second."""
        ...


class Policies:
    """The policies of one API, in the catalog's order.

    ``promised`` are the letters of steps that the API's file declares beside those of every API, as a request
    is made and at each attempt. What is kept of either begins with them, so that one which is not asked is
    missed.
    """

    __slots__ = ("_at_attempt", "_at_request", "_begins", "asks_anew")

    def __init__(self, asked: Iterable[Asked], promised: tuple[str, str] = ("", "")) -> None:
        all_asked = tuple(asked)
        self._begins = declared(promised[0]), declared(promised[1])
        self._at_request = tuple((each.at_request, each.policy) for each in all_asked if each.at_request)
        self._at_attempt = tuple(
            (each.at_attempt, each.policy, each.policy if isinstance(each.policy, AsksAnew) else None)
            for each in all_asked
            if each.at_attempt
        )
        self.asks_anew = tuple(each.policy for each in all_asked if isinstance(each.policy, AsksAnew))
        """Those that are asked about each delivery at its attempts."""

    def of_request(self, case: Case) -> tuple[Case | Stop, str]:
        """What is left of a case, or the first no; and what is kept of it."""
        letters = self._begins[0]
        for letter, policy in self._at_request:
            said = policy.of_request(case)
            if isinstance(said, Stop):
                return said, letters + stopped(letter, said.reason)
            letters += letter
            case = said
        return case, letters

    def of_api(self, now_us: Microseconds) -> Stop | None:
        """The first no to any call now."""
        for _, policy, _ in self._at_attempt:
            if (said := policy.of_attempt(now_us)) is not None:
                return said
        return None

    def of_delivery(self, asks: str | None, now_us: Microseconds) -> Stop | None:
        """The first no to a delivery that ``asks`` this, by itself."""
        for policy in self.asks_anew:
            if isinstance(said := policy.of_delivery(asks, now_us), Stop):
                return said
        return None

    def withholds(self, asks: str | None, now_us: Microseconds) -> str:
        """Why a delivery that ``asks`` this waits, or empty where it may take its turn."""
        said = self.of_delivery(asks, now_us)
        return said.reason if said is not None and said.what == "withhold" else ""

    def of_attempt(self, now_us: Microseconds, asks: str | None = None) -> tuple[Stop | None, str]:
        """The first no to a call now of a delivery that ``asks`` this, and what is kept of it."""
        letters = self._begins[1]
        for letter, policy, anew in self._at_attempt:
            said: Stop | Notice | None = policy.of_attempt(now_us)
            if said is None and anew is not None:
                said = anew.of_delivery(asks, now_us)
            if isinstance(said, Stop):
                return said, letters + stopped(letter, said.reason)
            letters += letter if said is None else noticed(letter, said.reason)
        return None, letters


def policies(configured: Iterable[tuple[Component, Options]], secrets: Secrets, beside: str = "") -> Policies:
    """The policies of one API. Looks up the secrets that they need; one that is missing stops requests.

    ``beside`` are the letters of steps of attempts that its file declares and that are no components.
    """
    found = tuple(configured)
    asked = [
        Asked(component, _built(component, options, secrets))
        for component, options in found
        if component.build is not None
    ]
    promised = [each.letters for each, _ in found if each.when_declared]
    at_request = "".join(request.strip() for request, _ in promised)
    return Policies(asked, (at_request, "".join(attempt.strip() for _, attempt in promised) + beside))


def permits(options: Iterable[Options]) -> Callable[[str, str], bool] | None:
    """Which addresses a host may be called at, by the options that say so; None where none do."""
    found = [each.permits() for each in options if isinstance(each, LimitsAddresses)]
    return found[0] if found else None


def _built(component: Component, options: Any, secrets: Secrets) -> Policy:
    assert component.build is not None, f"the policy {component.name} cannot be built"
    policy: Policy = component.build(options, secrets)
    return policy
