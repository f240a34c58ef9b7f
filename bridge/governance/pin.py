"""Pin: a request is made by files that are known by digest, and stays what it was when they change."""

from __future__ import annotations

from bridge.component import Component, Options
from bridge.governance.base import Case, Secrets, Stop
from bridge.message import Microseconds

MISSING = Stop("quarantine", "config-missing")


class PinOptions(Options):
    """It has none: the digests are those of the files that were read."""


class Pin:
    """Whether all that a request is made by has a digest."""

    def of_request(self, case: Case) -> Case | Stop:
        """Refuses what is made by a file that nobody could find again."""
        return case if case.pinned and all(case.pinned) else MISSING

    def of_attempt(self, now_us: Microseconds) -> Stop | None:  # noqa: ARG002
        """Each attempt sends the bytes that were made once."""
        return None


def build(options: PinOptions, secrets: Secrets) -> Pin:  # noqa: ARG001
    """The policy."""
    return Pin()


COMPONENT = Component(
    kind="policy",
    name="pin",
    summary="A request is made by files that are known by digest.",
    options=PinOptions,
    example="{}\n",
    letters=("p", ""),
    build=build,
)
