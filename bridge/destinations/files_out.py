"""What takes a file for each delivery, or for many, wherever files are put: options, requests, and threads.

A file appears under its name with all its bytes, or not at all, and none is ever overwritten. Its name holds
the delivery's own number, so that the same delivery once more finds its own file, and is done. A request is a
line of JSON that says where it comes from, and then the file's bytes. With `collect` these are the bytes of a
part: a delivery is then ACCEPTED, and ends once the file that it went into is there.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from typing import Annotated, Any, ClassVar, Final, Self

import orjson
from pydantic import AfterValidator, Field, model_validator

from bridge.component import OperationOptions, Options, RecordOperationOptions
from bridge.delivery.outcomes import COLLECTED, Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    TARGET_REFUSED,
    CollectedFile,
    Origin,
    RequestRefused,
    listed_fields,
    read_file,
    stopped_at,
)
from bridge.destinations.files_collected import Collect, member_request, members_of
from bridge.destinations.files_under_way import Moved, UnderWay
from bridge.destinations.in_loop import in_loop
from bridge.formats.gathered import FileFacts, NotGathered
from bridge.message import Content, Microseconds, Record, Shaped
from bridge.tls.client import Exchanges
from bridge.units import DurationS, SizeBytes, size_text

NAME_MAX_BYTES: Final = 255
"""Of one name on common file systems."""
DELIVERY_MAX_CHARACTERS: Final = 64
_DELIVERED: Final = {
    "channel": "c" * 64,
    "message_id": "9" * 19,
    "operation": "o" * 64,
    "delivery": "d" * DELIVERY_MAX_CHARACTERS,
}
"""What the name of a delivery's own file may hold, and the longest that each can be. None of it comes from a
message."""
_COLLECTED: Final = {
    "delivery": "d" * DELIVERY_MAX_CHARACTERS,
    "number": "9" * 10,
    "date": "9" * 8,
    "time": "9" * 6,
}
"""The same, of a file that is collected."""
_FIELDS: Final = {**_DELIVERED, **_COLLECTED}
_PATTERN: Final = re.compile(r"(?:[A-Za-z0-9._-]|\{(?:" + "|".join(_FIELDS) + r")\})+")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*[A-Za-z0-9_-]")
_DELIVERY: Final = re.compile(rf"[A-Za-z0-9.-]{{1,{DELIVERY_MAX_CHARACTERS}}}")
_DEVICES: Final = re.compile(r"(?:CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(?:\..*)?", re.IGNORECASE)


def is_safe_name(name: str) -> bool:
    """Whether a name is one plain file in its folder, on any system that may share the folder.

    >>> is_safe_name("adt-17.hl7"), is_safe_name("../adt"), is_safe_name("NUL.hl7")
    (True, False, False)
    """
    return (
        _NAME.fullmatch(name) is not None
        and ".." not in name
        and len(name) <= NAME_MAX_BYTES
        and _DEVICES.fullmatch(name) is None
    )


def _marker(text: str) -> str:
    if not re.fullmatch(r"\.[A-Za-z0-9_-]{1,16}", text):
        raise ValueError("expected an ending of letters and digits, as in .ok")
    return text


def _name(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        names = ", ".join(f"{{{field}}}" for field in _DELIVERED)
        raise ValueError(f"expected letters, digits, '.', '-', '_' and of {names}")
    if not is_safe_name(text.format_map(_FIELDS)):
        raise ValueError(
            "expected the name of one file: no dot at its begin or end, no '..', no name of a device, "
            f"and at most {size_text(NAME_MAX_BYTES)} with every field at its longest"
        )
    return text


class OutFiles(Options):
    """What a file is, wherever it is put."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="The name of a file. {delivery} is what no two files share, and must be in it; "
        "{channel}, {message_id} and {operation} may be. With `collect` {number}, which counts the files of "
        "this API, does as well, and {date} and {time} may be in it."
    )
    collect: Collect | None = Field(
        None, description="One file for many deliveries, instead of one for each: when, and what it is."
    )
    marker: Annotated[str, AfterValidator(_marker)] | None = Field(
        None,
        description="The ending of an empty file that is put beside each, once it is there whole, as in "
        "`.ok`: for receivers that wait for one.",
    )
    within: DurationS = Field(
        30.0,
        gt=0,
        le=600,
        description="The longest that the writing of a file may stand still. One that is slow and moves is "
        "waited for.",
    )
    max_size: SizeBytes = Field(
        16 * 1024**2, gt=0, description="A larger file is refused before it is written."
    )

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        places, known = set(_PLACE.findall(self.name)), _DELIVERED if self.collect is None else _COLLECTED
        if not places & ({"delivery"} if self.collect is None else {"delivery", "number"}):
            own = "{delivery}" if self.collect is None else "{number} or {delivery}"
            raise ValueError(f"expected {own} in the name: it is what no two files share")
        if unknown := sorted(places - set(known)):
            raise ValueError(f"{{{unknown[0]}}} means nothing here: a name may hold {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _room_for_marker(self) -> Self:
        if self.marker is not None and not is_safe_name(self.name.format_map(_FIELDS) + self.marker):
            raise ValueError(f"the name of the marker can be longer than {size_text(NAME_MAX_BYTES)}")
        return self


class FileOperation(RecordOperationOptions):
    """One kind of file: a record as a line of JSON. Nothing but ``send_only`` leaves."""

    send_only: tuple[str, ...] = Field(
        min_length=1, description="The record's fields that the file may hold."
    )


class FileRequests:
    """What makes the files for one place, and has nothing to write them with."""

    def __init__(self, options: OutFiles, operations: Mapping[str, OperationOptions]) -> None:
        self._files, self._operations = options, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:
        """The final request. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None:
            raise RequestRefused(f"the API has no operation {operation}")
        given = content
        if isinstance(content, Record | Shaped):
            if not isinstance(declared, FileOperation):
                raise RequestRefused("this folder takes messages, and no records")
            content = content.body + b"\n" if isinstance(content, Shaped) else _line(content, declared)
        elif isinstance(declared, FileOperation):
            raise RequestRefused("this folder takes records, and no messages")
        fields = {"channel": origin.channel, "message_id": origin.message_id, "operation": operation}
        if self._files.collect is not None:
            return self._part(declared, given, fields)
        if len(content) > self._files.max_size:
            raise RequestRefused(f"the file is larger than max_size, {size_text(self._files.max_size)}")
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) + b"\n" + content

    def _part(self, declared: OperationOptions, content: Content, head: Mapping[str, Any]) -> bytes:
        """The request of what goes into a file with others. Raises RequestRefused."""
        assert self._files.collect is not None, "asked for files that are collected"
        form = self._files.collect.form.form
        if (form.takes == "message") != isinstance(content, bytes):
            raise RequestRefused(f"a file of this form takes a {form.takes}")
        part: Mapping[str, Any] | bytes
        match content:
            case Shaped():
                part = orjson.loads(content.body)
            case Record():
                assert isinstance(declared, FileOperation), "it was looked at before"
                part = listed_fields(content, declared.send_only, nulls=declared.nulls == "send")
            case _:
                part = content
        if not isinstance(part, Mapping | bytes):
            raise RequestRefused("a body is no object, and only an object has fields")
        try:
            made = member_request(form, part, head)
        except NotGathered as refused:
            raise RequestRefused(str(refused)) from None
        if len(made) > self._files.max_size:
            raise RequestRefused(f"it is larger than a whole file, {size_text(self._files.max_size)}")
        return made


class FilesOut(FileRequests, ABC):
    """A `Destination` that writes each request as a file, in threads of its own."""

    _numbers: ClassVar[count[int] | None] = None
    """Of all that this process writes: a clock that is set back gives none a second time."""

    def __init__(
        self,
        options: OutFiles,
        operations: Mapping[str, OperationOptions],
        guarded: str,
        writers_max: int,
        now_us: Microseconds,
    ) -> None:
        """``writers_max`` files are written at once. The attempts of a process are numbered from the first
        ``now_us`` on: no process of before has come so far."""
        self._steps = guarded + IDENTIFIED + KNOWN + SENT + JUDGED
        super().__init__(options, operations)
        self._under_way = UnderWay(writers_max, options.within)
        if FilesOut._numbers is None:
            FilesOut._numbers = count(now_us)
        self._number = FilesOut._numbers.__next__

    @abstractmethod
    def write(self, name: str, content: bytes, number: int, moved: Moved) -> Outcome:
        """Write one file, in a thread, and call ``moved`` with each step. ``number`` is one that no other
        attempt has, of this process or of another."""

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:  # noqa: ARG002
        """One attempt: the file under its name, whole, or an outcome that says why not."""
        read = read_file(request)
        if read is None or not _DELIVERY.fullmatch(idempotency_key):
            return Outcome(Verdict.POISON, "request-unreadable")
        fields, content = read
        if fields["operation"] not in self._operations:
            return Outcome(Verdict.HOLD, "operation-unknown")
        if self._files.collect is not None:
            # Nothing leaves before its file does, and that looks at the address of a server anew.
            return Outcome(Verdict.ACCEPTED, COLLECTED, steps=self._steps)
        name = self._files.name.format_map({**fields, "delivery": idempotency_key})
        if not is_safe_name(name):
            return Outcome(Verdict.POISON, "name-refused")
        outcome: Outcome = await in_loop(self._write(name, content))
        if outcome.reason == TARGET_REFUSED:
            return stopped_at(GUARDED, outcome)
        return outcome._replace(steps=self._steps)

    @property
    def collect(self) -> Collect | None:
        """When a file is closed, and what it is; None where each delivery is one."""
        return self._files.collect

    @property
    def collected_max_bytes(self) -> int:
        """The most that a file may hold."""
        return self._files.max_size

    def whole(self, requests: Sequence[bytes], facts: FileFacts, idempotency_key: str) -> CollectedFile:
        """The file that requests make, in their order. Raises NotGathered."""
        assert self._files.collect is not None, "asked for files that are collected"
        form, members = self._files.collect.form.form, members_of(requests)
        at = facts.closed_at
        known = {"date": f"{at:%Y%m%d}", "time": f"{at:%H%M%S}", "number": str(facts.number)}
        name = self._files.name.format_map({**known, "delivery": idempotency_key})
        controls = form.controls(members, facts) if self._files.collect.acknowledged is not None else ()
        return CollectedFile(name, form.file(members, facts), form.totals(members), controls)

    async def put(
        self, requests: Sequence[bytes], facts: FileFacts, idempotency_key: str
    ) -> tuple[Outcome, CollectedFile | None]:
        """Write the file that requests make, or find that it is there."""
        made: tuple[Outcome, CollectedFile | None] = await in_loop(
            self._put(requests, facts, idempotency_key)
        )
        return made

    async def _put(
        self, requests: Sequence[bytes], facts: FileFacts, key: str
    ) -> tuple[Outcome, CollectedFile | None]:
        if self._under_way.closed:
            return Outcome(Verdict.RETRY, "closing"), None
        try:
            made = await self._under_way.in_thread(self.whole, requests, facts, key)
        except NotGathered:
            return Outcome(Verdict.HOLD, "not-gathered"), None
        return await self._write(made.name, made.content), made

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Nobody can be asked here; no file of an API says otherwise."""
        return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")

    def look_at_files(self) -> Exchanges:
        """None is kept: what a connection needs is read when it is made."""
        return ()

    async def close(self) -> None:
        """Begin no file any more, and wait for those under way, though not for longer than one may stand
        still."""
        if self._under_way.stop():
            await in_loop(self._under_way.settle())

    async def _write(self, name: str, content: bytes) -> Outcome:
        return await self._under_way.write(name, partial(self.write, name, content, self._number()))


def _line(record: Record, operation: FileOperation) -> bytes:
    fields = listed_fields(record, operation.send_only, nulls=operation.nulls == "send")
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS) + b"\n"
    except orjson.JSONEncodeError:
        raise RequestRefused("expected values that JSON can hold in the fields of send_only") from None
