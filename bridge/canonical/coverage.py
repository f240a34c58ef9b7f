"""A coverage: who pays for a patient. After FHIR R4 Coverage, HL7 v2 IN1-IN3 and X12 271."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    FIN,
    PHI,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    Decimal,
    Ref,
    Text,
    says,
)

Relationship = Literal["self", "spouse", "child", "parent", "other", "unknown"]
CoverageStatus = Literal["active", "cancelled", "draft", "entered-in-error"]


class Coverage(CanonicalRecord):
    """One insurance of one patient, keyed by payer and member number."""

    identity: ClassVar[str] = "payer and member_id"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Coverage", "HL7 v2 IN1, IN2, IN3", "X12 270, 271")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "PAYER1:M-77",
            "patient": "NORTH:1",
            "payer": "PAYER1",
            "member_id": "M-77",
            "order": "1",
            "relationship": "self",
        }
    )

    patient: Annotated[Ref, PHI, says("Whom it covers: the key of a patient, FHIR Coverage.beneficiary.")]
    payer: Annotated[Ref, PHI, says("Who pays: the key of an organization, IN1-3, X12 NM109.")]
    member_id: Annotated[Text, PHI, says("Number of the member, IN1-49, IN1-36, X12 NM109.")]
    payer_name: Annotated[Text | None, PHI, says("What the payer is called, IN1-4, X12 NM103.")] = None
    status: Annotated[CoverageStatus | None, PHI, says("Whether it counts, FHIR Coverage.status.")] = None
    group_number: Annotated[Text | None, PHI, says("Group, IN1-8, X12 SBR03.")] = None
    group_name: Annotated[Text | None, PHI, says("What the group is called, IN1-9, X12 SBR04.")] = None
    plan: Annotated[Text | None, PHI, says("Plan, IN1-2, FHIR Coverage.class.")] = None
    plan_type: Annotated[Text | None, PHI, says("Kind of plan, code as sent, IN1-15, X12 SBR09.")] = None
    relationship: Annotated[
        Relationship | None, PHI, says("Of the patient to the subscriber, IN1-17, X12 SBR02.")
    ] = None
    order: Annotated[
        Decimal | None, PHI, says("1 is asked first, IN1-1, IN1-22, X12 SBR01, FHIR Coverage.order.")
    ] = None
    subscriber_id: Annotated[Text | None, PHI, says("Number of the subscriber, IN1-36, X12 NM109.")] = None
    subscriber_family: Annotated[
        Text | None, PHI, says("Family name of the subscriber, IN1-16.1, X12 NM103.")
    ] = None
    subscriber_given: Annotated[
        Text | None, PHI, says("Given name of the subscriber, IN1-16.2, X12 NM104.")
    ] = None
    subscriber_birth_date: Annotated[Date | None, PHI, says("Their date of birth, IN1-18, X12 DMG02.")] = None
    start: Annotated[Date | None, PHI, says("From when, IN1-12, X12 DTP03.")] = None
    end: Annotated[Date | None, PHI, says("Until when, IN1-13, X12 DTP03.")] = None
    authorization: Annotated[Text | None, PHI, says("Number of an authorization, IN1-14, X12 REF02.")] = None
    copay: Annotated[Amount | None, FIN, says("What the patient pays at a visit, X12 EB07.")] = None
    deductible: Annotated[Amount | None, FIN, says("What the patient pays first, IN2-29, X12 EB07.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217.")] = None
