"""Many deliveries in one file: when it is closed, what form it has, and how its members become its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bridge.component import Options
from bridge.formats.gathered import FileFacts, Gathers, Member, NotGathered
from bridge.formats.gathered_rows import Csv, Fixed, JsonLines
from bridge.formats.hl7v2_gathered import Hl7Batch
from bridge.formats.x12_gathered import X12Interchange
from bridge.message import Microseconds
from bridge.units import DurationS

COUNT_MAX: Final = 100_000
TIMES_MAX_COUNT: Final = 48
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _time_of_day(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError('expected a time of day in quotes, as in "23:00"')
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone, as in Europe/Berlin or UTC") from None
    return name


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class CollectedAs(Options):
    """What form a file has: one of these."""

    json_lines: JsonLines | None = Field(None, description="Records as lines of JSON.")
    csv: Csv | None = Field(None, description="Records as delimited text.")
    fixed: Fixed | None = Field(None, description="Records as rows of fixed width.")
    hl7v2_batch: Hl7Batch | None = Field(None, description="Messages as a batch of HL7 v2.")
    x12: X12Interchange | None = Field(None, description="Messages as an interchange of X12.")

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (
            sum(
                each is not None
                for each in (self.json_lines, self.csv, self.fixed, self.hl7v2_batch, self.x12)
            )
            != 1
        ):
            raise ValueError("expected one of json_lines, csv, fixed, hl7v2_batch and x12")
        return self

    @property
    def form(self) -> Gathers:
        """The one that is there."""
        for each in (self.json_lines, self.csv, self.fixed, self.hl7v2_batch, self.x12):
            if each is not None:
                return each
        raise AssertionError("one is there")


class AcknowledgedOptions(Options):
    """How the receiver of a file says what became of it."""

    within: DurationS = Field(
        86_400.0,
        gt=0,
        le=90 * 86_400,
        description="How long after a file was written all of it should be acknowledged; what is not known "
        "by then is told (`bridge batches --sent`, `bridge reconcile`, a metric), and still waits.",
    )
    silence: Literal["alert", "accepted"] = Field(
        "alert",
        description="What it means that by then nothing was said of a message. `accepted`: its receiver "
        "names only what it does not take.",
    )
    by: Literal["messages", "envelope"] = Field(
        "messages",
        description="`messages`: each message or transaction ends with what is said of it. `envelope`: a "
        "TA1 that takes the interchange ends them all, since no 999 follows.",
    )


class Collect(Options):
    """When a file is closed, and what it is."""

    at: Annotated[
        tuple[Annotated[str, AfterValidator(_time_of_day)], ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = Field(
        (),
        max_length=TIMES_MAX_COUNT,
        description='The time of day at which a file is closed, as in "23:00", or several. Where nothing '
        "waits then, there is no file.",
    )
    or_count: int = Field(
        COUNT_MAX, gt=0, le=COUNT_MAX, description="A file is closed earlier once so many wait for it."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The zone of `at`, and of the times that a file tells, as in Europe/Berlin."
    )
    acknowledged: AcknowledgedOptions | None = Field(
        None,
        description="Its receiver acknowledges each file: deliveries end with that, and not as the file is "
        "written. What is not accepted needs a person. It comes to an API file with `acknowledges:`.",
    )
    form: CollectedAs = Field(alias="as", description="What form the file has.")

    @model_validator(mode="after")
    def _can_be_acknowledged(self) -> Self:
        if self.acknowledged is None:
            return self
        if self.form.hl7v2_batch is None and self.form.x12 is None:
            raise ValueError("`acknowledged` is for files as hl7v2_batch or x12: others have no names for it")
        if self.acknowledged.by == "envelope" and self.form.x12 is None:
            raise ValueError("`by: envelope` is for files as x12: TA1 is of an interchange")
        return self

    @model_validator(mode="after")
    def _closed_some_time(self) -> Self:
        if not self.at and "or_count" not in self.model_fields_set:
            raise ValueError("expected `at`, `or_count` or both: when a file is closed")
        return self

    def due_at_us(self, oldest_at_us: Microseconds) -> Microseconds | None:
        """When a file must be closed for which something waits since then; None: by its count."""
        if not self.at:
            return None
        zone = ZoneInfo(self.timezone)
        since = datetime.fromtimestamp(oldest_at_us / 1e6, zone)
        due = []
        for text in self.at:
            for days in (0, 1, 2):
                day = since.date() + timedelta(days=days)
                # What an hour that is left out in spring would have been, comes out of the way over UTC.
                at = datetime.combine(day, time.fromisoformat(text), zone).astimezone(UTC)
                if at > since:
                    due.append(at)
                    break
        return int(min(due).timestamp() * 1e6)

    @property
    def partner(self) -> tuple[str, int]:
        """For whom control numbers must be unique, and the lowest of them; empty where files have none."""
        return self.form.form.partner

    def facts(self, number: int, closed_at_us: Microseconds, control: int) -> FileFacts:
        """What a file says of itself."""
        closed_at = datetime.fromtimestamp(closed_at_us / 1e6, ZoneInfo(self.timezone))
        return FileFacts(number, closed_at.replace(microsecond=0), control)


def member_request(form: Gathers, content: Mapping[str, Any] | bytes, head: Mapping[str, Any]) -> bytes:
    """The request of a member: what it is, and then its bytes in the file. Raises NotGathered."""
    member = form.member(content)
    return orjson.dumps({**head, "adds": member.adds}, option=orjson.OPT_SORT_KEYS) + b"\n" + member.content


def members_of(requests: Sequence[bytes]) -> list[Member]:
    """The members that requests are. Raises NotGathered for one that is of no file."""
    found = []
    for request in requests:
        head, _, content = request.partition(b"\n")
        try:
            adds = orjson.loads(head)["adds"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise NotGathered("a request was made for a file of its own") from None
        found.append(Member(content, adds))
    return found
