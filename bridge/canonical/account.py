"""An account: what charges and payments of a stay are kept on. After FHIR R4 Account and HL7 v2 PID-18."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    FIN,
    PHI,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    DateOrDateTime,
    Many,
    Ref,
    Text,
    says,
)

AccountStatus = Literal["active", "inactive", "on-hold", "entered-in-error", "unknown"]


class Account(CanonicalRecord):
    """One account of one patient; it may hold several visits."""

    identity: ClassVar[str] = "facility and account number"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Account", "HL7 v2 PID-18, PV1, BAR")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:A-9",
            "number": "A-9",
            "patient": "NORTH:1",
            "status": "active",
            "balance": "120.00",
            "currency": "USD",
        }
    )

    number: Annotated[Text, PHI, says("The number, PID-18.1, X12 CLM01.")]
    patient: Annotated[Ref, PHI, says("Whose account it is: the key of a patient, FHIR Account.subject.")]
    status: Annotated[
        AccountStatus | None, PHI, says("Whether charges may be put on it, PV1-41, FHIR Account.status.")
    ] = None
    type: Annotated[Text | None, PHI, says("What kind, code as sent, PV1-18, FHIR Account.type.")] = None
    guarantor_family: Annotated[
        Text | None, PII, says("Who answers for it, GT1-3.1, FHIR Account.guarantor.")
    ] = None
    guarantor_given: Annotated[Text | None, PII, says("Given name, GT1-3.2.")] = None
    guarantor_number: Annotated[Text | None, PII, says("Their number, GT1-2.")] = None
    financial_class: Annotated[Text | None, FIN, says("Code as sent, PV1-20.")] = None
    encounters: Annotated[Many[Ref] | None, PHI, says("Keys of its visits, FHIR Encounter.account.")] = None
    coverages: Annotated[
        Many[Ref] | None, PHI, says("Keys of its coverages, in order, FHIR Account.coverage.")
    ] = None
    balance: Annotated[Amount | None, FIN, says("What is owed, PV1-46.")] = None
    total_charges: Annotated[Amount | None, FIN, says("What was charged, PV1-47.")] = None
    total_payments: Annotated[Amount | None, FIN, says("What was paid, PV1-49.")] = None
    total_adjustments: Annotated[Amount | None, FIN, says("What was adjusted, PV1-48.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217.")] = None
    start: Annotated[DateOrDateTime | None, PHI, says("From when, FHIR Account.servicePeriod.")] = None
    end: Annotated[DateOrDateTime | None, PHI, says("Until when, PV1-35, FHIR Account.servicePeriod.")] = None
    replaces: Annotated[
        Ref | None, PHI, says("In a merge: the key of the account that ends in this one, MRG-3.")
    ] = None
