"""A provider: who treats, orders, refers. After FHIR R4 Practitioner and HL7 v2 XCN, STF, PRA, X12 NM1."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import PII, PUB, SEC, CanonicalRecord, Many, Ref, Text, says
from bridge.canonical.values import Address, Code, Identifier, Name, Period

ProviderRole = Literal[
    "attending", "admitting", "referring", "ordering", "performing", "rendering", "billing", "primary"
]


class Provider(CanonicalRecord):
    """One person or group that gives care, keyed by its national number, else by the site's own."""

    identity: ClassVar[str] = "NPI; else assigning authority and number"
    after: ClassVar[tuple[str, ...]] = (
        "FHIR R4 Practitioner",
        "FHIR R4 PractitionerRole",
        "HL7 v2 STF, PRA, XCN",
        "X12 NM1",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NPI:1992000008",
            "identifiers": [{"system": "NPI", "value": "1992000008", "type": "NPI"}],
            "family": "Vogel",
            "specialties": [{"system": "nucc", "code": "207R00000X"}],
        }
    )

    identifiers: Annotated[
        Many[Identifier], PII, Field(min_length=1), says("All numbers, XCN.1, STF-2, X12 NM109.")
    ]
    npi: Annotated[Text | None, PII, says("National provider identifier, XCN.1, X12 NM109.")] = None
    dea_number: Annotated[Text | None, SEC, says("Licence for controlled substances, PRA-6, X12 REF02.")] = (
        None
    )
    family: Annotated[Text | None, PII, says("Family name or organisation, STF-3, XCN.2, X12 NM103.")] = None
    given: Annotated[Text | None, PII, says("Given name, XCN.3, X12 NM104.")] = None
    middle: Annotated[Text | None, PII, says("Further names, XCN.4, X12 NM105.")] = None
    suffix: Annotated[Text | None, PII, says("Suffix, XCN.5, X12 NM107.")] = None
    names: Annotated[Many[Name] | None, PII, says("All names, STF-3, FHIR Practitioner.name.")] = None
    specialties: Annotated[Many[Code] | None, PUB, says("What they do, NUCC taxonomy, PRA-5, X12 PRV03.")] = (
        None
    )
    roles: Annotated[
        Many[ProviderRole] | None, PUB, says("In which roles, FHIR PractitionerRole.code, X12 NM101.")
    ] = None
    organization: Annotated[
        Ref | None, PUB, says("The key of an organization, FHIR PractitionerRole.organization.")
    ] = None
    locations: Annotated[
        Many[Ref] | None, PUB, says("Keys of locations, FHIR PractitionerRole.location.")
    ] = None
    phone: Annotated[Text | None, PII, says("Telephone at work, STF-10, X12 PER04.")] = None
    email: Annotated[Text | None, PII, says("Electronic mail address, STF-10.4.")] = None
    addresses: Annotated[Many[Address] | None, PII, says("Where, STF-11, X12 N3, N4.")] = None
    active: Annotated[
        bool | None, PUB, says("Whether they work here now, STF-7, FHIR Practitioner.active.")
    ] = None
    period: Annotated[Period | None, PUB, says("From when until when, STF-12, STF-13.")] = None
