"""Classify: no record goes to an API with a label above what that API may carry.

A label is the class of each field that is sent, which a mapping may raise and never lower, and what the
message itself says of its patient or document: its confidentiality (HL7 v3 Confidentiality: N, R, V) and
sensitivities (HL7 v3 ActCode), from the codes of HL7 tables 0177 and 0272. The first is known from the files,
the second in each message only; `bridge check` tells of the one, and both are looked at as a request is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from pydantic import Field

from bridge.canonical.base import Tag, fields
from bridge.canonical.classification import tags_within
from bridge.canonical.records import RECORDS
from bridge.canonical.uses import Use
from bridge.component import Component, Options
from bridge.governance.base import Case, Secrets, Stop
from bridge.located import Problem
from bridge.message import EXT, Microseconds, Record

ABOVE: Final = Stop("quarantine", "label-exceeds-route")

Confidentiality = Literal["N", "R", "V"]
Sensitivity = Literal["ETH", "HIV", "PSY", "SDV", "STD", "SEX", "VIP", "EMP"]

_RANK: Final = {"N": 0, "R": 1, "V": 2}
_SAID: Final[Mapping[str, tuple[Confidentiality, str]]] = {
    "V": ("V", ""),
    "R": ("R", ""),
    "AID": ("R", "HIV"),
    "HIV": ("R", "HIV"),
    "ETH": ("R", "ETH"),
    "PSY": ("R", "PSY"),
    "SDV": ("R", "SDV"),
    "STD": ("R", "STD"),
    "SEX": ("R", "SEX"),
    "VIP": ("R", "VIP"),
    "EMP": ("R", "EMP"),
}
"""What a code in a record's ``confidentiality`` means; U (usual) and codes that nobody knows are N."""


class CarriesOptions(Options):
    """What the API may carry. What is not named here may not be sent to it."""

    phi: bool = Field(False, description="What identifies a patient, and clinical content.")
    pii: bool = Field(False, description="Persons who are not the patient. `phi` has them with it.")
    financial: bool = Field(False, description="Amounts, accounts, terms of contracts.")
    card: bool = Field(False, description="Payment cards.")
    special: bool = Field(
        False, description="What is specially protected: substance use, HIV, mental and reproductive health."
    )
    confidentiality: Confidentiality = Field(
        "N", description="The highest that a record's own code may say: N (normal), R (restricted), V (very)."
    )
    sensitivity: tuple[Sensitivity, ...] = Field(
        (), description="Sensitivities that a record's own code may name, as in [PSY, HIV]."
    )

    def lacks(self, tag: Tag) -> str:
        """The key that would have to be true for a value of this class, or empty where it may be carried."""
        match tag:
            case Tag.FIN:
                return "" if self.financial else "financial"
            case Tag.PII:
                return "" if self.pii or self.phi else "pii"
            case Tag.PCI:
                return "" if self.card else "card"
            case Tag.PHI:
                return "" if self.phi else "phi"
            case Tag.SEC:
                return "" if self.special else "special"
        return ""


def label_of(record: Record) -> tuple[Confidentiality, str]:
    """The confidentiality and the sensitivity that a record's own code names.

    >>> label_of(Record("patient", "1", "upsert", {"confidentiality": "PSY"}))
    ('R', 'PSY')
    """
    said = record.fields.get("confidentiality")
    return _SAID.get(said.strip().upper(), ("N", "")) if isinstance(said, str) else ("N", "")


class Classify:
    """The ceiling of one API."""

    __slots__ = ("_above", "_declared", "_options", "_rank", "_sensitivity")

    def __init__(self, options: CarriesOptions) -> None:
        self._options = options
        self._declared = bool(options.model_fields_set)
        self._rank = _RANK[options.confidentiality]
        self._sensitivity = frozenset({"", *options.sensitivity})
        self._above: dict[tuple[str, str, tuple[str, ...]], frozenset[str]] = {}

    def of_request(self, case: Case) -> Case | Stop:
        """Refuses a record whose label is above the ceiling, and one that nobody can classify."""
        record = case.record
        if record is None:
            return case
        confidentiality, sensitivity = label_of(record)
        if _RANK[confidentiality] > self._rank or sensitivity not in self._sensitivity:
            return ABOVE
        if not self._declared:
            return case
        known = (record.record, case.operation, case.pinned)
        above = self._above.get(known)
        if above is None:
            above = self._above[known] = self._fields_above(record.record, case)
        if above and ("key" in above or not above.isdisjoint(record.fields)):
            return ABOVE
        if above and record.ext and not above.isdisjoint({EXT + name for name in record.ext}):
            return ABOVE
        return case

    def _fields_above(self, record: str, case: Case) -> frozenset[str]:
        """The fields that would leave and may not; of a record that nobody knows, all of it."""
        model = RECORDS.get(record)
        if model is None:
            return frozenset({"key"})
        known = fields(model)
        return frozenset(
            name
            for name in case.sends
            for tag in (*tags_within(known, name), case.tags.get((record, name), Tag.PUB))
            if self._options.lacks(tag)
        )

    def of_attempt(self, now_us: Microseconds) -> Stop | None:  # noqa: ARG002
        """A request's label does not change."""
        return None


def rules(options: CarriesOptions, use: Use) -> Iterator[Problem]:
    """Fields that routes send above the ceiling; and an API to which PHI goes without a word about it."""
    if use.declared:
        for sent in use.fields:
            if lacks := options.lacks(sent.tag):
                text = f"`{sent.field}` of {sent.record} is {sent.tag.name}, more than {use.api} may carry"
                hint = f"take it out, or write `carries: {{{lacks}: true}}` once that is agreed"
                yield Problem(sent.place, "C184", text, hint)
        return
    if not use.here and any(options.lacks(sent.tag) for sent in use.fields):
        found = sorted({sent.tag for sent in use.fields if options.lacks(sent.tag)}, key=lambda tag: tag.rank)
        names = ", ".join(dict.fromkeys(options.lacks(tag) for tag in found))
        text = f"routes send {use.api} data of the classes {names}, and it does not say it may carry them"
        hint = f"write `carries: {{{', '.join(f'{name}: true' for name in names.split(', '))}}}`"
        yield Problem(use.place, "C185", text, hint, "error" if use.production else "warning")


def build(options: CarriesOptions, secrets: Secrets) -> Classify:  # noqa: ARG001
    """The policy."""
    return Classify(options)


COMPONENT = Component(
    kind="policy",
    name="classify",
    summary="No record goes to an API with a label above what that API may carry.",
    options=CarriesOptions,
    example="phi: true\nconfidentiality: R\nsensitivity: [PSY]\n",
    marker="carries",
    letters=("c", ""),
    build=build,
    rules=rules,
)
