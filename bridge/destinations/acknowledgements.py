"""What receivers say of files that were collected for them: each delivery is an acknowledgement, as it came.

It comes by a channel like any other feed, in a file or over MLLP, and is kept as it came. The delivery is
what it says, in numbers and codes: of which file, and of which messages of it what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bridge.component import Component, OperationOptions, Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    UNKNOWN,
    Acknowledge,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
)
from bridge.destinations.into_journal import IntoJournal
from bridge.formats.acknowledged import FILE_NOT_KNOWN, TAKEN, TOLD_BEFORE, NotAcknowledging, read_back
from bridge.formats.hl7v2_acknowledged import hl7v2_acknowledgement
from bridge.formats.x12_acknowledged import x12_acknowledgement
from bridge.message import Content, Microseconds
from bridge.units import size_text

REQUEST_MAX_BYTES: Final = 16 * 1024**2
NAME: Final = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"


class AcknowledgementsOptions(Options):
    """Whose files are acknowledged."""

    acknowledges: Annotated[str, StringConstraints(pattern=NAME)] = Field(
        description="The API whose files are acknowledged, by the name in its own file, which says "
        "`collect: {acknowledged: ...}`. With `send: original`: acknowledgements of HL7 v2, 999, 997 and TA1 "
        "as they came."
    )


class AcknowledgementRequests:
    """What makes the requests."""

    def __init__(self, options: AcknowledgementsOptions, operations: Mapping[str, OperationOptions]) -> None:
        self.acknowledges, self._operations = options.acknowledges, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin = UNKNOWN) -> bytes:  # noqa: ARG002
        """What it says. Raises RequestRefused as `Destination.prepare` says."""
        if operation not in self._operations:
            raise RequestRefused(f"the API has no operation {operation}")
        if not isinstance(content, bytes):
            raise RequestRefused("acknowledgements are taken as they came, and not as records")
        is_x12 = content.lstrip(b"\r\n \t\xef\xbb\xbf").startswith(b"ISA")
        try:
            said = x12_acknowledgement(content) if is_x12 else hl7v2_acknowledgement(content)
        except NotAcknowledging as refused:
            raise RequestRefused(str(refused)) from None
        made = said.written()
        if len(made) > REQUEST_MAX_BYTES:
            raise RequestRefused(f"an acknowledgement says more than {size_text(REQUEST_MAX_BYTES)}")
        return made


class Acknowledgements(IntoJournal[Acknowledge], AcknowledgementRequests):
    """A `Destination`. It is told how with `acknowledge_with`. One of a file not known yet waits."""

    def __init__(
        self,
        options: AcknowledgementsOptions,
        operations: Mapping[str, OperationOptions],
        guarded: str = "",
    ) -> None:
        IntoJournal.__init__(self, guarded)
        AcknowledgementRequests.__init__(self, options, operations)

    def acknowledge_with(self, acknowledge: Acknowledge) -> None:
        """Acknowledge so from now on."""
        self._writes = acknowledge

    async def _written(self, writes: Acknowledge, request: bytes) -> Outcome:
        said = read_back(request)
        if said is None:
            return Outcome(Verdict.POISON, "request-unreadable")
        meant = await writes(self.acknowledges, said)
        if meant == FILE_NOT_KNOWN:
            return Outcome(Verdict.NOT_FOUND, meant)
        taken = meant in (TAKEN, TOLD_BEFORE)
        return Outcome(Verdict.DELIVERED if taken else Verdict.POISON, meant)


def build(
    options: AcknowledgementsOptions,
    operations: Mapping[str, OperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - nobody is asked for any
    now_us: Callable[[], Microseconds],  # noqa: ARG001
    permits: Permits | None = None,
) -> Acknowledgements:
    """The destination of what receivers say of one API's files."""
    assert credential is None, "the journal is the node's own"
    return Acknowledgements(options, operations, "" if permits is None else GUARDED)


COMPONENT = Component(
    kind="destination",
    name="acknowledgements",
    summary="What the receivers of collected files say of them: acknowledgements of HL7 v2, 999, 997, TA1.",
    options=AcknowledgementsOptions,
    example="acknowledges: payer.claims\n",
    marker="acknowledges",
    operation=OperationOptions,
    sends=("original",),
    repeat_safety=("natural_key", "none"),
    credentials=False,
    build=build,
    prepares=AcknowledgementRequests,
)
