"""What several records are made of: names, codes, amounts, times. After FHIR R4 and HL7 v2."""

from __future__ import annotations

from typing import Annotated, Literal

from bridge.canonical.base import (
    FIN,
    PHI,
    PII,
    PUB,
    Amount,
    Currency,
    Date,
    DateOrDateTime,
    DateTime,
    Decimal,
    Part,
    Ref,
    Text,
    says,
)

Comparator = Literal["<", "<=", ">=", ">"]
NameUse = Literal["official", "usual", "maiden", "nickname", "alias", "temporary"]
ContactUse = Literal["home", "work", "mobile", "temporary", "old"]
ContactSystem = Literal["phone", "fax", "email", "pager", "url", "sms", "other"]
Precision = Literal["year", "month", "day", "minute", "second", "fraction"]


class Identifier(Part):
    """One number that somebody or something is known by, and who gave it."""

    system: Annotated[
        Text | None, PUB, says("Who gave the number: an assigning authority, CX.4, FHIR Identifier.system.")
    ] = None
    value: Annotated[Text, PUB, says("The number itself, CX.1, X12 REF02.")]
    type: Annotated[Text | None, PUB, says("What it is, HL7 table 0203: MR, SS, DL, NPI.")] = None
    assigner: Annotated[
        Text | None, PUB, says("The facility that gave it, CX.6, FHIR Identifier.assigner.")
    ] = None
    start: Annotated[Date | None, PUB, says("From when it counts, CX.7.")] = None
    end: Annotated[Date | None, PUB, says("Until when, CX.8.")] = None


class Name(Part):
    """One name of a person, XPN, FHIR HumanName."""

    use: Annotated[NameUse | None, PUB, says("What it is used for, XPN.7.")] = None
    family: Annotated[Text | None, PII, says("Family name, XPN.1.")] = None
    given: Annotated[Text | None, PII, says("Given name, XPN.2.")] = None
    middle: Annotated[Text | None, PII, says("Further given names or initials, XPN.3.")] = None
    suffix: Annotated[Text | None, PII, says("JR, III, XPN.4.")] = None
    prefix: Annotated[Text | None, PII, says("DR, MRS, XPN.5.")] = None
    text: Annotated[Text | None, PII, says("The whole name as it is written, FHIR HumanName.text.")] = None


class Address(Part):
    """One postal address, XAD, FHIR Address."""

    use: Annotated[Text | None, PUB, says("What it is used for, code as sent, XAD.7.")] = None
    line1: Annotated[Text | None, PUB, says("Street address, XAD.1, X12 N301.")] = None
    line2: Annotated[Text | None, PUB, says("Second line, XAD.2, X12 N302.")] = None
    city: Annotated[Text | None, PUB, says("City, XAD.3, X12 N401.")] = None
    state: Annotated[Text | None, PUB, says("State or province, XAD.4, X12 N402.")] = None
    postal_code: Annotated[Text | None, PUB, says("Postal code, XAD.5, X12 N403.")] = None
    country: Annotated[Text | None, PUB, says("Country, XAD.6, X12 N404.")] = None
    county: Annotated[Text | None, PUB, says("County or parish, XAD.9.")] = None
    start: Annotated[Date | None, PUB, says("From when, XAD.13.")] = None
    end: Annotated[Date | None, PUB, says("Until when, XAD.14.")] = None


class Contact(Part):
    """One way to reach somebody, XTN, FHIR ContactPoint."""

    system: Annotated[ContactSystem | None, PUB, says("The kind of it, XTN.3.")] = None
    value: Annotated[Text, PUB, says("Number or address, digits where a number is known, XTN.1, XTN.12.")]
    use: Annotated[ContactUse | None, PUB, says("What it is used for, XTN.2.")] = None
    sent: Annotated[Text | None, PUB, says("As it was sent, where it was changed, XTN.")] = None


class Code(Part):
    """One coded value, with what the sender wrote, CWE, FHIR CodeableConcept."""

    system: Annotated[Text | None, PUB, says("Whose code it is, CWE.3, FHIR Coding.system.")] = None
    code: Annotated[Text, PUB, says("The code, CWE.1.")]
    display: Annotated[Text | None, PUB, says("What it means, CWE.2.")] = None
    sent_system: Annotated[
        Text | None, PUB, says("The sender's own system, where the code was translated, CWE.6.")
    ] = None
    sent_code: Annotated[Text | None, PUB, says("The sender's own code, CWE.4.")] = None
    sent_text: Annotated[Text | None, PUB, says("What the sender wrote beside it, CWE.5, CWE.9.")] = None
    mapped_by: Annotated[Text | None, PUB, says("The table that translated it, FHIR ConceptMap.")] = None


