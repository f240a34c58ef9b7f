"""What an API's file says of its contract: which documents, and what follows where one is not kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from bridge.component import Options
from bridge.contracts.watch import REJECTED_WITHOUT_PLACE_MIN

Checks = Literal["observe", "enforce"]
Answers = Literal["off", "observe", "enforce"]

AFFECTED_MAX_COUNT: Final = 20

ContractPath = Annotated[
    str,
    StringConstraints(
        pattern=r"^contracts/[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*){0,4}\.(?:ya?ml|json)$",
        max_length=200,
    ),
]


def _for_all(value: Any) -> Any:
    return {"": value} if isinstance(value, str) else value


class ContractOptions(Options):
    """What the API says that it takes and answers, and what follows where that is not so."""

    openapi: ContractPath | None = Field(
        None,
        description="An OpenAPI document (3.0 or 3.1) below channels/, as contracts/rcm-2.1.0.yaml. Each "
        "operation of this file must be in it, by method and path.",
    )
    json_schema: Annotated[Mapping[str, ContractPath], BeforeValidator(_for_all)] = Field(
        default_factory=dict,
        description="In place of it, a JSON Schema of the body: contracts/patient.json for all operations, "
        "or {putPatient: contracts/patient.json} for each by its name.",
    )
    check: Checks = Field(
        "enforce",
        description="enforce: a request that the contract does not allow is in quarantine, and an operation "
        "that answers otherwise is held until a person has looked at it. observe: both are noticed and told.",
    )
    answers: Answers | None = Field(
        None,
        description="The same for answers alone, where it is not as `check`; off: they are not looked at.",
    )
    affected_max: int = Field(
        AFFECTED_MAX_COUNT,
        ge=REJECTED_WITHOUT_PLACE_MIN,
        le=1000,
        description="So many messages may meet a change of an operation at most before it is held. With "
        "`enforce`, fewer calls of it are under way at once.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.openapi is None) == (not self.json_schema):
            raise ValueError("expected `openapi` or `json_schema`, and not both")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The files that are named, each once."""
        named = ([] if self.openapi is None else [self.openapi]) + list(self.json_schema.values())
        return tuple(dict.fromkeys(named))

    @property
    def of_answers(self) -> Answers:
        """What becomes of an answer that is not as the contract says."""
        return self.answers or self.check

    @property
    def in_flight_max(self) -> int | None:
        """How many calls of an operation may be under way, so that at most `affected_max` meet a change."""
        return self.affected_max - REJECTED_WITHOUT_PLACE_MIN + 1 if self.of_answers == "enforce" else None
