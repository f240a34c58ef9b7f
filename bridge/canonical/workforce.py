"""People who work here, and when. After HL7 v2 STF, PRA (PMU^B01 to B08, MFN^M02) and HR Open."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import (
    FIN,
    PII,
    PUB,
    CanonicalRecord,
    Date,
    DateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Identifier

EmploymentType = Literal["full-time", "part-time", "per-diem", "contract", "volunteer", "student", "other"]
EmploymentStatus = Literal["active", "leave", "terminated", "pending"]
ShiftStatus = Literal["planned", "worked", "cancelled"]


class Licence(Part):
    """A licence or certificate, HL7 PRA-6, CER, HR Open License."""

    type: Annotated[Text, PUB, says("What it is, CER-6, PRA-6.2.")]
    number: Annotated[Text, PII, says("Its number, CER-2, PRA-6.1.")]
    state: Annotated[Text | None, PUB, says("Who gave it, CER-14, PRA-6.3.")] = None
    expires: Annotated[Date | None, PII, says("Until when it counts, CER-24, PRA-6.4.")] = None


class Worker(CanonicalRecord):
    """One person who works here, keyed by the employee number."""

    identity: ClassVar[str] = "employer and employee number"
    after: ClassVar[tuple[str, ...]] = (
        "HL7 v2 STF, PRA, EDU, CER (PMU^B01-B08)",
        "HL7 v2 MFN^M02",
        "HR Open Worker",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:E-100",
            "identifiers": [{"system": "NORTH", "value": "E-100", "type": "EI"}],
            "family": "Vogel",
            "given": "Anna",
            "job": "RN",
            "status": "active",
        }
    )

    identifiers: Annotated[
        Many[Identifier],
        PII,
        Field(min_length=1),
        says("Employee number, NPI and others, STF-2, HR Open PersonId."),
    ]
    family: Annotated[Text | None, PII, says("Family name, STF-3.1.")] = None
    given: Annotated[Text | None, PII, says("Given name, STF-3.2.")] = None
    job: Annotated[Text | None, PII, says("What they do, STF-18, HR Open JobTitle.")] = None
    department: Annotated[Text | None, PII, says("Where, STF-8.")] = None
    cost_center: Annotated[Ref | None, PII, says("The key of a cost center, HR Open CostCenter.")] = None
    employment_type: Annotated[
        EmploymentType | None, PII, says("How they are employed, STF-20, HR Open.")
    ] = None
    status: Annotated[EmploymentStatus | None, PII, says("Whether they work here now, STF-7.")] = None
    hired_on: Annotated[Date | None, PII, says("Since when, STF-12.")] = None
    terminated_on: Annotated[Date | None, PII, says("Until when, STF-13.")] = None
    npi: Annotated[Text | None, PII, says("National provider identifier, PRA-6, X12 NM109.")] = None
    provider: Annotated[Ref | None, PII, says("The key of a provider, FHIR Practitioner.")] = None
    manager: Annotated[Ref | None, PII, says("The key of their superior, HR Open.")] = None
    licences: Annotated[Many[Licence] | None, PII, says("What they may do, PRA-6, CER.")] = None
    phone: Annotated[Text | None, PII, says("Telephone at work, STF-10.")] = None
    email: Annotated[Text | None, PII, says("Electronic mail address, STF-10.4.")] = None


class Shift(CanonicalRecord):
    """One shift of one worker: planned, worked or cancelled."""

    identity: ClassVar[str] = "worker and start; else the scheduling system's number"
    after: ClassVar[tuple[str, ...]] = ("HR Open TimeCard",)
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:E-100:2026-03-04T07:00:00-06:00",
            "worker": "NORTH:E-100",
            "start": "2026-03-04T07:00:00-06:00",
            "end": "2026-03-04T19:00:00-06:00",
            "unit": "3W",
            "status": "planned",
            "hours": "12",
        }
    )

    worker: Annotated[Ref, PII, says("Whose it is: the key of a worker, HR Open TimeCard.")]
    start: Annotated[DateTime, PII, says("From when, HR Open TimeCard.")]
    end: Annotated[DateTime, PII, says("Until when, HR Open TimeCard.")]
    unit: Annotated[Text, PUB, says("Where, PL.1, HR Open TimeCard.")]
    role: Annotated[Text | None, PII, says("What as, HR Open TimeCard.")] = None
    status: Annotated[ShiftStatus | None, PII, says("Planned, worked or cancelled, HR Open TimeCard.")] = None
    pay_code: Annotated[Text | None, FIN, says("How it is paid, HR Open TimeCard.")] = None
    hours: Annotated[Decimal | None, FIN, says("How long, without breaks, HR Open TimeCard.")] = None
    cost_center: Annotated[
        Ref | None, FIN, says("Who pays: the key of a cost center, HR Open CostCenter.")
    ] = None
    replaces: Annotated[
        Ref | None, PII, says("The key of the shift that this takes the place of, HR Open TimeCard.")
    ] = None
