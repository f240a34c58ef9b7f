"""An invoice of a supplier. After UBL 2.1 Invoice, EN 16931, X12 810 and EDIFACT INVOIC."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from bridge.canonical.base import (
    FIN,
    PCI,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Address, Item, Money

InvoiceKind = Literal["invoice", "credit", "debit"]


class InvoiceLine(Part):
    """One line, UBL InvoiceLine, X12 IT1."""

    number: Annotated[Text, PUB, says("Its number, UBL InvoiceLine.ID, X12 IT101.")]
    item: Annotated[Item | None, PUB, says("What was bought, UBL Item, X12 IT107.")] = None
    description: Annotated[Text | None, PUB, says("In words, UBL Item.Name, X12 PID05.")] = None
    quantity: Annotated[Decimal, FIN, says("How many, UBL InvoicedQuantity, X12 IT102.")]
    unit: Annotated[Text | None, PUB, says("What the quantity counts, UBL unitCode, X12 IT103.")] = None
    unit_price: Annotated[Amount | None, FIN, says("What one costs, UBL PriceAmount, X12 IT104.")] = None
    tax: Annotated[Amount | None, FIN, says("Tax on it, UBL TaxAmount, X12 TXI02.")] = None
    amount: Annotated[Amount, FIN, says("What it costs, UBL LineExtensionAmount.")]
    gl_account: Annotated[
        Ref | None, FIN, says("The key of an account of the ledger, UBL AccountingCost.")
    ] = None
    purchase_order_line: Annotated[Text | None, FIN, says("What it is for, UBL OrderLineReference.")] = None


class Tax(Part):
    """One tax, UBL TaxSubtotal, EN 16931 BG-23."""

    category: Annotated[Text | None, PUB, says("What kind, UBL TaxCategory.ID.")] = None
    rate: Annotated[Decimal | None, FIN, says("In percent, UBL TaxCategory.Percent.")] = None
    base: Annotated[Amount | None, FIN, says("Of how much, UBL TaxableAmount.")] = None
    amount: Annotated[Amount, FIN, says("How much, UBL TaxAmount, X12 TXI02.")]


class Invoice(CanonicalRecord):
    """One invoice or credit note."""

    identity: ClassVar[str] = "supplier and number"
    after: ClassVar[tuple[str, ...]] = ("UBL 2.1 Invoice", "EN 16931", "X12 810", "EDIFACT INVOIC")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "SUP-1:INV-77",
            "number": "INV-77",
            "supplier": "SUP-1",
            "issue_date": "2026-02-01",
            "currency": "USD",
            "total": "107.00",
            "lines": [{"number": "1", "quantity": "10", "unit_price": "10.00", "amount": "100.00"}],
            "taxes": [{"rate": "7", "amount": "7.00"}],
        }
    )

    number: Annotated[Text, FIN, says("The supplier's number, UBL Invoice.ID, X12 BIG02.")]
    supplier: Annotated[
        Ref, FIN, says("Who asks: the key of a supplier, UBL AccountingSupplierParty, X12 N104.")
    ]
    issue_date: Annotated[Date, FIN, says("Of when it is, UBL IssueDate, X12 BIG01.")]
    currency: Annotated[Currency, PUB, says("Of all amounts, UBL DocumentCurrencyCode, X12 CUR02.")]
    total: Annotated[Amount, FIN, says("What is to be paid, UBL PayableAmount, X12 TDS01.")]
    kind: Annotated[
        InvoiceKind | None, FIN, says("Invoice or credit note, UBL InvoiceTypeCode, X12 BIG07.")
    ] = None
    due_date: Annotated[Date | None, FIN, says("Until when, UBL DueDate, X12 ITD06.")] = None
    purchase_orders: Annotated[
        Many[Text] | None, FIN, says("What it is for, UBL OrderReference, X12 BIG04.")
    ] = None
    lines: Annotated[Many[InvoiceLine] | None, FIN, says("What was bought, UBL InvoiceLine, X12 IT1.")] = None
    taxes: Annotated[Many[Tax] | None, FIN, says("Taxes, UBL TaxTotal, X12 TXI.")] = None
    tax_in_accounting_currency: Annotated[
        Money | None, FIN, says("Taxes in the currency of the books, EN 16931 BT-111.")
    ] = None
    net: Annotated[Amount | None, FIN, says("Without taxes, UBL TaxExclusiveAmount.")] = None
    freight: Annotated[Amount | None, FIN, says("For carriage, UBL AllowanceCharge, X12 SAC05.")] = None
    terms: Annotated[Text | None, FIN, says("How to pay, UBL PaymentTerms, X12 ITD12.")] = None
    remit_to: Annotated[Address | None, FIN, says("Where to pay, X12 N1 with RI.")] = None
    bank_account: Annotated[
        Text | None,
        PCI,
        says("Where to pay, with all but the last digits masked, UBL PayeeFinancialAccount."),
    ] = None
    buyer: Annotated[
        Ref | None, FIN, says("Who bought: the key of an organization, UBL AccountingCustomerParty.")
    ] = None
