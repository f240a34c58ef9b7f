"""An immunization. After FHIR R4 Immunization and HL7 v2 RXA (VXU^V04)."""

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
    Date,
    DateOrDateTime,
    Many,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Quantity

ImmunizationStatus = Literal["completed", "not-done", "entered-in-error"]


class Immunization(CanonicalRecord):
    """One dose that was given, or was not and why."""

    identity: ClassVar[str] = "filler_id with who gave it; else patient, code and time"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Immunization", "HL7 v2 RXA, RXR, OBX (VXU^V04)", "CVX")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:IZ-3",
            "patient": "NORTH:1",
            "code": "140",
            "code_system": "cvx",
            "status": "completed",
            "given_at": "2026-01-05",
            "lot": "L-12",
        }
    )

    patient: Annotated[Ref, PHI, says("To whom: the key of a patient, FHIR Immunization.patient.")]
    code: Annotated[Text, PHI, says("What was given, RXA-5.1.")]
    status: Annotated[ImmunizationStatus, PHI, says("Whether it was given, RXA-20.")]
    given_at: Annotated[DateOrDateTime, PHI, says("When, RXA-3.")]
    code_system: Annotated[Text | None, PUB, says("Whose code it is, RXA-5.3.")] = None
    name: Annotated[Text | None, PHI, says("What the code means, RXA-5.2.")] = None
    filler_id: Annotated[Text | None, PHI, says("Its number, ORC-3.")] = None
    dose: Annotated[Quantity | None, PHI, says("How much, RXA-6, RXA-7.")] = None
    lot: Annotated[Text | None, PHI, says("Lot number, RXA-15, GS1 AI 10.")] = None
    expires: Annotated[Date | None, PHI, says("Until when the lot was good, RXA-16, GS1 AI 17.")] = None
    manufacturer: Annotated[Text | None, PHI, says("Who made it, RXA-17.")] = None
    route: Annotated[Text | None, PHI, says("By which way, RXR-1.")] = None
    site: Annotated[Text | None, PHI, says("Where of the body, RXR-2.")] = None
    performer_npi: Annotated[Text | None, PII, says("Who gave it, RXA-10.1.")] = None
    performer_family: Annotated[Text | None, PII, says("Their family name, RXA-10.2.")] = None
    location: Annotated[Text | None, PHI, says("Where, RXA-11.")] = None
    funding: Annotated[Text | None, FIN, says("Who paid for the dose, OBX-5 of LOINC 64994-7.")] = None
    reason_not_done: Annotated[Text | None, PHI, says("Why it was not given, RXA-18.")] = None
    historical: Annotated[bool | None, PHI, says("Told by somebody else, not given here, RXA-9.")] = None
    notes: Annotated[Many[Text] | None, PHI, says("What was written beside it, NTE-3.")] = None
