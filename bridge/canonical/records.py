"""All canonical records by name: the one list that a new record is added to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.canonical.account import Account
from bridge.canonical.appointment import Appointment
from bridge.canonical.base import CanonicalRecord
from bridge.canonical.charge import Charge
from bridge.canonical.claim import Claim
from bridge.canonical.claim_status import ClaimStatus
from bridge.canonical.coverage import Coverage
from bridge.canonical.document import Document
from bridge.canonical.encounter import Encounter
from bridge.canonical.immunization import Immunization
from bridge.canonical.inventory import InventoryBalance, InventoryConsumption
from bridge.canonical.invoice import Invoice
from bridge.canonical.ledger import CostCenter, GlAccount, GlPosting
from bridge.canonical.order import Order
from bridge.canonical.organization import Location, Organization
from bridge.canonical.patient import Patient
from bridge.canonical.provider import Provider
from bridge.canonical.purchasing import GoodsReceipt, PurchaseOrder
from bridge.canonical.remittance import Remittance
from bridge.canonical.result import Result
from bridge.canonical.supplier import ContractPrice, Supplier
from bridge.canonical.workforce import Shift, Worker

MODEL: Final = "canonical/1"
"""The version of the records as a whole; a mapping names it as its target."""

RECORDS: Final[Mapping[str, type[CanonicalRecord]]] = MappingProxyType(
    {
        "patient": Patient,
        "provider": Provider,
        "organization": Organization,
        "location": Location,
        "coverage": Coverage,
        "account": Account,
        "encounter": Encounter,
        "order": Order,
        "result": Result,
        "document": Document,
        "immunization": Immunization,
        "appointment": Appointment,
        "charge": Charge,
        "claim": Claim,
        "claim_status": ClaimStatus,
        "remittance": Remittance,
        "invoice": Invoice,
        "supplier": Supplier,
        "contract_price": ContractPrice,
        "purchase_order": PurchaseOrder,
        "goods_receipt": GoodsReceipt,
        "inventory_consumption": InventoryConsumption,
        "inventory_balance": InventoryBalance,
        "workforce": Worker,
        "shift": Shift,
        "gl_posting": GlPosting,
        "gl_account": GlAccount,
        "cost_center": CostCenter,
    }
)
