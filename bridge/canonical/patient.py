"""A patient: who somebody is, as the feeding systems know it. After FHIR R4 Patient and HL7 v2 PID."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bridge.canonical.base import (
    LIST_MAX_ITEMS,
    PHI,
    PUB,
    CanonicalRecord,
    Date,
    DateOrDateTime,
    Part,
    Ref,
    Text,
)

Sex = Literal["female", "male", "other", "unknown"]


class Identifier(Part):
    """One number that somebody is known by, and who gave it."""

    system: Annotated[Text | None, PUB, Field(description="Who gave the number: an assigning authority.")] = (
        None
    )
    value: Annotated[Text, PHI, Field(description="The number itself.")]
    type: Annotated[Text | None, PUB, Field(description="What it is, HL7 table 0203: MR, SS, DL.")] = None


class Patient(CanonicalRecord):
    """One person under care, keyed by a number of a known type and assigning authority."""

    identifiers: Annotated[
        tuple[Identifier, ...],
        PHI,
        Field(min_length=1, max_length=LIST_MAX_ITEMS, description="All numbers, PID-3 and its like."),
    ]
    family: Annotated[Text | None, PHI, Field(description="Family name, PID-5.1.")] = None
    given: Annotated[Text | None, PHI, Field(description="Given name, PID-5.2.")] = None
    middle: Annotated[Text | None, PHI, Field(description="Further given names or initials, PID-5.3.")] = None
    suffix: Annotated[Text | None, PHI, Field(description="JR, III, PID-5.4.")] = None
    prefix: Annotated[Text | None, PHI, Field(description="DR, MRS, PID-5.5.")] = None
    birth_date: Annotated[Date | None, PHI, Field(description="With the precision that was sent, PID-7.")] = (
        None
    )
    sex: Annotated[Sex | None, PHI, Field(description="Administrative sex, PID-8.")] = None
    race: Annotated[
        tuple[Text, ...] | None, PHI, Field(max_length=LIST_MAX_ITEMS, description="Codes as sent, PID-10.")
    ] = None
    ethnicity: Annotated[Text | None, PHI, Field(description="Code as sent, PID-22.")] = None
    phone: Annotated[Text | None, PHI, Field(description="Home telephone, PID-13.")] = None
    work_phone: Annotated[Text | None, PHI, Field(description="Business telephone, PID-14.")] = None
    email: Annotated[Text | None, PHI, Field(description="Electronic mail address, PID-13.4.")] = None
    line1: Annotated[Text | None, PHI, Field(description="Street address, PID-11.1.")] = None
    line2: Annotated[Text | None, PHI, Field(description="Second line of the address, PID-11.2.")] = None
    city: Annotated[Text | None, PHI, Field(description="PID-11.3.")] = None
    state: Annotated[Text | None, PHI, Field(description="State or province, PID-11.4.")] = None
    postal_code: Annotated[Text | None, PHI, Field(description="PID-11.5.")] = None
    country: Annotated[Text | None, PHI, Field(description="PID-11.6.")] = None
    language: Annotated[Text | None, PHI, Field(description="Primary language, code as sent, PID-15.")] = None
    marital_status: Annotated[Text | None, PHI, Field(description="Code as sent, PID-16.")] = None
    religion: Annotated[Text | None, PHI, Field(description="Code as sent, PID-17.")] = None
    account_number: Annotated[
        Text | None, PHI, Field(description="The account that charges go to, PID-18; not the visit number.")
    ] = None
    mother_maiden_name: Annotated[Text | None, PHI, Field(description="PID-6.")] = None
    multiple_birth: Annotated[bool | None, PHI, Field(description="PID-24.")] = None
    deceased: Annotated[bool | None, PHI, Field(description="PID-30.")] = None
    deceased_at: Annotated[DateOrDateTime | None, PHI, Field(description="A day or an instant, PID-29.")] = (
        None
    )
    confidentiality: Annotated[Text | None, PHI, Field(description="How to be careful, PV1-16, PD1-12.")] = (
        None
    )
    replaces: Annotated[
        Ref | None, PHI, Field(description="In a merge: the key of the record that ends in this one, MRG-1.")
    ] = None
    replaced_by: Annotated[
        Ref | None, PHI, Field(description="The key of the record that this one ended in.")
    ] = None
