"""Organizations and places. After FHIR R4 Organization and Location, and GS1 GLN."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import FIN, PUB, CanonicalRecord, Many, Ref, Text, says
from bridge.canonical.values import Address, Contact, Identifier

OrganizationType = Literal[
    "provider", "payer", "supplier", "department", "laboratory", "pharmacy", "government", "other"
]
LocationStatus = Literal["active", "suspended", "inactive"]
LocationType = Literal["site", "building", "ward", "room", "bed", "area", "virtual", "other"]


class Organization(CanonicalRecord):
    """One organization: a hospital, a payer, a department."""

    identity: ClassVar[str] = "NPI, GLN or TIN; else assigning authority and number"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Organization", "X12 N1", "GS1 GLN")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "GLN:4012345000009",
            "identifiers": [{"system": "gs1", "value": "4012345000009", "type": "GLN"}],
            "name": "North Hospital",
            "type": "provider",
        }
    )

    identifiers: Annotated[
        Many[Identifier], PUB, Field(min_length=1), says("NPI, CLIA, GLN and others, XON.10, X12 N104.")
    ]
    name: Annotated[Text | None, PUB, says("What it is called, XON.1, X12 N102.")] = None
    type: Annotated[OrganizationType | None, PUB, says("What it is, FHIR Organization.type.")] = None
    npi: Annotated[Text | None, PUB, says("National provider identifier, X12 NM109.")] = None
    tin: Annotated[Text | None, FIN, says("Tax number, X12 REF02 with EI.")] = None
    clia: Annotated[Text | None, PUB, says("Number as a laboratory, FHIR Organization.identifier.")] = None
    gln: Annotated[Text | None, PUB, says("Global location number, GS1 AI 414.")] = None
    parent: Annotated[
        Ref | None, PUB, says("The key of the organization that it belongs to, FHIR Organization.partOf.")
    ] = None
    line1: Annotated[Text | None, PUB, says("Street address, X12 N301.")] = None
    line2: Annotated[Text | None, PUB, says("Second line, X12 N302.")] = None
    city: Annotated[Text | None, PUB, says("City, X12 N401.")] = None
    state: Annotated[Text | None, PUB, says("State or province, X12 N402.")] = None
    postal_code: Annotated[Text | None, PUB, says("Postal code, X12 N403.")] = None
    country: Annotated[Text | None, PUB, says("Country, X12 N404.")] = None
    contacts: Annotated[
        Many[Contact] | None, PUB, says("How it is reached, X12 PER, FHIR Organization.telecom.")
    ] = None
    active: Annotated[bool | None, PUB, says("Whether it is there now, FHIR Organization.active.")] = None


class Location(CanonicalRecord):
    """One place of care or stock: a ward, a room, a bed, a store."""

    identity: ClassVar[str] = "GLN; else facility and point of care, room, bed"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Location", "HL7 v2 PL, LOC", "GS1 GLN")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:3W:12:B",
            "identifiers": [{"system": "NORTH", "value": "3W-12-B"}],
            "ward": "3W",
            "room": "12",
            "bed": "B",
            "status": "active",
        }
    )

    identifiers: Annotated[
        Many[Identifier], PUB, Field(min_length=1), says("GLN and the site's numbers, LOC-1, GS1 AI 414.")
    ]
    name: Annotated[Text | None, PUB, says("What it is called, LOC-2, FHIR Location.name.")] = None
    type: Annotated[LocationType | None, PUB, says("What it is, LOC-3, FHIR Location.physicalType.")] = None
    facility: Annotated[Text | None, PUB, says("Of which facility, PL.4.")] = None
    ward: Annotated[Text | None, PUB, says("Point of care, PL.1.")] = None
    room: Annotated[Text | None, PUB, says("Room, PL.2.")] = None
    bed: Annotated[Text | None, PUB, says("Bed, PL.3.")] = None
    building: Annotated[Text | None, PUB, says("Building, PL.7.")] = None
    floor: Annotated[Text | None, PUB, says("Floor, PL.8.")] = None
    status: Annotated[LocationStatus | None, PUB, says("Whether it is in use, FHIR Location.status.")] = None
    bed_status: Annotated[Text | None, PUB, says("Code as sent, PL.5, HL7 table 0116.")] = None
    organization: Annotated[
        Ref | None,
        PUB,
        says("The key of the organization that runs it, LOC-4, FHIR Location.managingOrganization."),
    ] = None
    parent: Annotated[
        Ref | None, PUB, says("The key of the location that it is part of, FHIR Location.partOf.")
    ] = None
    address: Annotated[Address | None, PUB, says("Where it is, LOC-5, FHIR Location.address.")] = None
    gln: Annotated[Text | None, PUB, says("Global location number, GS1 AI 414.")] = None
