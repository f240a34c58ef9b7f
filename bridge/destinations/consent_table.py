"""A table of consents in the journal: what a mapping makes of messages is kept there, and asked from there.

A delivery to it is one consent: FHIR JSON that a `body` mapping makes, or the fields of a record as a row,
those of the site's own by their names. The newest of each consent counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import orjson
from pydantic import Field, StringConstraints

from bridge.component import Component, Options, RecordOperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    UNKNOWN,
    CredentialOptions,
    Keep,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
)
from bridge.destinations.into_journal import IntoJournal
from bridge.message import Content, Microseconds, Shaped
from bridge.units import size_text

REQUEST_MAX_BYTES: Final = 65_536


class ConsentTableOptions(Options):
    """A table of consents."""

    consents: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")] = Field(
        description="The table's name, as `consent: {table: ...}` of other APIs says it."
    )


class TableRequests:
    """What makes the requests of a table."""

    def __init__(
        self, options: ConsentTableOptions, operations: Mapping[str, RecordOperationOptions]
    ) -> None:
        self.table, self._operations = options.consents, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin = UNKNOWN) -> bytes:  # noqa: ARG002
        """The consent, as JSON. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None or isinstance(content, bytes):
            raise RequestRefused("a table of consents takes records, by one of its operations")
        if isinstance(content, Shaped):
            made = content.body
        else:
            listed = listed_fields(content, declared.send_only, nulls=declared.nulls == "send")
            row: dict[str, Any] = {**listed, **listed.pop("ext", {})}
            row["patient"] = row.pop("patient", None) or row.pop("key", "")
            made = orjson.dumps(row, option=orjson.OPT_SORT_KEYS)
        if len(made) > REQUEST_MAX_BYTES:
            raise RequestRefused(f"a consent is larger than {size_text(REQUEST_MAX_BYTES)}")
        return made


class ConsentTable(IntoJournal[Keep], TableRequests):
    """One table: a `Destination`. It is told how to keep with `keep_with`."""

    def __init__(
        self,
        options: ConsentTableOptions,
        operations: Mapping[str, RecordOperationOptions],
        guarded: str = "",
    ) -> None:
        IntoJournal.__init__(self, guarded)
        TableRequests.__init__(self, options, operations)

    def keep_with(self, keep: Keep) -> None:
        """Keep consents so from now on."""
        self._writes = keep

    async def _written(self, writes: Keep, request: bytes) -> Outcome:
        refused = await writes(self.table, request)
        return Outcome(Verdict.POISON, refused) if refused else Outcome(Verdict.DELIVERED, "kept")


def build(
    options: ConsentTableOptions,
    operations: Mapping[str, RecordOperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - a table asks for none
    now_us: Callable[[], Microseconds],  # noqa: ARG001
    permits: Permits | None = None,
) -> ConsentTable:
    """The destination of one table."""
    assert credential is None, "the journal is the node's own"
    return ConsentTable(options, operations, "" if permits is None else GUARDED)


COMPONENT = Component(
    kind="destination",
    name="consent_table",
    summary="A table of patients' consents in the journal, fed by messages and asked before calls.",
    options=ConsentTableOptions,
    example="consents: adt\n",
    marker="consents",
    operation=RecordOperationOptions,
    repeat_safety=("natural_key", "none"),
    credentials=False,
    build=build,
    prepares=TableRequests,
)