class Money(Part):
    """One amount, MO, FHIR Money."""

    amount: Annotated[Amount, FIN, says("The amount, MO.1.")]
    currency: Annotated[Currency, PUB, says("Its currency of ISO 4217, MO.2.")]


class Quantity(Part):
    """One measured number, CQ, FHIR Quantity."""

    value: Annotated[Decimal, PUB, says("The number, CQ.1, SN.2.")]
    comparator: Annotated[Comparator | None, PUB, says("How the number stands to the value, SN.1.")] = None
    unit: Annotated[Text | None, PUB, says("Unit as sent, CQ.2.")] = None
    ucum: Annotated[Text | None, PUB, says("Unit in UCUM, FHIR Quantity.code.")] = None


class Period(Part):
    """From when until when, DR, FHIR Period."""

    start: Annotated[DateOrDateTime | None, PUB, says("From when, DR.1.")] = None
    end: Annotated[DateOrDateTime | None, PUB, says("Until when, DR.2.")] = None


class Instant(Part):
    """A moment, with what is known of how exact it is, DTM, FHIR instant."""

    at: Annotated[DateTime, PUB, says("The moment, with its offset, DTM.")]
    zone_assumed: Annotated[bool | None, PUB, says("The sender gave no offset and one was assumed, DTM.")] = (
        None
    )
    precision: Annotated[Precision | None, PUB, says("What the sender wrote down to, DTM.")] = None


class Reference(Part):
    """Another record, FHIR Reference."""

    record: Annotated[Text, PUB, says("The kind of record, FHIR Reference.type.")]
    key: Annotated[Ref, PUB, says("Its key, FHIR Reference.reference.")]


class Attachment(Part):
    """A document beside a record: kept by its digest, never inside, ED, RP, FHIR Attachment."""

    digest: Annotated[Text, PUB, says("SHA-256 of its bytes, in hexadecimal digits, FHIR Attachment.hash.")]
    media_type: Annotated[Text | None, PUB, says("What it is, ED.2, ED.3, FHIR Attachment.contentType.")] = (
        None
    )
    title: Annotated[Text | None, PHI, says("What it is called, FHIR Attachment.title.")] = None
    size_bytes: Annotated[Decimal | None, PUB, says("How large it is, FHIR Attachment.size.")] = None
    url: Annotated[Text | None, PHI, says("Where the sender keeps it, RP.1.")] = None


class Person(Part):
    """Somebody in a part: who ordered, performed, attended, XCN, X12 NM1."""

    role: Annotated[Text | None, PUB, says("What as, PRT-4, X12 NM101, FHIR Encounter.participant.type.")] = (
        None
    )
    npi: Annotated[
        Text | None, PII, says("National provider identifier, XCN.1 where XCN.13 is NPI, X12 NM109.")
    ] = None
    id: Annotated[Text | None, PII, says("Another number, XCN.1.")] = None
    id_system: Annotated[Text | None, PUB, says("Who gave that number, XCN.9.")] = None
    family: Annotated[Text | None, PII, says("Family name or organisation, XCN.2, X12 NM103.")] = None
    given: Annotated[Text | None, PII, says("Given name, XCN.3, X12 NM104.")] = None
    provider: Annotated[Ref | None, PII, says("The key of a provider, FHIR Reference.")] = None


class Item(Part):
    """One thing that is bought, kept or used, by its numbers, GS1 GTIN, UBL Item."""

    gtin: Annotated[Text | None, PUB, says("Global trade item number, GS1 AI 01, X12 LIN03.")] = None
    udi_di: Annotated[
        Text | None, PUB, says("Device identifier of a UDI, GS1 AI 01, FHIR Device.udiCarrier.")
    ] = None
    vendor_number: Annotated[
        Text | None, PUB, says("The supplier's number, X12 PO107, UBL SellersItemIdentification.")
    ] = None
    manufacturer_number: Annotated[
        Text | None, PUB, says("The maker's number, X12 PO109, UBL ManufacturersItemIdentification.")
    ] = None
    internal_number: Annotated[
        Text | None, PUB, says("The site's own number, UBL BuyersItemIdentification, HL7 ITM-1.")
    ] = None
    description: Annotated[Text | None, PUB, says("What it is called, X12 PID05, UBL Item.Description.")] = (
        None
    )
