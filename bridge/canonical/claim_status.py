"""A claim's status: what a payer says of it. After X12 277, 277CA and FHIR R4 ClaimResponse."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

from pydantic import model_validator

from bridge.canonical.base import (
    FIN,
    PHI,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    DateOrDateTime,
    Many,
    Part,
    Ref,
    Text,
    broken,
    says,
)


class FurtherStatus(Part):
    """A second or third reason beside a status, X12 STC10, STC11."""

    category: Annotated[Text, PHI, says("How it stands, X12 STC10-1.")]
    code: Annotated[Text, PHI, says("Why, X12 STC10-2.")]
    entity: Annotated[Text | None, PHI, says("Of whom it speaks, X12 STC10-3.")] = None


class ServiceStatus(Part):
    """What is said of one service, X12 loop 2220D."""

    procedure: Annotated[Text | None, PHI, says("What was done, X12 SVC01-2.")] = None
    category: Annotated[Text, PHI, says("How it stands, X12 STC01-1.")]
    code: Annotated[Text, PHI, says("Why, X12 STC01-2.")]
    charge: Annotated[Amount | None, FIN, says("What it costs, X12 SVC02.")] = None
    paid: Annotated[Amount | None, FIN, says("What was paid, X12 SVC03.")] = None
    date: Annotated[DateOrDateTime | None, PHI, says("When it was done, X12 DTP03 with 472.")] = None
    further: Annotated[Many[FurtherStatus] | None, PHI, says("Further reasons, X12 STC10, STC11.")] = None


class ClaimStatus(CanonicalRecord):
    """What a payer says of one claim, which is known here, or by a trace number."""

    identity: ClassVar[str] = "payer, claim or trace_number, effective_date, category and code"
    after: ClassVar[tuple[str, ...]] = ("X12 277 005010X212", "X12 277CA 005010X214", "FHIR R4 ClaimResponse")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "PAYER1:PCN-1:2026-03-09:F1:65",
            "trace_number": "PCN-1",
            "category": "F1",
            "status_code": "65",
            "effective_date": "2026-03-09",
            "paid": "250.00",
            "currency": "USD",
        }
    )

    category: Annotated[Text, PHI, says("How it stands, X12 STC01-1.")]
    status_code: Annotated[Text, PHI, says("Why, X12 STC01-2.")]
    effective_date: Annotated[Date, PHI, says("Since when, X12 STC02.")]
    claim: Annotated[Ref | None, PHI, says("The key of a claim, X12 REF02.")] = None
    trace_number: Annotated[Text | None, PHI, says("What the question was known by, X12 TRN02.")] = None
    entity: Annotated[Text | None, PHI, says("Of whom the status speaks, X12 STC01-3.")] = None
    payer: Annotated[
        Ref | None, PHI, says("Who says so: the key of an organization, X12 NM109 with PR or AY.")
    ] = None
    patient: Annotated[Ref | None, PHI, says("The key of a patient, X12 loop 2100D.")] = None
    payer_claim_number: Annotated[Text | None, PHI, says("The payer's number, X12 REF02 with 1K.")] = None
    charged: Annotated[Amount | None, FIN, says("What was asked for, X12 STC04.")] = None
    paid: Annotated[Amount | None, FIN, says("What was paid, X12 STC05.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217.")] = None
    paid_at: Annotated[Date | None, FIN, says("When, X12 STC06, STC08.")] = None
    check_number: Annotated[Text | None, FIN, says("Number of the payment, X12 STC09.")] = None
    services: Annotated[
        Many[ServiceStatus] | None, PHI, says("What is said of each service, X12 loop 2220D.")
    ] = None
    message: Annotated[Text | None, PHI, says("In words, X12 STC12.")] = None
    further: Annotated[Many[FurtherStatus] | None, PHI, says("Further reasons, X12 STC10, STC11.")] = None

    @model_validator(mode="after")
    def _of_a_claim(self) -> Self:
        if self.claim is None and self.trace_number is None:
            words = "a claim's status names its claim, or a trace number"
            raise broken("no_claim", words, (), ("claim", "trace_number"))
        return self
