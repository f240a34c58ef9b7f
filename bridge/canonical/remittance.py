"""A remittance: what a payer paid, and why not more. After X12 835 (005010X221A1) and FHIR R4."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as Number
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from bridge.canonical.base import (
    FIN,
    MODIFIERS_MAX_COUNT,
    PCI,
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

_OF_A_LINE: Final = ("charged", "paid", "adjustments.amount")
_OF_A_CLAIM: Final = (*_OF_A_LINE, "lines.adjustments.amount")
_OF_ALL: Final = ("payment", "claims.paid", "provider_adjustments.amount")
AdjustmentGroup = Literal["CO", "CR", "OA", "PI", "PR"]
PaymentMethod = Literal["ach", "check", "wire", "card", "none", "other"]
RemittedStatus = Literal[
    "primary",
    "secondary",
    "tertiary",
    "denied",
    "primary-forwarded",
    "secondary-forwarded",
    "tertiary-forwarded",
    "reversal",
    "not-our-claim",
    "predetermination",
    "other",
]


class Adjustment(Part):
    """Why something was not paid, X12 CAS."""

    group: Annotated[AdjustmentGroup, FIN, says("Who bears it: CO, CR, OA, PI, PR, X12 CAS01.")]
    reason: Annotated[Text, FIN, says("Claim adjustment reason code (CARC), X12 CAS02.")]
    amount: Annotated[Amount, FIN, says("How much, X12 CAS03.")]
    quantity: Annotated[Decimal | None, FIN, says("How many units, X12 CAS04.")] = None


class ProviderAdjustment(Part):
    """What is taken or given beside the claims, X12 PLB."""

    reason: Annotated[Text, FIN, says("Why, X12 PLB03-1.")]
    amount: Annotated[Amount, FIN, says("How much: a positive one lowers the payment, X12 PLB04.")]
    reference: Annotated[Text | None, FIN, says("What it refers to, X12 PLB03-2.")] = None
    provider: Annotated[Text | None, PII, says("Whose it is, X12 PLB01.")] = None
    year_end: Annotated[Date | None, FIN, says("End of their fiscal year, X12 PLB02.")] = None


class RemittedLine(Part):
    """One service, X12 loop 2110."""

    procedure: Annotated[Text | None, PHI, says("What was done, X12 SVC01-2.")] = None
    qualifier: Annotated[Text | None, PUB, says("Whose code it is, X12 SVC01-1.")] = None
    modifiers: Annotated[
        Many[Text] | None,
        PHI,
        Field(max_length=MODIFIERS_MAX_COUNT),
        says("At most four, X12 SVC01-3 to SVC01-6."),
    ] = None
    charged: Annotated[Amount, FIN, says("What was asked for, X12 SVC02.")]
    paid: Annotated[Amount, FIN, says("What was paid, X12 SVC03.")]
    allowed: Annotated[Amount | None, FIN, says("What was allowed, X12 AMT02 with B6.")] = None
    units: Annotated[Decimal | None, PHI, says("How often, X12 SVC05.")] = None
    date: Annotated[DateOrDateTime | None, PHI, says("When it was done, X12 DTM02 with 472.")] = None
    line_control_number: Annotated[Text | None, PHI, says("The provider's number, X12 REF02 with 6R.")] = None
    adjustments: Annotated[Many[Adjustment] | None, FIN, says("Why not more, X12 CAS.")] = None
    remarks: Annotated[Many[Text] | None, FIN, says("Remark codes (RARC), X12 LQ02.")] = None


class RemittedClaim(Part):
    """One claim, X12 loop 2100."""

    patient_control_number: Annotated[Text, PHI, says("The provider's number, X12 CLP01.")]
    status: Annotated[RemittedStatus, PHI, says("How it was processed, X12 CLP02.")]
    charged: Annotated[Amount, FIN, says("What was asked for, X12 CLP03.")]
    paid: Annotated[Amount, FIN, says("What was paid, X12 CLP04.")]
    patient_responsibility: Annotated[Amount | None, FIN, says("What the patient pays, X12 CLP05.")] = None
    payer_claim_number: Annotated[Text | None, PHI, says("The payer's number, X12 CLP07.")] = None
    filing_indicator: Annotated[Text | None, FIN, says("Kind of plan, X12 CLP06.")] = None
    patient_family: Annotated[Text | None, PHI, says("Family name of the patient, X12 NM103 with QC.")] = None
    patient_given: Annotated[Text | None, PHI, says("Given name of the patient, X12 NM104 with QC.")] = None
    member_id: Annotated[Text | None, PHI, says("Number of the member, X12 NM109 with QC.")] = None
    claim: Annotated[Ref | None, PHI, says("The key of a claim, FHIR ExplanationOfBenefit.claim.")] = None
    adjustments: Annotated[
        Many[Adjustment] | None, FIN, says("Why not more, of the claim as a whole, X12 CAS.")
    ] = None
    remarks: Annotated[Many[Text] | None, FIN, says("Remark codes (RARC), X12 MIA05, MOA03.")] = None
    lines: Annotated[Many[RemittedLine] | None, PHI, says("What for, X12 loop 2110.")] = None


class Remittance(CanonicalRecord):
    """One payment of a payer, with every claim that it is for. It balances, as X12 835 asks (1.10.2).

    What was paid for the claims less what was taken beside them is the payment. Of each claim and line, what
    was asked for less its adjustments is what was paid.
    """

    identity: ClassVar[str] = "payer and trace_number"
    after: ClassVar[tuple[str, ...]] = (
        "X12 835 005010X221A1",
        "FHIR R4 PaymentReconciliation",
        "FHIR R4 ExplanationOfBenefit",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "PAYER1:TRN-1",
            "trace_number": "TRN-1",
            "payer": "PAYER1",
            "payee": "NPI:1992000008",
            "payment": "230.00",
            "currency": "USD",
            "payment_date": "2026-03-10",
            "method": "ach",
            "provider_adjustments": [{"reason": "WO", "amount": "20.00"}],
            "claims": [
                {
                    "patient_control_number": "PCN-1",
                    "status": "primary",
                    "charged": "300.00",
                    "paid": "250.00",
                    "patient_responsibility": "20.00",
                    "lines": [
                        {
                            "procedure": "99213",
                            "charged": "300.00",
                            "paid": "250.00",
                            "adjustments": [
                                {"group": "CO", "reason": "45", "amount": "30.00"},
                                {"group": "PR", "reason": "2", "amount": "20.00"},
                            ],
                        }
                    ],
                }
            ],
        }
    )

    trace_number: Annotated[Text, FIN, says("What the payment is known by, X12 TRN02.")]
    payer: Annotated[Ref, FIN, says("Who pays: the key of an organization, X12 N104 with PR, TRN03.")]
    payee: Annotated[Ref, FIN, says("Who is paid: the key of a provider or organization, X12 N104 with PE.")]
    payment: Annotated[Amount, FIN, says("What was paid in all, X12 BPR02.")]
    payment_date: Annotated[Date, FIN, says("When, X12 BPR16.")]
    method: Annotated[PaymentMethod, FIN, says("How, X12 BPR04.")]
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217, X12 CUR02.")] = None
    payer_name: Annotated[Text | None, FIN, says("What the payer is called, X12 N102 with PR.")] = None
    payee_name: Annotated[Text | None, FIN, says("What the payee is called, X12 N102 with PE.")] = None
    payee_account: Annotated[
        Text | None, PCI, says("Where it was paid to, with all but the last digits masked, X12 BPR15.")
    ] = None
    claims: Annotated[Many[RemittedClaim] | None, PHI, says("What for, X12 loop 2100.")] = None
    provider_adjustments: Annotated[
        Many[ProviderAdjustment] | None, FIN, says("What is beside the claims, X12 PLB.")
    ] = None
    produced_on: Annotated[Date | None, FIN, says("When it was made, X12 DTM02 with 405.")] = None

    @model_validator(mode="after")
    def _balances(self) -> Self:
        words = "charged less adjustments is not paid"
        for at, claim in enumerate(self.claims or ()):
            taken = [*(claim.adjustments or ())]
            for line_at, line in enumerate(claim.lines or ()):
                if Number(line.charged) - _sum(line.adjustments) != Number(line.paid):
                    place = ("claims", at, "lines", line_at)
                    raise broken("line_does_not_balance", words, place, _OF_A_LINE)
                taken += line.adjustments or ()
            if Number(claim.charged) - _sum(tuple(taken)) != Number(claim.paid):
                raise broken("claim_does_not_balance", words, ("claims", at), _OF_A_CLAIM)
        if self.claims is not None or self.provider_adjustments is not None:
            paid = sum(Number(claim.paid) for claim in self.claims or ())
            if paid - _sum(self.provider_adjustments) != Number(self.payment):
                raise broken("does_not_balance", "claims less adjustments are not the payment", (), _OF_ALL)
        return self


def _sum(adjustments: tuple[Adjustment | ProviderAdjustment, ...] | None) -> Number:
    return sum((Number(each.amount) for each in adjustments or ()), Number(0))
