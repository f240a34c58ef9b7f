"""An encounter: one stay or visit. After FHIR R4 Encounter and HL7 v2 PV1, PV2."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    FIN,
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
from bridge.canonical.values import Person

EncounterClass = Literal[
    "inpatient", "outpatient", "emergency", "preadmit", "recurring", "obstetrics", "unknown"
]
EncounterStatus = Literal[
    "planned", "arrived", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"
]


class StayedAt(Part):
    """Where a patient was, and when. PV1-3, PV1-6, FHIR Encounter.location."""

    ward: Annotated[Text | None, PHI, says("Point of care, PL.1.")] = None
    room: Annotated[Text | None, PHI, says("Room, PL.2.")] = None
    bed: Annotated[Text | None, PHI, says("Bed, PL.3.")] = None
    facility: Annotated[Text | None, PUB, says("Facility, PL.4.")] = None
    location: Annotated[Ref | None, PHI, says("The key of a location, FHIR Encounter.location.")] = None
    start: Annotated[DateTime | None, PHI, says("From when, FHIR Encounter.location.period.")] = None
    end: Annotated[DateTime | None, PHI, says("Until when, FHIR Encounter.location.period.")] = None


class StayDiagnosis(Part):
    """One diagnosis of a stay. DG1, UB-04 FL 66 to 70, FHIR Encounter.diagnosis."""

    code: Annotated[Text, PHI, says("The code, DG1-3.1.")]
    code_system: Annotated[Text | None, PUB, says("Whose code it is, DG1-3.3.")] = None
    name: Annotated[Text | None, PHI, says("What the code means, DG1-3.2, DG1-4.")] = None
    type: Annotated[Text | None, PHI, says("Admitting, working, final, DG1-6, HL7 table 0052.")] = None
    rank: Annotated[Decimal | None, PHI, says("1 is the principal one, DG1-15.")] = None
    present_on_admission: Annotated[Text | None, PHI, says("Y, N, U or W, DG1-26, UB-04 FL 67.")] = None


class Encounter(CanonicalRecord):
    """One stay or visit of one patient, keyed by its visit number.

    A visit number (PV1-19) and an account number (PID-18) are different things: an account may hold several
    visits. ``status`` is not required, because an update of a visit's data says nothing about its course.
    """

    identity: ClassVar[str] = "facility and visit number"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Encounter", "HL7 v2 PV1, PV2, EVN, DG1", "UB-04 FL 4, 12-17")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:V-77",
            "patient": "NORTH:1",
            "class": "inpatient",
            "status": "in-progress",
            "start": "2026-03-04T10:15:00-06:00",
            "ward": "3W",
            "bed": "B",
        }
    )

    patient: Annotated[Ref, PHI, says("Whose stay it is: the key of a patient, FHIR Encounter.subject.")]
    class_: Annotated[
        EncounterClass | None, PHI, says("Inpatient, outpatient ..., PV1-2.", alias="class")
    ] = None
    status: Annotated[
        EncounterStatus | None, PHI, says("Where the stay is in its course, FHIR Encounter.status.")
    ] = None
    type: Annotated[Text | None, PHI, says("Admission type, code as sent, PV1-4.")] = None
    visit_number: Annotated[Text | None, PHI, says("PV1-19.")] = None
    preadmit_number: Annotated[Text | None, PHI, says("PV1-5.")] = None
    account: Annotated[Text | None, PHI, says("The account that charges go to, PID-18.")] = None
    start: Annotated[DateTime | None, PHI, says("Admission, PV1-44.")] = None
    end: Annotated[DateTime | None, PHI, says("Discharge, PV1-45.")] = None
    facility: Annotated[Text | None, PUB, says("PV1-3.4, or the sending facility.")] = None
    ward: Annotated[Text | None, PHI, says("Point of care, PV1-3.1.")] = None
    room: Annotated[Text | None, PHI, says("PV1-3.2.")] = None
    bed: Annotated[Text | None, PHI, says("PV1-3.3.")] = None
    attending_npi: Annotated[Text | None, PII, says("Attending physician, PV1-7.1.")] = None
    attending_family: Annotated[Text | None, PII, says("PV1-7.2.")] = None
    attending_given: Annotated[Text | None, PII, says("PV1-7.3.")] = None
    admitting_npi: Annotated[Text | None, PII, says("Admitting physician, PV1-17.1.")] = None
    referring_npi: Annotated[Text | None, PII, says("Referring physician, PV1-8.1.")] = None
    admit_source: Annotated[Text | None, PHI, says("Code as sent, PV1-14.")] = None
    discharge_disposition: Annotated[Text | None, PHI, says("Code as sent, PV1-36.")] = None
    service: Annotated[Text | None, PHI, says("Hospital service, code as sent, PV1-10.")] = None
    financial_class: Annotated[Text | None, FIN, says("Code as sent, PV1-20.")] = None
    reason: Annotated[Many[Text] | None, PHI, says("Why, PV2-3.")] = None
    priority: Annotated[Text | None, PHI, says("How soon, code as sent, PV2-25.")] = None
    discharged_to: Annotated[Text | None, PHI, says("Where to, PV1-37.")] = None
    length_of_stay_days: Annotated[Decimal | None, PHI, says("How many days, PV2-11.")] = None
    type_of_bill: Annotated[Text | None, PHI, says("Type of bill, UB-04 FL 4.")] = None
    locations: Annotated[Many[StayedAt] | None, PHI, says("Where the patient was, PV1-3, PV1-6.")] = None
    diagnoses: Annotated[Many[StayDiagnosis] | None, PHI, says("Diagnoses, DG1.")] = None
    participants: Annotated[
        Many[Person] | None, PII, says("Who takes part, PV1-7, PV1-8, PV1-9, PV1-17, ROL.")
    ] = None
    replaces: Annotated[
        Ref | None, PHI, says("In a merge: the key of the stay that ends in this one, MRG-5.")
    ] = None
    part_of: Annotated[
        Ref | None, PHI, says("The key of a stay that this is part of, FHIR Encounter.partOf.")
    ] = None
