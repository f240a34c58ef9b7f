"""Suppliers and what is agreed with them. After GS1 GLN, UBL Party, X12 N1 and 832."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from bridge.canonical.base import (
    FIN,
    PCI,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    Decimal,
    Many,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Address, Contact, Identifier, Item

SupplierStatus = Literal["active", "blocked", "inactive"]


class Supplier(CanonicalRecord):
    """One supplier."""

    identity: ClassVar[str] = "GLN, DUNS or TIN; else the site's vendor number"
    after: ClassVar[tuple[str, ...]] = ("GS1 GLN", "UBL 2.1 Party", "X12 N1, 832")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "SUP-1",
            "identifiers": [{"system": "gs1", "value": "4012345000016", "type": "GLN"}],
            "name": "Bandages Inc",
            "status": "active",
        }
    )

    identifiers: Annotated[
        Many[Identifier],
        FIN,
        Field(min_length=1),
        says("GLN, DUNS, TIN, vendor number, X12 N104, UBL PartyIdentification."),
    ]
    name: Annotated[Text | None, PUB, says("What it is called, X12 N102, UBL PartyName.")] = None
    status: Annotated[SupplierStatus | None, FIN, says("Whether it may be ordered from, UBL Party.")] = None
    addresses: Annotated[Many[Address] | None, PUB, says("Where it is, X12 N3, N4, UBL PostalAddress.")] = (
        None
    )
    contacts: Annotated[Many[Contact] | None, PII, says("How it is reached, X12 PER, UBL Contact.")] = None
    contact_family: Annotated[Text | None, PII, says("Whom to ask for, X12 PER02, UBL Contact.Name.")] = None
    terms: Annotated[Text | None, FIN, says("How it is paid, X12 ITD12, UBL PaymentTerms.")] = None
    currency: Annotated[Currency | None, PUB, says("What it is paid in, ISO 4217, X12 CUR02.")] = None
    diversity: Annotated[Many[Text] | None, PUB, says("Diversity flags, X12 REF02.")] = None
    bank_token: Annotated[
        Text | None, PCI, says("Stands for its bank account, never the account, UBL PayeeFinancialAccount.")
    ] = None
    gln: Annotated[Text | None, PUB, says("Global location number, GS1 AI 414.")] = None
    tin: Annotated[Text | None, FIN, says("Tax number, X12 REF02 with TJ.")] = None


class ContractPrice(CanonicalRecord):
    """What one item costs under a contract."""

    identity: ClassVar[str] = "contract, item and start"
    after: ClassVar[tuple[str, ...]] = ("X12 832, 845", "GS1 GTIN", "UBL 2.1 Catalogue")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "C-7:00614141123452:2026-01-01",
            "contract": "C-7",
            "supplier": "SUP-1",
            "item": {"gtin": "00614141123452"},
            "price": "9.50",
            "currency": "USD",
            "unit": "EA",
            "start": "2026-01-01",
        }
    )

    contract: Annotated[Text, FIN, says("The contract's number, X12 REF02 with CT, UBL ContractReference.")]
    supplier: Annotated[Ref, FIN, says("The key of a supplier, X12 N104, UBL SellerSupplierParty.")]
    item: Annotated[Item, PUB, says("What is bought, X12 LIN, GS1 GTIN.")]
    price: Annotated[Amount, FIN, says("What one costs, X12 CTP03, UBL PriceAmount.")]
    currency: Annotated[Currency, PUB, says("Of the price, ISO 4217, X12 CUR02.")]
    unit: Annotated[Text, PUB, says("What one is, X12 CTP05, UBL unitCode.")]
    start: Annotated[Date, FIN, says("From when, X12 DTM02, UBL ValidityPeriod.")]
    end: Annotated[Date | None, FIN, says("Until when, X12 DTM02, UBL ValidityPeriod.")] = None
    minimum: Annotated[Decimal | None, FIN, says("From how many on, X12 CTP04, UBL MinimumQuantity.")] = None
    tier: Annotated[Text | None, FIN, says("Of which tier, X12 REF02.")] = None
    group_purchaser: Annotated[Text | None, FIN, says("Who agreed on it, X12 N1 with GP.")] = None
