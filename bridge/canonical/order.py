"""An order: what somebody asked to be done. After FHIR R4 ServiceRequest and HL7 v2 ORC, OBR, RXE."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    PHI,
    PII,
    PUB,
    CanonicalRecord,
    DateOrDateTime,
    DateTime,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Attachment, Code, Instant, Quantity

OrderStatus = Literal[
    "draft",
    "active",
    "on-hold",
    "partial",
    "preliminary",
    "final",
    "corrected",
    "completed",
    "cancelled",
    "entered-in-error",
    "unknown",
]
OrderIntent = Literal["order", "proposal", "plan", "reflex-order", "filler-order", "instance-order"]
Priority = Literal["routine", "urgent", "asap", "stat", "timed"]


class Specimen(Part):
    """What is examined, SPM, FHIR Specimen."""

    id: Annotated[Text | None, PHI, says("Its number, SPM-2.")] = None
    type: Annotated[Code | None, PHI, says("What it is, SPM-4, OBR-15.")] = None
    collected: Annotated[Instant | None, PHI, says("When it was taken, SPM-17, OBR-7.")] = None
    received: Annotated[DateTime | None, PHI, says("When it arrived, SPM-18, OBR-14.")] = None
    site: Annotated[Text | None, PHI, says("Where of the body, SPM-8.")] = None
    volume: Annotated[Quantity | None, PHI, says("How much, SPM-12, OBR-9.")] = None


class Order(CanonicalRecord):
    """One order, keyed by the number of who fills it, else of who placed it."""

    identity: ClassVar[str] = "filler_id, else placer_id, with who gave it, and the code"
    after: ClassVar[tuple[str, ...]] = (
        "FHIR R4 ServiceRequest",
        "FHIR R4 MedicationRequest",
        "HL7 v2 ORC, OBR, RXE, TQ1, SPM",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "LAB:F-1:CBC",
            "patient": "NORTH:1",
            "code": "58410-2",
            "code_system": "loinc",
            "status": "active",
            "intent": "order",
            "placer_id": "P-1",
            "filler_id": "F-1",
        }
    )

    patient: Annotated[Ref, PHI, says("For whom: the key of a patient, FHIR ServiceRequest.subject.")]
    code: Annotated[Text, PHI, says("What is ordered, OBR-4.1, RXE-2.1.")]
    status: Annotated[OrderStatus, PHI, says("Where it is in its course, ORC-5, OBR-25.")]
    intent: Annotated[OrderIntent, PHI, says("How binding it is, FHIR ServiceRequest.intent.")]
    code_system: Annotated[Text | None, PUB, says("Whose code it is, OBR-4.3.")] = None
    name: Annotated[Text | None, PHI, says("What the code means, OBR-4.2.")] = None
    placer_id: Annotated[Text | None, PHI, says("Number of who placed it, ORC-2, OBR-2.")] = None
    filler_id: Annotated[Text | None, PHI, says("Number of who fills it, ORC-3, OBR-3.")] = None
    group_id: Annotated[Text | None, PHI, says("What it was placed together with, ORC-4.")] = None
    control_code: Annotated[Text | None, PUB, says("What the message asks for, ORC-1, HL7 table 0119.")] = (
        None
    )
    priority: Annotated[Priority | None, PHI, says("How soon, TQ1-9, OBR-5.")] = None
    encounter: Annotated[
        Ref | None, PHI, says("The key of an encounter, PV1-19, FHIR ServiceRequest.encounter.")
    ] = None
    requester_npi: Annotated[Text | None, PII, says("Who ordered, ORC-12.1, OBR-16.1.")] = None
    requester_family: Annotated[Text | None, PII, says("Their family name, ORC-12.2.")] = None
    requester_given: Annotated[Text | None, PII, says("Their given name, ORC-12.3.")] = None
    requester: Annotated[Ref | None, PII, says("The key of a provider, FHIR ServiceRequest.requester.")] = (
        None
    )
    authored_at: Annotated[
        DateTime | None, PHI, says("When it was ordered, ORC-9, FHIR ServiceRequest.authoredOn.")
    ] = None
    occurs_at: Annotated[
        DateOrDateTime | None,
        PHI,
        says("When it is to be done, TQ1-7, OBR-7, FHIR ServiceRequest.occurrence."),
    ] = None
    observed_at: Annotated[DateTime | None, PHI, says("When what was observed was so, OBR-7.")] = None
    issued_at: Annotated[DateTime | None, PHI, says("When the report was given out, OBR-22.")] = None
    specimen: Annotated[Specimen | None, PHI, says("What is examined, SPM.")] = None
    dose: Annotated[Quantity | None, PHI, says("How much of a medication, RXE-3, RXE-5.")] = None
    route: Annotated[Text | None, PHI, says("By which way, RXR-1.")] = None
    frequency: Annotated[Text | None, PHI, says("How often, TQ1-3, RXE-1.2.")] = None
    reason: Annotated[Many[Code] | None, PHI, says("Why, OBR-31, ORC-16.")] = None
    notes: Annotated[Many[Text] | None, PHI, says("What was written beside it, NTE-3.")] = None
    reports: Annotated[
        Many[Attachment] | None, PHI, says("Documents of the whole order, OBX-5 of ED and RP.")
    ] = None
    parent: Annotated[Ref | None, PHI, says("The key of an order that it came from, OBR-29, ORC-8.")] = None
