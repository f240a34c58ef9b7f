"""Lifecycle: whether an API may be sent to. Its state is a word of its file; its end may be a date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Final, Literal

from pydantic import Field

from bridge.canonical.uses import Use
from bridge.component import Component, Options
from bridge.governance.base import Case, Secrets, Stop
from bridge.located import Problem
from bridge.message import Microseconds

RETIRED: Final = Stop("quarantine", "api-retired")
SUNSET: Final = Stop("hold", "sunset-passed")
_HELD: Final = {"draft": Stop("hold", "api-draft"), "blocked": Stop("hold", "api-blocked")}


class LifecycleOptions(Options):
    """Whether it may be called."""

    state: Literal["draft", "active", "deprecated", "retired", "blocked"] = Field(
        "active",
        description="active and deprecated are called. draft and blocked are not: what goes there waits "
        "until that changes. Of what goes to a retired one a person decides.",
    )
    sunset: date | None = Field(
        None, description="The last day on which it is called, as in 2027-06-30 (UTC). After it, all waits."
    )
    heed_sunset: bool = Field(
        True,
        description="Whether an operation waits once the day is over that the API's own answers name as its "
        "last (`Sunset`). false: that is told, and it is called all the same.",
    )


class Lifecycle:
    """The state of one API, asked as each request is made and at each attempt."""

    __slots__ = ("_ends_at_us", "_held", "_retired")

    def __init__(self, options: LifecycleOptions) -> None:
        self._retired = options.state == "retired"
        self._held = _HELD.get(options.state)
        self._ends_at_us = None if options.sunset is None else end_of_day_us(options.sunset)

    def of_request(self, case: Case) -> Case | Stop:
        """Refuses what goes to a retired API. What can be called later becomes a request, and waits."""
        return RETIRED if self._retired else case

    def of_attempt(self, now_us: Microseconds) -> Stop | None:
        """Why it may not be called now."""
        if self._retired:
            return RETIRED
        if self._held is not None:
            return self._held
        return SUNSET if self._ends_at_us is not None and now_us >= self._ends_at_us else None


def end_of_day_us(day: date) -> Microseconds:
    """When a day has ended everywhere that counts in UTC.

    >>> end_of_day_us(date(1970, 1, 1))
    86400000000
    """
    start = datetime.combine(day, time(), UTC).timestamp()
    return (int(start) + 86_400) * 1_000_000


def rules(options: LifecycleOptions, use: Use) -> Iterator[Problem]:
    """Routes to what may not be called, or not for long."""
    for place in use.routes:
        if options.state == "retired":
            text = f"the API {use.api} is retired"
            yield Problem(place, "C182", text, "send to its successor, or take the route out")
        elif options.state in _HELD:
            text = f"the API {use.api} is {options.state}: what this route sends waits until it is active"
            yield Problem(place, "C183", text, severity="warning")
        elif options.state == "deprecated":
            ends = "" if options.sunset is None else f", and is called until {options.sunset}"
            yield Problem(place, "C183", f"the API {use.api} is deprecated{ends}", severity="warning")


def build(options: LifecycleOptions, secrets: Secrets) -> Lifecycle:  # noqa: ARG001
    """The policy."""
    return Lifecycle(options)


COMPONENT = Component(
    kind="policy",
    name="lifecycle",
    summary="Whether an API may be called, asked for each request and again at each attempt.",
    options=LifecycleOptions,
    example="state: deprecated\nsunset: 2027-06-30\n",
    marker="lifecycle",
    letters=("l", "L"),
    build=build,
    rules=rules,
)
