"""A claim: what is asked of a payer. After X12 837 (005010X222A1, X223A2, X224A2) and FHIR R4 Claim."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as Number
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bridge.canonical.base import (
    FIN,
    MODIFIERS_MAX_COUNT,
    PHI,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    DateOrDateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    broken,
    says,
)
from bridge.canonical.values import Attachment

ClaimType = Literal["professional", "institutional", "dental"]


class Procedure(Part):
    """What was done, X12 SV101, SV202, SV301."""

    qualifier: Annotated[Text | None, PUB, says("Whose code it is, X12 SV101-1.")] = None
    code: Annotated[Text, PHI, says("The code, X12 SV101-2.")]
    modifiers: Annotated[
        Many[Text] | None,
        PHI,
        Field(max_length=MODIFIERS_MAX_COUNT),
        says("At most four, X12 SV101-3 to SV101-6."),
    ] = None
    date: Annotated[Date | None, PHI, says("When, X12 HI01-4.")] = None


class Diagnosis(Part):
    """One diagnosis, X12 HI, UB-04 FL 66, 67, CMS-1500 21."""

    code: Annotated[Text, PHI, says("The code, X12 HI01-2.")]
    qualifier: Annotated[
        Text | None, PUB, says("Principal, admitting, other, and whose code: ABK, ABF, X12 HI01-1.")
    ] = None
    present_on_admission: Annotated[Text | None, PHI, says("Y, N, U or W, X12 HI01-9.")] = None


class ClaimCode(Part):
    """A value, condition or occurrence code, X12 HI, UB-04 FL 18-41."""

    kind: Annotated[Text, PUB, says("Value, condition or occurrence: BE, BG, BH, X12 HI01-1.")]
    code: Annotated[Text, PHI, says("The code, X12 HI01-2.")]
    amount: Annotated[Amount | None, FIN, says("Of a value code, X12 HI01-5.")] = None
    date: Annotated[Date | None, PHI, says("Of an occurrence code, X12 HI01-4.")] = None


class OtherPayer(Part):
    """Another payer that was asked before, X12 loop 2320."""

    payer: Annotated[Ref, PHI, says("The key of an organization, X12 loop 2330B NM109.")]
    paid: Annotated[Amount | None, FIN, says("What it paid, X12 AMT02.")] = None
    order: Annotated[Text | None, PUB, says("Primary, secondary, tertiary, X12 SBR01.")] = None


class Tooth(Part):
    """A tooth that a service was done at, X12 TOO."""

    number: Annotated[Text, PHI, says("Which one, as dentists of the US count, X12 TOO02 with JP.")]
    surfaces: Annotated[Many[Text] | None, PHI, says("Which sides of it: M, O, D, B, X12 TOO03.")] = None


class ClaimLine(Part):
    """One service, X12 loop 2400, UB-04 FL 42-47, CMS-1500 24."""

    number: Annotated[Decimal, PUB, says("Its number, X12 LX01.")]
    procedure: Annotated[Procedure | None, PHI, says("What was done, X12 SV101, SV202.")] = None
    revenue_code: Annotated[Text | None, FIN, says("Revenue code, X12 SV201, UB-04 FL 42.")] = None
    charge: Annotated[Amount, FIN, says("What it costs, X12 SV102, SV203.")]
    units: Annotated[Decimal | None, PHI, says("How often, X12 SV104, SV205.")] = None
    start: Annotated[DateOrDateTime | None, PHI, says("From when, X12 DTP03 with 472.")] = None
    end: Annotated[DateOrDateTime | None, PHI, says("Until when, X12 DTP03 with 472.")] = None
    pointers: Annotated[Many[Text] | None, PHI, says("Which diagnoses it is for, X12 SV107.")] = None
    ndc: Annotated[Text | None, PHI, says("National drug code, X12 LIN03.")] = None
    place_of_service: Annotated[Text | None, PHI, says("Where, X12 SV105.")] = None
    teeth: Annotated[Many[Tooth] | None, PHI, says("At which teeth, X12 TOO.")] = None


class Claim(CanonicalRecord):
    """One claim. What its lines cost is what the claim costs."""

    identity: ClassVar[str] = "billing_provider, patient_control_number and claim_frequency"
    after: ClassVar[tuple[str, ...]] = (
        "X12 837P 005010X222A1",
        "X12 837I 005010X223A2",
        "X12 837D 005010X224A2",
        "FHIR R4 Claim",
        "UB-04",
        "CMS-1500",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NPI:1992000008:PCN-1:1",
            "type": "professional",
            "patient_control_number": "PCN-1",
            "billing_provider": "NPI:1992000008",
            "payer": "PAYER1",
            "subscriber": "PAYER1:M-77",
            "total": "300.00",
            "currency": "USD",
            "lines": [
                {"number": "1", "procedure": {"qualifier": "HC", "code": "99213"}, "charge": "120.00"},
                {"number": "2", "charge": "180.00"},
            ],
        }
    )

    type: Annotated[ClaimType, PHI, says("Professional, institutional or dental, X12 ST03.")]
    patient_control_number: Annotated[
        Text, PHI, says("The provider's number for it, X12 CLM01, UB-04 FL 3a.")
    ]
    billing_provider: Annotated[
        Ref, PII, says("Who asks: the key of a provider or organization, X12 loop 2010AA NM109.")
    ]
    payer: Annotated[Ref, PHI, says("Who is asked: the key of an organization, X12 loop 2010BB NM109.")]
    subscriber: Annotated[Ref, PHI, says("The key of a coverage, X12 loop 2010BA NM109.")]
    total: Annotated[Amount, FIN, says("What is asked for, X12 CLM02, UB-04 FL 47.")]
    lines: Annotated[Many[ClaimLine], PHI, Field(min_length=1), says("What for, X12 loop 2400.")]
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217.")] = None
    patient: Annotated[Ref | None, PHI, says("The key of a patient, X12 loop 2010CA.")] = None
    account: Annotated[Ref | None, PHI, says("The key of an account, X12 CLM01.")] = None
    encounter: Annotated[Ref | None, PHI, says("The key of an encounter, FHIR Claim.item.encounter.")] = None
    claim_frequency: Annotated[Text | None, PHI, says("Original, corrected, void: 1, 7, 8, X12 CLM05-3.")] = (
        None
    )
    original_claim_number: Annotated[
        Text | None, PHI, says("The payer's number of the claim that this replaces, X12 REF02 with F8.")
    ] = None
    type_of_bill: Annotated[Text | None, PHI, says("Type of bill, X12 CLM05, UB-04 FL 4.")] = None
    place_of_service: Annotated[Text | None, PHI, says("Where, X12 CLM05-1, CMS-1500 24B.")] = None
    rendering_npi: Annotated[Text | None, PII, says("Who treated, X12 loop 2310B NM109.")] = None
    referring_npi: Annotated[Text | None, PII, says("Who referred, X12 loop 2310A NM109.")] = None
    facility: Annotated[Ref | None, PII, says("The key of an organization, X12 loop 2310C.")] = None
    admitted_at: Annotated[
        DateOrDateTime | None, PHI, says("Admission, X12 DTP03 with 435, UB-04 FL 12.")
    ] = None
    discharged_at: Annotated[DateOrDateTime | None, PHI, says("Discharge, X12 DTP03 with 096.")] = None
    statement_start: Annotated[
        Date | None, PHI, says("From when the bill is, X12 DTP03 with 434, UB-04 FL 6.")
    ] = None
    statement_end: Annotated[Date | None, PHI, says("Until when, X12 DTP03 with 434, UB-04 FL 6.")] = None
    diagnoses: Annotated[Many[Diagnosis] | None, PHI, says("What for, X12 HI.")] = None
    procedures: Annotated[
        Many[Procedure] | None, PHI, says("What was done in the stay, X12 HI with BBR and BBQ, UB-04 FL 74.")
    ] = None
    codes: Annotated[
        Many[ClaimCode] | None, PHI, says("Value, condition and occurrence codes, X12 HI, UB-04 FL 18-41.")
    ] = None
    prior_authorization: Annotated[
        Text | None, PHI, says("Number of an authorization, X12 REF02 with G1.")
    ] = None
    accident_date: Annotated[Date | None, PHI, says("When an accident was, X12 DTP03 with 439.")] = None
    other_payers: Annotated[Many[OtherPayer] | None, PHI, says("Who else was asked, X12 loop 2320.")] = None
    attachments: Annotated[Many[Attachment] | None, PHI, says("What goes with it, X12 PWK.")] = None

    @model_validator(mode="after")
    def _lines_are_the_total(self) -> Self:
        if sum(Number(line.charge) for line in self.lines) != Number(self.total):
            words = "the charges of the lines are not the total"
            raise broken("lines_are_not_total", words, (), ("total", "lines.charge"))
        return self
