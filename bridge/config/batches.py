"""What is asked of batches: that they balance, which day a file is of, what becomes of a second one of that
day, and which records are late.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options
from bridge.formats.business_dates import day_of
from bridge.mapping.functions.patterns import extract, groups_of, pattern_mistake
from bridge.units import DurationS

BatchRelease = Literal["streaming", "after_balance"]
BatchTotals = Literal["optional", "required"]
Rerun = Literal["refuse", "delta", "replace"]
PATTERN_MAX_CHARACTERS: Final = 200
_DAY_S: Final = 86400.0


def _pattern(text: str) -> str:
    if (mistake := pattern_mistake(text)) is not None:
        raise ValueError(mistake)
    if groups_of(text) != 1:
        raise ValueError("expected one pair of brackets around the date, as in 'charges-(\\d{8})'")
    return text


def _written(text: str) -> str:
    day, weekday_as_well = date(2026, 11, 23), date(2037, 11, 23)
    said = day.strftime(text)
    # Without a year it is not given to strptime, which warns of that.
    if said == weekday_as_well.strftime(text) or day_of(said, text) != day:
        raise ValueError("expected a form of a whole date, as in '%d.%m.%Y'")
    return text


class BusinessDate(Options):
    """Where the day stands that a file is of; one of the three."""

    name: Annotated[str, Field(max_length=PATTERN_MAX_CHARACTERS), AfterValidator(_pattern)] | None = Field(
        None,
        description="In the file's name: a pattern with one pair of brackets around the date, as in "
        "'charges-(\\d{8})'.",
    )
    of: str | None = Field(
        None, description="In the file's first message: a path, as in $header.business_date or PV1-44."
    )
    batch: bool = Field(
        False, description="In the header of the file's first batch: BHS-7, FHS-7, ISA09 and GS04."
    )
    written: Annotated[str, AfterValidator(_written)] | None = Field(
        None,
        description="How it is written, as in '%d.%m.%Y'. Without it: 20261123, 2026-11-23 or 261123, also "
        "with a time behind it.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum((self.name is not None, self.of is not None, self.batch)) != 1:
            raise ValueError("expected one of `name`, `of` and `batch: true`")
        return self

    @property
    def place(self) -> str:
        """Where it should stand, for people."""
        return "the file's name" if self.name is not None else self.of or "the header of its first batch"


class Late(Options):
    """Which records are late."""

    by: str = Field(description="The day that a record is of: a path, as in $.svc_date or FT1-4.")
    after: DurationS = Field(
        3 * _DAY_S,
        ge=0,
        description="So long after that day a record is on time, counted in whole days to the business date "
        "of its file, or to the day on which it came. A file that comes so long "
        "after its own date is told too.",
    )
    written: Annotated[str, AfterValidator(_written)] | None = Field(
        None, description="How that day is written, as in `business_date`."
    )


class Batches(Options):
    """What is asked of batches: messages that a file puts between a header and a trailer."""

    release: BatchRelease = Field(
        "streaming",
        description="When the messages of a batch go on: streaming (as they come; what is not as its trailer "
        "says is told), or after_balance (a file with such a batch is held whole until a person decides).",
    )
    totals: BatchTotals = Field(
        "optional",
        description="With `release: after_balance`: whether a batch whose trailer declares nothing is "
        "held too.",
    )
    business_date: BusinessDate | None = Field(
        None, description="Where the day stands that a file is of. A file without one is held."
    )
    rerun: Rerun | None = Field(
        None,
        description="What becomes of a file of a day of which one was taken: refuse (it goes where errors "
        "go), delta (only records that the other one has not are new, the rest is counted as repeated), or "
        "replace (what of the other one is not sent yet is withdrawn, and all of this one goes on).",
    )
    late: Late | None = Field(None, description="Which records are late: they are told, and go on.")

    @model_validator(mode="after")
    def _reruns_are_of_days(self) -> Self:
        if self.rerun is not None and self.business_date is None:
            raise ValueError("`rerun` needs `business_date`, by which a file is known as one")
        return self


@dataclass(frozen=True, slots=True)
class Reruns:
    """What a channel says of days. ``of`` and ``by`` are the paths of its file, read for its format."""

    business_date: BusinessDate | None = None
    rerun: Rerun | None = None
    late: Late | None = None
    of: Callable[[Any], str | None] | None = None
    by: Callable[[Any], str | None] | None = None

    @property
    def keeps_contents(self) -> bool:
        """Whether what records say is kept as hashes, so that another file's can be held against it."""
        return self.rerun in ("delta", "replace")

    def in_name(self, name: str) -> date | None:
        """The day that a name gives."""
        said = self.business_date
        if said is None or said.name is None:
            return None
        return day_of(extract(name, said.name, 1), said.written or "")

    def in_text(self, text: str | None) -> date | None:
        """The day that a text of the file gives."""
        said = self.business_date
        return None if said is None else day_of(text, said.written or "")

    def came_late(self, business_date: date, came: date) -> bool:
        """Whether a file came so long after the day that it is of."""
        return self.late is not None and (came - business_date).days > self.late.after // _DAY_S

    def is_late(self, message: Any, business_date: date) -> bool:
        """Whether a record came so long after its day; one without a day did not."""
        if self.late is None or self.by is None:
            return False
        day = day_of(self.by(message), self.late.written or "")
        return day is not None and (business_date - day).days > self.late.after // _DAY_S
