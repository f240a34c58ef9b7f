"""An encounter: one stay or visit. After FHIR R4 Encounter and HL7 v2 PV1, PV2."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bridge.canonical.base import FIN, LIST_MAX_ITEMS, PHI, PII, PUB, CanonicalRecord, DateTime, Ref, Text

EncounterClass = Literal[
    "inpatient", "outpatient", "emergency", "preadmit", "recurring", "obstetrics", "unknown"
]
EncounterStatus = Literal[
    "planned", "arrived", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"
]


class Encounter(CanonicalRecord):
    """One stay or visit of one patient, keyed by its visit number.

    A visit number (PV1-19) and an account number (PID-18) are different things: an account may hold several
    visits. ``status`` is not required, because an update of a visit's data says nothing about its course.
    """

    patient: Annotated[Ref, PHI, Field(description="Whose stay it is: the key of a patient.")]
    class_: Annotated[
        EncounterClass | None, PHI, Field(alias="class", description="Inpatient, outpatient ..., PV1-2.")
    ] = None
    status: Annotated[EncounterStatus | None, PHI, Field(description="Where the stay is in its course.")] = (
        None
    )
    type: Annotated[Text | None, PHI, Field(description="Admission type, code as sent, PV1-4.")] = None
    visit_number: Annotated[Text | None, PHI, Field(description="PV1-19.")] = None
    preadmit_number: Annotated[Text | None, PHI, Field(description="PV1-5.")] = None
    account: Annotated[Text | None, PHI, Field(description="The account that charges go to, PID-18.")] = None
    start: Annotated[DateTime | None, PHI, Field(description="Admission, PV1-44.")] = None
    end: Annotated[DateTime | None, PHI, Field(description="Discharge, PV1-45.")] = None
    facility: Annotated[Text | None, PUB, Field(description="PV1-3.4, or the sending facility.")] = None
    ward: Annotated[Text | None, PHI, Field(description="Point of care, PV1-3.1.")] = None
    room: Annotated[Text | None, PHI, Field(description="PV1-3.2.")] = None
    bed: Annotated[Text | None, PHI, Field(description="PV1-3.3.")] = None
    attending_npi: Annotated[Text | None, PII, Field(description="Attending physician, PV1-7.1.")] = None
    attending_family: Annotated[Text | None, PII, Field(description="PV1-7.2.")] = None
    attending_given: Annotated[Text | None, PII, Field(description="PV1-7.3.")] = None
    admitting_npi: Annotated[Text | None, PII, Field(description="Admitting physician, PV1-17.1.")] = None
    referring_npi: Annotated[Text | None, PII, Field(description="Referring physician, PV1-8.1.")] = None
    admit_source: Annotated[Text | None, PHI, Field(description="Code as sent, PV1-14.")] = None
    discharge_disposition: Annotated[Text | None, PHI, Field(description="Code as sent, PV1-36.")] = None
    service: Annotated[Text | None, PHI, Field(description="Hospital service, code as sent, PV1-10.")] = None
    financial_class: Annotated[Text | None, FIN, Field(description="Code as sent, PV1-20.")] = None
    reason: Annotated[
        tuple[Text, ...] | None, PHI, Field(max_length=LIST_MAX_ITEMS, description="Why, PV2-3.")
    ] = None
