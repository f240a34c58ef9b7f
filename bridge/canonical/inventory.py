"""Stock: what is there, and what was used. After GS1 (GTIN, UDI, lot), X12 846, 852, 867 and FHIR R4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    FIN,
    PHI,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    DateTime,
    Decimal,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Item

ConsumptionReason = Literal["use", "waste", "return", "transfer", "adjustment"]


class InventoryConsumption(CanonicalRecord):
    """Something that left the stock: used, wasted, returned or moved."""

    identity: ClassVar[str] = "the feeding system's transaction; else item, location, time, lot and serial"
    after: ClassVar[tuple[str, ...]] = (
        "GS1 UDI, GTIN, lot",
        "X12 852",
        "X12 867",
        "FHIR R4 SupplyDelivery",
        "FHIR R4 DeviceUseStatement",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:USE-1",
            "item": {"gtin": "00614141123452"},
            "quantity": "1",
            "unit": "EA",
            "consumed_at": "2026-03-04T11:00:00-06:00",
            "location": "NORTH:OR-2",
            "reason": "use",
            "patient": "NORTH:1",
            "lot": "L-9",
        }
    )

    item: Annotated[Item, PUB, says("What was used, GS1 GTIN, X12 LIN.")]
    quantity: Annotated[Decimal, FIN, says("How many, X12 QTY02, FHIR SupplyDelivery.suppliedItem.")]
    unit: Annotated[Text, PUB, says("What the quantity counts, X12 QTY03.")]
    consumed_at: Annotated[DateTime, FIN, says("When, X12 DTM02, FHIR SupplyDelivery.occurrence.")]
    location: Annotated[Ref, PUB, says("From where: the key of a location, GS1 AI 414.")]
    reason: Annotated[ConsumptionReason | None, FIN, says("Why it left, X12 QTY01.")] = None
    lot: Annotated[Text | None, PUB, says("Lot, GS1 AI 10.")] = None
    serial: Annotated[Text | None, PHI, says("Serial number, GS1 AI 21.")] = None
    expires: Annotated[Date | None, PUB, says("Until when it was good, GS1 AI 17.")] = None
    udi: Annotated[Text | None, PHI, says("The whole identifier as scanned, FHIR Device.udiCarrier.")] = None
    patient: Annotated[
        Ref | None,
        PHI,
        says("For whom, where it was implanted or charged: the key of a patient, FHIR Device.patient."),
    ] = None
    encounter: Annotated[Ref | None, PHI, says("The key of an encounter, FHIR DeviceUseStatement.")] = None
    procedure: Annotated[Text | None, PHI, says("In which procedure, FHIR DeviceUseStatement.")] = None
    charge: Annotated[Ref | None, FIN, says("The key of a charge, FHIR ChargeItem.")] = None
    cost: Annotated[Amount | None, FIN, says("What it cost, X12 CTP03.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the cost, ISO 4217.")] = None
    cost_center: Annotated[Ref | None, FIN, says("The key of a cost center, XBRL GL.")] = None
    on_hand_after: Annotated[Decimal | None, FIN, says("How many are left, X12 QTY02 with 17.")] = None
    used_by: Annotated[Text | None, PII, says("Who used it, FHIR DeviceUseStatement.source.")] = None


class InventoryBalance(CanonicalRecord):
    """How many of one item are in one place at one moment."""

    identity: ClassVar[str] = "item, location, lot and counted_at"
    after: ClassVar[tuple[str, ...]] = ("X12 846", "GS1 GTIN, lot")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:OR-2:00614141123452:2026-03-05",
            "item": {"gtin": "00614141123452"},
            "location": "NORTH:OR-2",
            "on_hand": "14",
            "unit": "EA",
            "counted_at": "2026-03-05T00:00:00-06:00",
        }
    )

    item: Annotated[Item, PUB, says("What, X12 LIN, GS1 GTIN.")]
    location: Annotated[Ref, PUB, says("Where: the key of a location, X12 N104, GS1 AI 414.")]
    on_hand: Annotated[Decimal, FIN, says("How many are there, X12 QTY02 with 33.")]
    unit: Annotated[Text, PUB, says("What the quantity counts, X12 QTY03.")]
    counted_at: Annotated[DateTime, FIN, says("When, X12 DTM02.")]
    reserved: Annotated[Decimal | None, FIN, says("How many are promised, X12 QTY02 with 77.")] = None
    on_order: Annotated[Decimal | None, FIN, says("How many are ordered, X12 QTY02 with 63.")] = None
    reorder_at: Annotated[Decimal | None, FIN, says("When to order, X12 QTY02.")] = None
    par_level: Annotated[Decimal | None, FIN, says("How many there should be, X12 QTY02.")] = None
    lot: Annotated[Text | None, PUB, says("Lot, GS1 AI 10.")] = None
    expires: Annotated[Date | None, PUB, says("Until when it is good, GS1 AI 17.")] = None
    unit_cost: Annotated[Amount | None, FIN, says("What one cost, X12 CTP03.")] = None
    currency: Annotated[Currency | None, PUB, says("Of the cost, ISO 4217.")] = None
