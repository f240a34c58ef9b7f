"""A charge: what a service costs on an account. After FHIR R4 ChargeItem, HL7 v2 FT1 and UB-04."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import (
    FIN,
    MODIFIERS_MAX_COUNT,
    PHI,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    DateOrDateTime,
    Decimal,
    Many,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Code

ChargeKind = Literal["charge", "credit", "adjustment"]


class Charge(CanonicalRecord):
    """One line on an account. A credit names what it reverses."""

    identity: ClassVar[str] = "transaction_id with the sending system; else account, date, code and line"
    after: ClassVar[tuple[str, ...]] = (
        "FHIR R4 ChargeItem",
        "HL7 v2 FT1 (DFT^P03)",
        "UB-04 FL 42-47",
        "CMS-1500 24A-J",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:T-4",
            "account": "NORTH:A-9",
            "service_date": "2026-03-04",
            "code": "71046",
            "quantity": "1",
            "kind": "charge",
            "patient": "NORTH:1",
            "amount": "180.00",
            "currency": "USD",
            "revenue_code": "0320",
        }
    )

    account: Annotated[Ref, PHI, says("The key of an account, PID-18, FHIR ChargeItem.account.")]
    service_date: Annotated[DateOrDateTime, PHI, says("When it was done, FT1-4, UB-04 FL 45, CMS-1500 24A.")]
    code: Annotated[Text, PHI, says("What was done, FT1-7, FT1-25, UB-04 FL 44, CMS-1500 24D.")]
    quantity: Annotated[Decimal, FIN, says("How often, FT1-10, UB-04 FL 46, CMS-1500 24G.")]
    kind: Annotated[ChargeKind, FIN, says("Charge, credit or adjustment, FT1-6.")]
    patient: Annotated[Ref | None, PHI, says("Of whom: the key of a patient, FHIR ChargeItem.subject.")] = (
        None
    )
    encounter: Annotated[
        Ref | None, PHI, says("The key of an encounter, PV1-19, FHIR ChargeItem.context.")
    ] = None
    code_system: Annotated[Text | None, PUB, says("Whose code it is: CPT, HCPCS, the site's, FT1-7.3.")] = (
        None
    )
    description: Annotated[Text | None, PHI, says("What the code means, FT1-8, FT1-7.2.")] = None
    amount: Annotated[Amount | None, FIN, says("What it costs in all, FT1-11, UB-04 FL 47.")] = None
    unit_price: Annotated[Amount | None, FIN, says("What one costs, FT1-12, UB-04 FL 44.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217.")] = None
    revenue_code: Annotated[Text | None, FIN, says("Revenue code, UB-04 FL 42, FT1-30.")] = None
    modifiers: Annotated[
        Many[Text] | None,
        PHI,
        Field(max_length=MODIFIERS_MAX_COUNT),
        says("At most four, FT1-26, CMS-1500 24D."),
    ] = None
    diagnoses: Annotated[Many[Code] | None, PHI, says("What for, FT1-19, CMS-1500 24E.")] = None
    units: Annotated[Text | None, FIN, says("What the quantity counts, X12 SV103.")] = None
    department: Annotated[Text | None, FIN, says("Who did it, FT1-13.")] = None
    cost_center: Annotated[Ref | None, FIN, says("The key of a cost center, XBRL GL.")] = None
    performer_npi: Annotated[Text | None, PII, says("Who did it, FT1-20.1, CMS-1500 24J.")] = None
    performer_family: Annotated[Text | None, PII, says("Their family name, FT1-20.2.")] = None
    orderer_npi: Annotated[Text | None, PII, says("Who ordered it, FT1-21.1.")] = None
    ndc: Annotated[Text | None, PHI, says("National drug code, FT1-29, X12 LIN03.")] = None
    udi: Annotated[Text | None, PHI, says("Identifier of a device, GS1 UDI, FHIR Device.udiCarrier.")] = None
    transaction_id: Annotated[Text | None, FIN, says("Its number, FT1-2.")] = None
    batch_id: Annotated[Text | None, FIN, says("Of which batch, FT1-3.")] = None
    posted_at: Annotated[DateOrDateTime | None, FIN, says("When it was put on the account, FT1-5.")] = None
    order: Annotated[Ref | None, PHI, says("The key of an order, FT1-23.")] = None
    reverses: Annotated[
        Ref | None, FIN, says("The key of the charge that this takes back, FHIR ChargeItem.partOf.")
    ] = None
