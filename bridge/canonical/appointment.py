"""An appointment. After FHIR R4 Appointment and HL7 v2 SCH, AIS, AIG, AIL, AIP (SIU^S12 to S26)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    PHI,
    PII,
    PUB,
    CanonicalRecord,
    DateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)

AppointmentStatus = Literal[
    "proposed",
    "pending",
    "booked",
    "arrived",
    "fulfilled",
    "cancelled",
    "noshow",
    "entered-in-error",
    "waitlist",
]


class Participant(Part):
    """Somebody or something that is needed, AIP, AIL, AIG, FHIR Appointment.participant."""

    role: Annotated[Text | None, PUB, says("What as, AIP-4, FHIR Appointment.participant.type.")] = None
    provider: Annotated[Ref | None, PHI, says("The key of a provider, AIP-3.")] = None
    location: Annotated[Ref | None, PHI, says("The key of a location, AIL-3.")] = None
    resource: Annotated[Text | None, PHI, says("A room or a device, AIG-3.")] = None
    family: Annotated[Text | None, PHI, says("Family name of a person, AIP-3.2.")] = None
    start: Annotated[DateTime | None, PHI, says("From when, AIP-6, AIL-6.")] = None


class Appointment(CanonicalRecord):
    """One appointment of one patient."""

    identity: ClassVar[str] = "filler_id, else placer_id, with who gave it"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Appointment", "HL7 v2 SCH, AIS, AIG, AIL, AIP")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "SCHED:F-8",
            "patient": "NORTH:1",
            "start": "2026-05-01T09:00:00-05:00",
            "status": "booked",
            "filler_id": "F-8",
        }
    )

    patient: Annotated[Ref, PHI, says("For whom: the key of a patient, FHIR Appointment.participant.")]
    start: Annotated[DateTime, PHI, says("From when, SCH-11.4, TQ1-7, AIS-4.")]
    status: Annotated[AppointmentStatus, PHI, says("Where it is in its course, SCH-25.")]
    end: Annotated[DateTime | None, PHI, says("Until when, SCH-11.5, TQ1-8.")] = None
    minutes: Annotated[Decimal | None, PHI, says("How long, SCH-9, AIS-7.")] = None
    type: Annotated[Text | None, PHI, says("What kind, code as sent, SCH-8.")] = None
    service: Annotated[Text | None, PHI, says("What is done, AIS-3.")] = None
    reason: Annotated[Text | None, PHI, says("Why, SCH-7.")] = None
    placer_id: Annotated[Text | None, PHI, says("Number of who asked for it, SCH-1.")] = None
    filler_id: Annotated[Text | None, PHI, says("Number of who keeps it, SCH-2.")] = None
    encounter: Annotated[Ref | None, PHI, says("The key of an encounter, PV1-19.")] = None
    location: Annotated[Ref | None, PHI, says("The key of a location, AIL-3.")] = None
    provider_npi: Annotated[Text | None, PII, says("Whom it is with, AIP-3.1.")] = None
    provider_family: Annotated[Text | None, PII, says("Their family name, AIP-3.2.")] = None
    participants: Annotated[
        Many[Participant] | None, PHI, says("Everybody and everything that is needed, AIS, AIG, AIL, AIP.")
    ] = None
    cancel_reason: Annotated[Text | None, PHI, says("Why it does not take place, SCH-6.")] = None
    notes: Annotated[Many[Text] | None, PHI, says("What was written beside it, NTE-3.")] = None
    replaces: Annotated[Ref | None, PHI, says("The key of an appointment that was moved, SCH-1, SCH-2.")] = (
        None
    )
