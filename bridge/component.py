"""What a component is: one file that holds its options, an example, its code and its name.

A component is found through a `Catalog`, which is a plain value: the command line passes the
standard one, tests pass another. Nothing registers itself by being imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from bridge.located import Problem
from bridge.units import RatePerS

Kind = Literal["transport", "format", "destination", "credential", "policy"]
Send = Literal["record", "original", "message"]
"""What an API is sent: a mapping's record, the message as it came, or one that a mapping made."""
WHOLE_MESSAGES: frozenset[str] = frozenset({"original", "message"})
"""Of these, what is no record: there is nothing to choose, and `send_only` limits nothing."""
SEND_ORIGINAL = "send"
"""The one operation of an API that is sent whole messages, as they came or as they were made."""


class Options(BaseModel):
    """The base of all options models: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True)


class OperationLimits(Options):
    """What protects one operation from the bridge, beside the limits of its API."""

    in_flight: int | None = Field(
        None, ge=1, le=1024, description="Calls of this operation at once, all channels together."
    )
    rate: RatePerS | None = Field(None, gt=0, description="Calls of this operation in a while, as in 20/s.")
    burst: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="How many of them may go at once after a pause; left out, as many as `rate` allows in a "
        "second, and at least 1.",
    )

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst is how far `rate` may be exceeded: write a rate too, or neither")
        return self


class OperationOptions(Options):
    """What every operation may say, whatever its destination is."""

    limits: OperationLimits = Field(
        default_factory=lambda: OperationLimits.model_validate({}),
        description="What protects this operation, beside the limits of its API.",
    )


NEWER_BY_MAX_COUNT = 2


class Stale(Options):
    """What an operation does about a state that is older than one which was sent."""

    newer_wins: tuple[str, ...] = Field(
        min_length=1,
        max_length=NEWER_BY_MAX_COUNT,
        description="The record's field by which of two states of one record the newer is known, or two, of "
        "which the second counts where the first are equal: a time with its offset (event_time), or a status "
        "that has a rank (preliminary, final, corrected). A state that is older than one which this API has "
        "taken is not sent, and ends as SUPPRESSED; one that does not tell is sent.",
    )

    @field_validator("newer_wins", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


ENVELOPE = "envelope"
"""The word for a body that is a record with all that is known about it, and no mapping's name."""


class RecordOperationOptions(OperationOptions):
    """What an operation that is sent records may say, whatever its destination is."""

    send_only: tuple[str, ...] = Field(
        (),
        description="The record's fields that may leave; `ext.NAME` is one of the site's own, `adds` the "
        "names of lists that are to be added to.",
    )
    nulls: Literal["send", "omit"] = Field(
        "send", description="What a field that the sender asked to delete becomes: null, or nothing."
    )
    body: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")] | None = Field(
        None,
        description="What the body is, where it is not the fields of `send_only` by their names: a mapping "
        "(`source: {format: record}`) that makes JSON of them, or `envelope`, the record with all that is "
        "known about it.",
    )
    stale: Stale | None = Field(
        None, description="What becomes of a state that is older than one which this API has taken."
    )


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that a file can name.

    ``example`` is YAML text of the options as a site would write them; a test checks it. A destination
    also says which key of an API file stands for it (``marker``), what it can send, what each operation may
    say, which words of ``repeat_safety`` mean something there, and whether it takes a credential. ``takes``
    tells what a transport hands in: messages that are answered, or whole files; ``bulk`` that they come in
    masses, for which nobody waits by the second. ``build``
    makes the working thing from options that were checked, ``prepares`` what makes a destination's requests
    and has no way to send them, and ``back_channel`` what answers go through that
    a sender wants elsewhere than on its own connection. A policy's ``marker`` is the key of an API file that
    holds its options, empty where it has none; ``letters`` say when it is asked, as a request is made and at
    each attempt, with ``when_declared`` only of APIs whose file has its key; ``rules`` say what is wrong
    between its options and the routes of a site, and ``hides`` which fields it lets no receiver see as they
    are; ``asks`` makes what it asks outside.
    """

    kind: Kind
    name: str
    summary: str
    options: type[Options]
    example: str
    marker: str = ""
    operation: type[OperationOptions] | None = None
    sends: tuple[Send, ...] = ("record",)
    repeat_safety: tuple[str, ...] = ("header", "natural_key", "query_before_retry", "none")
    credentials: bool = True
    takes: Literal["messages", "files"] = "messages"
    bulk: bool = False
    build: Callable[..., Any] | None = None
    prepares: Callable[..., Any] | None = None
    back_channel: Callable[..., Any] | None = None
    letters: tuple[str, str] = ("", "")
    when_declared: bool = False
    asks: Callable[..., Any] | None = None
    rules: Callable[..., Iterator[Problem]] | None = None
    hides: Callable[..., bool] | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All components that files can name, by kind and name."""

    components: tuple[Component, ...]
    _index: Mapping[tuple[str, str], Component] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {(component.kind, component.name): component for component in self.components}
        assert len(index) == len(self.components), "two components of one kind and name"
        object.__setattr__(self, "_index", index)

    def find(self, kind: Kind, name: str) -> Component | None:
        """The component, or None."""
        return self._index.get((kind, name))

    def names(self, kind: Kind) -> list[str]:
        """The names of one kind, sorted."""
        return sorted(component.name for component in self.components if component.kind == kind)
