"""What an API calls back with: each delivery is its word for what became of a call that it had accepted.

It comes by a channel like any other feed, so whoever calls back is known to us by a token or a certificate,
is answered once its word is on disk, and is told nothing of what it was about.
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
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    Tell,
    listed_fields,
)
from bridge.destinations.into_journal import IntoJournal
from bridge.message import Content, Microseconds, Shaped
from bridge.units import size_text

REQUEST_MAX_BYTES: Final = 4096
NAME: Final = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$"
_NOT_KNOWN: Final = "confirm-not-known"


class ConfirmationsOptions(Options):
    """What an API calls back with."""

    confirms: Annotated[str, StringConstraints(pattern=NAME)] = Field(
        description="The API whose accepted calls are told about, by the name in its own file; its "
        "operations say `confirm: {callback: ...}`."
    )


class ConfirmationRequests:
    """What makes the requests."""

    def __init__(
        self, options: ConfirmationsOptions, operations: Mapping[str, RecordOperationOptions]
    ) -> None:
        self.confirms, self._operations = options.confirms, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin = UNKNOWN) -> bytes:  # noqa: ARG002
        """What the call is called, and the word. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None or isinstance(content, bytes):
            raise RequestRefused("what is called back comes as records, by one of its operations")
        if isinstance(content, Shaped):
            row: Any = _object(content.body)
        else:
            listed = listed_fields(content, declared.send_only, nulls=False)
            row = {**listed, **listed.pop("ext", {})}
        called = row.get("id") or row.get("key")
        others = [value for name, value in row.items() if name not in ("id", "key")]
        word = row.get("status", others[0] if len(others) == 1 else None)
        if not (isinstance(called, str) and called and isinstance(word, str)):
            raise RequestRefused("what is called back needs `key` or `id`, and `status` or one field more")
        made = orjson.dumps({"id": called, "status": word}, option=orjson.OPT_SORT_KEYS)
        if len(made) > REQUEST_MAX_BYTES:
            raise RequestRefused(f"a word that is called back is larger than {size_text(REQUEST_MAX_BYTES)}")
        return made


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


class Confirmations(IntoJournal[Tell], ConfirmationRequests):
    """A `Destination`. It is told how to tell with `tell_with`. A word of a call not known yet waits."""

    def __init__(
        self,
        options: ConfirmationsOptions,
        operations: Mapping[str, RecordOperationOptions],
        guarded: str = "",
    ) -> None:
        IntoJournal.__init__(self, guarded)
        ConfirmationRequests.__init__(self, options, operations)

    def tell_with(self, tell: Tell) -> None:
        """Tell so from now on."""
        self._writes = tell

    async def _written(self, writes: Tell, request: bytes) -> Outcome:
        said = _object(request)
        if not {"id", "status"} <= said.keys():
            return Outcome(Verdict.POISON, "request-unreadable")
        meant = await writes(self.confirms, said["id"], said["status"])
        return Outcome(Verdict.NOT_FOUND if meant == _NOT_KNOWN else Verdict.DELIVERED, meant)


def build(
    options: ConfirmationsOptions,
    operations: Mapping[str, RecordOperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - nobody is asked for any
    now_us: Callable[[], Microseconds],  # noqa: ARG001
    permits: Permits | None = None,
) -> Confirmations:
    """The destination of what one API calls back with."""
    assert credential is None, "the journal is the node's own"
    return Confirmations(options, operations, "" if permits is None else GUARDED)


COMPONENT = Component(
    kind="destination",
    name="confirmations",
    summary="What an API calls back with: what became of calls that it had accepted.",
    options=ConfirmationsOptions,
    example="confirms: rcm.claims\n",
    marker="confirms",
    operation=RecordOperationOptions,
    repeat_safety=("natural_key", "none"),
    credentials=False,
    build=build,
    prepares=ConfirmationRequests,
)
