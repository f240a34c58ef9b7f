"""A document: a report, a letter, a scan. After FHIR R4 DocumentReference and HL7 v2 TXA, OBX."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import PHI, PII, PUB, CanonicalRecord, DateTime, Ref, Text, says
from bridge.canonical.values import Attachment

DocumentStatus = Literal[
    "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"
]


class Document(CanonicalRecord):
    """One document about one patient. Its content is text, or kept by its digest; not both."""

    identity: ClassVar[str] = "assigning authority and document number"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 DocumentReference", "HL7 v2 TXA, OBX")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:D-5",
            "patient": "NORTH:1",
            "type": "18842-5",
            "status": "final",
            "title": "Discharge summary",
            "text": "Home with family.",
        }
    )

    patient: Annotated[Ref, PHI, says("About whom: the key of a patient, FHIR DocumentReference.subject.")]
    type: Annotated[Text, PHI, says("What it is, TXA-2, LOINC where given.")]
    status: Annotated[DocumentStatus, PHI, says("How final it is, TXA-17, TXA-19.")]
    number: Annotated[Text | None, PHI, says("Its number, TXA-12.")] = None
    type_system: Annotated[Text | None, PUB, says("Whose code the type is, FHIR DocumentReference.type.")] = (
        None
    )
    title: Annotated[
        Text | None, PHI, says("What it is called, TXA-25, FHIR DocumentReference.description.")
    ] = None
    encounter: Annotated[Ref | None, PHI, says("The key of an encounter, PV1-19.")] = None
    order: Annotated[Ref | None, PHI, says("The key of an order, TXA-14, TXA-15.")] = None
    author_npi: Annotated[Text | None, PII, says("Who wrote it, TXA-9.1.")] = None
    author_family: Annotated[Text | None, PII, says("Their family name, TXA-9.2.")] = None
    author_given: Annotated[Text | None, PII, says("Their given name, TXA-9.3.")] = None
    written_at: Annotated[DateTime | None, PHI, says("When it was written, TXA-6.")] = None
    signed_at: Annotated[DateTime | None, PHI, says("When it was signed, TXA-22.")] = None
    text: Annotated[Text | None, PHI, says("What it says, where it is text, OBX-5 of TX, FT.")] = None
    content: Annotated[Attachment | None, PHI, says("What it says, where it is a file, OBX-5 of ED, RP.")] = (
        None
    )
    confidentiality: Annotated[Text | None, PHI, says("How to be careful, code as sent, TXA-18.")] = None
    replaces: Annotated[
        Ref | None,
        PHI,
        says("The key of the document that it replaces, TXA-13, FHIR DocumentReference.relatesTo."),
    ] = None
