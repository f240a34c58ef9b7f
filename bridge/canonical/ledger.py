"""The general ledger: postings, accounts, cost centers. After XBRL GL, whose names it takes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal as Number
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bridge.canonical.base import (
    FIN,
    PII,
    PUB,
    Amount,
    CanonicalRecord,
    Currency,
    Date,
    Many,
    Part,
    Ref,
    Text,
    broken,
    says,
)
from bridge.canonical.values import Money, Reference

PostingStatus = Literal["draft", "posted", "reversed"]
GlAccountType = Literal["asset", "liability", "equity", "revenue", "expense", "statistical"]
NormalBalance = Literal["debit", "credit"]


class PostingLine(Part):
    """One line, either debit or credit, XBRL GL entryDetail."""

    account: Annotated[Ref, FIN, says("The key of an account of the ledger, XBRL GL accountMainID.")]
    debit: Annotated[Amount | None, FIN, says("What is debited, XBRL GL amount, debitCreditCode.")] = None
    credit: Annotated[Amount | None, FIN, says("What is credited, XBRL GL amount, debitCreditCode.")] = None
    currency: Annotated[
        Currency | None, PUB, says("Where it is not the posting's, XBRL GL amountCurrency.")
    ] = None
    original: Annotated[
        Money | None, FIN, says("What it was before it was converted, XBRL GL amountOriginalAmount.")
    ] = None
    cost_center: Annotated[Ref | None, FIN, says("The key of a cost center, XBRL GL accountSub.")] = None
    entity: Annotated[Text | None, FIN, says("Of which company, XBRL GL organizationIdentifier.")] = None
    project: Annotated[Text | None, FIN, says("Of which project, XBRL GL jobCode.")] = None
    memo: Annotated[Text | None, FIN, says("In words, XBRL GL detailComment.")] = None
    source_ref: Annotated[Reference | None, FIN, says("What it came from, XBRL GL documentReference.")] = None

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.debit is None) == (self.credit is None):
            raise broken("not_one_side", "a line is either debit or credit", (), ("debit", "credit"))
        return self


class GlPosting(CanonicalRecord):
    """One journal. Its debits equal its credits, by currency and entity."""

    identity: ClassVar[str] = "ledger and journal_id"
    after: ClassVar[tuple[str, ...]] = ("XBRL GL", "common ERP imports")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "GL:J-1",
            "journal_id": "J-1",
            "ledger": "GL",
            "period": "2026-03",
            "posting_date": "2026-03-31",
            "currency": "USD",
            "lines": [
                {"account": "GL:1100", "debit": "180.00", "entity": "NORTH"},
                {"account": "GL:4000", "credit": "180.00", "entity": "NORTH"},
            ],
        }
    )

    journal_id: Annotated[Text, FIN, says("Its number, XBRL GL entryNumber.")]
    ledger: Annotated[Text, FIN, says("Of which ledger, XBRL GL entriesType.")]
    period: Annotated[Date, FIN, says("Of which period, XBRL GL fiscalPeriod.")]
    posting_date: Annotated[Date, FIN, says("Of which day, XBRL GL postingDate.")]
    currency: Annotated[Currency, PUB, says("Of the amounts, ISO 4217, XBRL GL defaultCurrency.")]
    lines: Annotated[
        Many[PostingLine], FIN, Field(min_length=1), says("What is posted, XBRL GL entryDetail.")
    ]
    status: Annotated[PostingStatus | None, FIN, says("Whether it counts, XBRL GL postingStatus.")] = None
    source: Annotated[Text | None, FIN, says("Which system it came from, XBRL GL sourceJournalID.")] = None
    description: Annotated[Text | None, FIN, says("In words, XBRL GL entryComment.")] = None
    reversal_of: Annotated[
        Ref | None, FIN, says("The key of the posting that this takes back, XBRL GL reverse.")
    ] = None

    @model_validator(mode="after")
    def _balances(self) -> Self:
        sums: dict[tuple[str, str], Number] = {}
        for line in self.lines:
            of = (line.currency or self.currency, line.entity or "")
            sums[of] = sums.get(of, Number(0)) + Number(line.debit or "0") - Number(line.credit or "0")
        if any(sums.values()):
            words = "debits do not equal credits, by currency and entity"
            raise broken("does_not_balance", words, (), ("lines.debit", "lines.credit"))
        return self


class GlAccount(CanonicalRecord):
    """One account of the ledger's chart."""

    identity: ClassVar[str] = "ledger and number"
    after: ClassVar[tuple[str, ...]] = ("XBRL GL", "common ERP imports")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "GL:1100",
            "number": "1100",
            "ledger": "GL",
            "name": "Receivables",
            "type": "asset",
            "normal_balance": "debit",
        }
    )

    number: Annotated[Text, FIN, says("Its number, XBRL GL accountMainID.")]
    ledger: Annotated[Text, FIN, says("Of which ledger, XBRL GL entriesType.")]
    name: Annotated[Text, FIN, says("What it is called, XBRL GL accountMainDescription.")]
    type: Annotated[GlAccountType, FIN, says("What it is, XBRL GL accountType.")]
    normal_balance: Annotated[
        NormalBalance | None, FIN, says("On which side it grows, XBRL GL debitCreditCode.")
    ] = None
    parent: Annotated[
        Ref | None, FIN, says("The key of the account that it is summed in, XBRL GL parentSubaccountCode.")
    ] = None
    active: Annotated[bool | None, FIN, says("Whether it may be posted to, XBRL GL accountActive.")] = None
    currency: Annotated[Currency | None, PUB, says("Where it takes one only, ISO 4217.")] = None


class CostCenter(CanonicalRecord):
    """One cost center: who bears what is spent."""

    identity: ClassVar[str] = "entity and number"
    after: ClassVar[tuple[str, ...]] = ("XBRL GL", "HR Open CostCenter")
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"key": "NORTH:7010", "number": "7010", "name": "Ward 3 West", "entity": "NORTH", "active": True}
    )

    number: Annotated[Text, FIN, says("Its number, XBRL GL accountSubID.")]
    name: Annotated[Text, FIN, says("What it is called, XBRL GL accountSubDescription.")]
    entity: Annotated[Text | None, FIN, says("Of which company, XBRL GL organizationIdentifier.")] = None
    parent: Annotated[
        Ref | None,
        FIN,
        says("The key of the cost center that it is summed in, XBRL GL parentSubaccountCode."),
    ] = None
    manager: Annotated[Ref | None, PII, says("Who answers for it: the key of a worker, HR Open Worker.")] = (
        None
    )
    department: Annotated[Text | None, FIN, says("Which department it is, HL7 FT1-13, HR Open.")] = None
    active: Annotated[bool | None, FIN, says("Whether it may be charged, XBRL GL accountActive.")] = None
    start: Annotated[Date | None, FIN, says("From when, XBRL GL.")] = None
    end: Annotated[Date | None, FIN, says("Until when, XBRL GL.")] = None
