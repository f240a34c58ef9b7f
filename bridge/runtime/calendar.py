"""When APIs and their operations end: by their files, their contracts and their own answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from bridge.config.topology import Api
from bridge.governance.lifecycle import LifecycleOptions, end_of_day_us
from bridge.journal.notices import Notice
from bridge.message import Microseconds

Source = Literal["file", "contract", "answers"]
DAY_US: Final = 86_400_000_000
SOON_DAYS: Final = 30
VERY_SOON_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Ends:
    """An operation that is deprecated or ends; ``operation`` '' is all of the API.

    ``ends_at_us`` None: when is not said. ``heeded`` tells that it waits once the time has come.
    """

    api: str
    operation: str
    source: Source
    deprecated_at_us: Microseconds | None
    ends_at_us: Microseconds | None
    heeded: bool

    def days_left(self, now_us: Microseconds) -> int | None:
        """Whole days until then, below zero once it is over; None where it is not said."""
        return None if self.ends_at_us is None else (self.ends_at_us - now_us) // DAY_US


def calendar(apis: Mapping[str, Api], notices: Iterable[Notice]) -> list[Ends]:
    """All that ends or is deprecated, the first to end first; what has no date comes last."""
    found = [each for api in apis.values() for each in _of_files(api)]
    for each in notices:
        if (api := apis.get(each.api)) is not None:
            heeded = lifecycle_of(api).heed_sunset
            found.append(
                Ends(each.api, each.operation, "answers", each.deprecated_at_us, each.sunset_at_us, heeded)
            )
    far = max((each.ends_at_us or 0 for each in found), default=0) + 1
    return sorted(found, key=lambda each: (each.ends_at_us or far, each.api, each.operation))


def left_s(
    apis: Mapping[str, Api], notices: Iterable[Notice], now_us: Microseconds
) -> dict[tuple[str, str], float]:
    """The seconds until each operation ends that does, by API and operation; of several words the first."""
    found: dict[tuple[str, str], float] = {}
    for each in calendar(apis, notices):
        if each.ends_at_us is not None:
            found.setdefault((each.api, each.operation), (each.ends_at_us - now_us) / 1e6)
    return found


def lifecycle_of(api: Api) -> LifecycleOptions:
    """What an API's file says of its lifecycle."""
    for each in api.policies:
        if isinstance(each.options, LifecycleOptions):
            return each.options
    return LifecycleOptions.model_validate({})


def _of_files(api: Api) -> Iterable[Ends]:
    lifecycle = lifecycle_of(api)
    if lifecycle.sunset is not None or lifecycle.state == "deprecated":
        ends_at_us = None if lifecycle.sunset is None else end_of_day_us(lifecycle.sunset)
        yield Ends(api.name, "", "file", None, ends_at_us, True)
    for name, ends_at_us in contract_ends(api).items():
        yield Ends(api.name, name, "contract", None, ends_at_us, lifecycle.heed_sunset)


def contract_ends(api: Api) -> Mapping[str, Microseconds | None]:
    """The operations that an API's contract says are deprecated or end, with the end of their last day."""
    found: dict[str, Microseconds | None] = {}
    for name, checked in () if api.contract is None else api.contract.operations.items():
        described = checked.described
        if described is not None and (described.deprecated or described.sunset is not None):
            found[name] = None if described.sunset is None else end_of_day_us(described.sunset)
    return found
