"""A patient: who somebody is, as the feeding systems know it. After FHIR R4 Patient and HL7 v2 PID."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import (
    PHI,
    CanonicalRecord,
    Date,
    DateOrDateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Address, Code, Contact, Identifier, Name

Sex = Literal["female", "male", "other", "unknown"]


class Relative(Part):
    """Somebody beside the patient: next of kin, guardian, contact. NK1, FHIR RelatedPerson."""

    relationship: Annotated[Text | None, PHI, says("Who they are to the patient, NK1-3.")] = None
    family: Annotated[Text | None, PHI, says("Family name, NK1-2.1.")] = None
    given: Annotated[Text | None, PHI, says("Given name, NK1-2.2.")] = None
    phone: Annotated[Text | None, PHI, says("Telephone, NK1-5.")] = None
    address: Annotated[Address | None, PHI, says("Where they live, NK1-4.")] = None
    role: Annotated[Text | None, PHI, says("What they are asked for, NK1-7.")] = None


class Patient(CanonicalRecord):
    """One person under care, keyed by a number of a known type and assigning authority."""

    identity: ClassVar[str] = "assigning authority and number of a known type"
    after: ClassVar[tuple[str, ...]] = ("FHIR R4 Patient", "US Core Patient", "HL7 v2 PID, PD1, MRG, NK1")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:1",
            "identifiers": [{"system": "NORTH", "value": "1", "type": "MR"}],
            "family": "Marlow",
            "birth_date": "1980-02-29",
            "sex": "female",
        }
    )

    identifiers: Annotated[
        Many[Identifier], PHI, Field(min_length=1), says("All numbers, PID-3 and its like.")
    ]
    family: Annotated[Text | None, PHI, says("Family name, PID-5.1.")] = None
    given: Annotated[Text | None, PHI, says("Given name, PID-5.2.")] = None
    middle: Annotated[Text | None, PHI, says("Further given names or initials, PID-5.3.")] = None
    suffix: Annotated[Text | None, PHI, says("JR, III, PID-5.4.")] = None
    prefix: Annotated[Text | None, PHI, says("DR, MRS, PID-5.5.")] = None
    birth_date: Annotated[Date | None, PHI, says("With the precision that was sent, PID-7.")] = None
    sex: Annotated[Sex | None, PHI, says("Administrative sex, PID-8.")] = None
    race: Annotated[Many[Text] | None, PHI, says("Codes as sent, PID-10.")] = None
    ethnicity: Annotated[Text | None, PHI, says("Code as sent, PID-22.")] = None
    phone: Annotated[Text | None, PHI, says("Home telephone, PID-13.")] = None
    work_phone: Annotated[Text | None, PHI, says("Business telephone, PID-14.")] = None
    email: Annotated[Text | None, PHI, says("Electronic mail address, PID-13.4.")] = None
    line1: Annotated[Text | None, PHI, says("Street address, PID-11.1.")] = None
    line2: Annotated[Text | None, PHI, says("Second line of the address, PID-11.2.")] = None
    city: Annotated[Text | None, PHI, says("PID-11.3.")] = None
    state: Annotated[Text | None, PHI, says("State or province, PID-11.4.")] = None
    postal_code: Annotated[Text | None, PHI, says("PID-11.5.")] = None
    country: Annotated[Text | None, PHI, says("PID-11.6.")] = None
    language: Annotated[Text | None, PHI, says("Primary language, code as sent, PID-15.")] = None
    marital_status: Annotated[Text | None, PHI, says("Code as sent, PID-16.")] = None
    religion: Annotated[Text | None, PHI, says("Code as sent, PID-17.")] = None
    account_number: Annotated[
        Text | None, PHI, says("The account that charges go to, PID-18; not the visit number.")
    ] = None
    mother_maiden_name: Annotated[Text | None, PHI, says("PID-6.")] = None
    multiple_birth: Annotated[bool | None, PHI, says("PID-24.")] = None
    deceased: Annotated[bool | None, PHI, says("PID-30.")] = None
    deceased_at: Annotated[DateOrDateTime | None, PHI, says("A day or an instant, PID-29.")] = None
    confidentiality: Annotated[Text | None, PHI, says("How to be careful, PV1-16, PD1-12.")] = None
    replaces: Annotated[
        Ref | None, PHI, says("In a merge: the key of the record that ends in this one, MRG-1.")
    ] = None
    replaced_by: Annotated[
        Ref | None, PHI, says("The key of the record that this one ended in, FHIR Patient.link.")
    ] = None
    linked: Annotated[
        Many[Ref] | None,
        PHI,
        says("Keys of other records of the same person that stay apart, ADT^A24, FHIR Patient.link."),
    ] = None
    unlinked: Annotated[
        Many[Ref] | None, PHI, says("Keys of records that were linked before, ADT^A37, FHIR Patient.link.")
    ] = None
    gender_identity: Annotated[Text | None, PHI, says("As told, code as sent, US Core genderIdentity.")] = (
        None
    )
    birth_order: Annotated[Decimal | None, PHI, says("Which of several, PID-25.")] = None
    citizenship: Annotated[Text | None, PHI, says("Code as sent, PID-26.")] = None
    active: Annotated[bool | None, PHI, says("Whether the record is in use, FHIR Patient.active.")] = None
    primary_provider: Annotated[
        Ref | None, PHI, says("The key of a provider, PD1-4, FHIR Patient.generalPractitioner.")
    ] = None
    managing_organization: Annotated[
        Ref | None, PHI, says("The key of an organization, PD1-3, FHIR Patient.managingOrganization.")
    ] = None
    guarantor: Annotated[Ref | None, PHI, says("The key of an account's guarantor, GT1-2.")] = None
    account_numbers: Annotated[Many[Text] | None, PHI, says("All accounts, PID-18, MRG-3.")] = None
    names: Annotated[Many[Name] | None, PHI, says("All names, PID-5, PID-9.")] = None
    addresses: Annotated[Many[Address] | None, PHI, says("All addresses, PID-11.")] = None
    contacts: Annotated[
        Many[Contact] | None, PHI, says("All ways to reach them, PID-13, PID-14, PID-40.")
    ] = None
    races: Annotated[Many[Code] | None, PHI, says("With what was sent, PID-10, US Core race.")] = None
    relatives: Annotated[Many[Relative] | None, PHI, says("Next of kin and others, NK1.")] = None
