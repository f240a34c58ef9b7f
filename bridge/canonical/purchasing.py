"""Buying: orders, and goods that came. After X12 850, 855, 856, 861, EDIFACT ORDERS, UBL and GS1 XML."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import (
    FIN,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    DateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Item

PurchaseOrderStatus = Literal[
    "draft", "sent", "acknowledged", "changed", "partial", "received", "closed", "cancelled"
]
LineAcknowledgement = Literal["accepted", "changed", "backordered", "rejected", "substituted"]
GoodsCondition = Literal["good", "damaged", "short", "over", "wrong"]


class PurchaseOrderLine(Part):
    """One line, X12 PO1, UBL OrderLine."""

    number: Annotated[Text, PUB, says("Its number, X12 PO101, UBL LineItem.ID.")]
    item: Annotated[Item | None, PUB, says("What is bought, X12 PO107, UBL Item.")] = None
    quantity: Annotated[Decimal, FIN, says("How many, X12 PO102, UBL Quantity.")]
    unit: Annotated[Text | None, PUB, says("What the quantity counts, X12 PO103, UBL unitCode.")] = None
    price: Annotated[Amount | None, FIN, says("What one costs, X12 PO104, UBL PriceAmount.")] = None
    requested_date: Annotated[Date | None, FIN, says("When it is wanted, X12 DTM02 with 002.")] = None
    acknowledgement: Annotated[
        LineAcknowledgement | None, FIN, says("What the supplier said, X12 ACK01.")
    ] = None
    acknowledged_quantity: Annotated[Decimal | None, FIN, says("How many it will send, X12 ACK02.")] = None
    gl_account: Annotated[
        Ref | None, FIN, says("The key of an account of the ledger, UBL AccountingCost.")
    ] = None
    cost_center: Annotated[Ref | None, FIN, says("The key of a cost center, UBL AccountingCost.")] = None


class PurchaseOrder(CanonicalRecord):
    """One order to a supplier."""

    identity: ClassVar[str] = "buyer and number"
    after: ClassVar[tuple[str, ...]] = (
        "X12 850",
        "X12 855",
        "X12 860",
        "EDIFACT ORDERS",
        "UBL 2.1 Order",
        "GS1 XML",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:PO-1",
            "number": "PO-1",
            "supplier": "SUP-1",
            "order_date": "2026-02-01",
            "lines": [
                {
                    "number": "1",
                    "item": {"gtin": "00614141123452"},
                    "quantity": "10",
                    "unit": "BX",
                    "price": "9.50",
                }
            ],
            "currency": "USD",
        }
    )

    number: Annotated[Text, FIN, says("Its number, X12 BEG03, UBL Order.ID.")]
    supplier: Annotated[Ref, FIN, says("The key of a supplier, X12 N104, UBL SellerSupplierParty.")]
    order_date: Annotated[Date, FIN, says("Of when it is, X12 BEG05, UBL IssueDate.")]
    lines: Annotated[
        Many[PurchaseOrderLine], FIN, Field(min_length=1), says("What is bought, X12 PO1, UBL OrderLine.")
    ]
    currency: Annotated[Currency | None, PUB, says("Of the amounts, ISO 4217, X12 CUR02.")] = None
    buyer: Annotated[Ref | None, FIN, says("The key of an organization, UBL BuyerCustomerParty.")] = None
    ship_to: Annotated[Text | None, PUB, says("Where to, a GLN, X12 N104 with ST, GS1 AI 410.")] = None
    bill_to: Annotated[Text | None, PUB, says("Who pays, a GLN, X12 N104 with BT, GS1 AI 411.")] = None
    requested_date: Annotated[
        Date | None, FIN, says("When it is wanted, X12 DTM02 with 002, UBL RequestedDeliveryPeriod.")
    ] = None
    contract: Annotated[Text | None, FIN, says("Under which contract, X12 REF02 with CT, UBL Contract.")] = (
        None
    )
    status: Annotated[
        PurchaseOrderStatus | None, FIN, says("Where it is in its course, X12 BAK02, UBL OrderResponse.")
    ] = None
    change_number: Annotated[Text | None, FIN, says("Which change this is, X12 BCH04.")] = None
    total: Annotated[Amount | None, FIN, says("What it costs, X12 AMT02, UBL PayableAmount.")] = None
    notes: Annotated[Many[Text] | None, FIN, says("What was written beside it, X12 MSG01, UBL Note.")] = None


class ReceivedLine(Part):
    """One line of what came, X12 RCD, UBL ReceiptLine."""

    number: Annotated[Text, PUB, says("Its number, X12 RCD01, UBL ReceiptLine.ID.")]
    item: Annotated[Item | None, PUB, says("What came, X12 LIN, UBL Item.")] = None
    quantity: Annotated[Decimal, FIN, says("How many, X12 RCD02, UBL ReceivedQuantity.")]
    unit: Annotated[Text | None, PUB, says("What the quantity counts, X12 RCD03.")] = None
    purchase_order_line: Annotated[
        Text | None, FIN, says("What it was ordered with, UBL OrderLineReference.")
    ] = None
    condition: Annotated[
        GoodsCondition | None, FIN, says("How it came, X12 RCD08, UBL RejectReasonCode.")
    ] = None
    lot: Annotated[Text | None, PUB, says("Lot, GS1 AI 10.")] = None
    serial: Annotated[Text | None, PUB, says("Serial number, GS1 AI 21.")] = None
    expires: Annotated[Date | None, PUB, says("Until when it is good, GS1 AI 17.")] = None


class GoodsReceipt(CanonicalRecord):
    """What came of an order."""

    identity: ClassVar[str] = "receiver and number"
    after: ClassVar[tuple[str, ...]] = ("X12 861", "X12 856", "UBL 2.1 ReceiptAdvice", "GS1 XML")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "NORTH:GR-1",
            "number": "GR-1",
            "supplier": "SUP-1",
            "received_at": "2026-02-05T08:30:00-06:00",
            "purchase_order": "NORTH:PO-1",
            "lines": [{"number": "1", "quantity": "8", "unit": "BX", "lot": "L-9"}],
        }
    )

    number: Annotated[Text, FIN, says("Its number, X12 BRA01, UBL ReceiptAdvice.ID.")]
    supplier: Annotated[Ref, FIN, says("The key of a supplier, X12 N104, UBL DespatchSupplierParty.")]
    received_at: Annotated[DateTime, FIN, says("When, X12 BRA02, UBL ReceiptDate.")]
    lines: Annotated[
        Many[ReceivedLine], FIN, Field(min_length=1), says("What came, X12 RCD, UBL ReceiptLine.")
    ]
    purchase_order: Annotated[
        Ref | None, FIN, says("The key of a purchase order, X12 REF02 with PO, UBL OrderReference.")
    ] = None
    location: Annotated[Ref | None, PUB, says("Where it came to: the key of a location, GS1 AI 410.")] = None
    shipment: Annotated[
        Text | None, FIN, says("The supplier's number for it, X12 BSN02, GS1 SSCC AI 00.")
    ] = None
    received_by: Annotated[Text | None, PII, says("Who took it, UBL ReceiptAdvice.")] = None
