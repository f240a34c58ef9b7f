"""Consent: nothing of a patient goes to a receiver to whom the patient's consent does not let it.

As a request is made, whose data it is, and under which label, is written down with it; nothing is decided.
The decision is made when its turn comes, anew at each attempt, by what is known then: so a consent that is
withdrawn holds for what was taken in before, and one that comes later lets go what waits for it. What is
denied is never sent. Of what nobody has decided about, `strict` holds the delivery, and with it what came
after it for its key; `lenient` sends it and says so.

Consents come from where the file says; who has them is told with `use`, and asked for each decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, Field, model_validator

from bridge.canonical.base import Tag, fields
from bridge.canonical.classification import tag_of
from bridge.canonical.records import RECORDS
from bridge.canonical.uses import Use
from bridge.component import Component, Options
from bridge.governance.base import Case, Notice, Secrets, Stop
from bridge.governance.classify import label_of
from bridge.governance.consent_rules import PURPOSES, UNKNOWN, Decision, Question
from bridge.governance.target_guard import is_this_machine
from bridge.located import Problem, did_you_mean
from bridge.message import Microseconds, Record
from bridge.units import LINE, DurationS, SecretRef, SiteFile

NO_PATIENT: Final = Stop("quarantine", "consent-no-patient")
NOT_ASKED: Final = Stop("quarantine", "consent-not-asked")
OVERRIDDEN: Final = "consent-overridden"
ASKED_FOR: Final = "consent-asked-for"
"""Nothing is known yet, and somebody was asked: it waits, whatever the mode, for as long as that takes."""
CONSENT_QUARANTINED: Final = "consent-quarantined"
"""A message of the patient's own has a consent in it that waits for a person."""
NOTHING: Final = "{}"
"""What is asked about data that are no patient's."""

Decide = Callable[[Question, Microseconds], Decision]


def _registry_url(text: str) -> str:
    parts = urlsplit(text)
    here = parts.scheme == "http" and is_this_machine(parts.hostname or "")
    if "{patient}" not in text.partition("?")[2] + parts.path or not (parts.scheme == "https" or here):
        raise ValueError(
            "expected https:// and {patient}, as in https://fhir.example/Consent?patient={patient}"
        )
    if "{" in parts.netloc or "@" in parts.netloc or not parts.hostname:
        raise ValueError("expected a host by its name, and {patient} behind it")
    return text


class RegistryOptions(Options):
    """A FHIR server, or what answers like one, that is asked for each patient."""

    url: Annotated[str, AfterValidator(_registry_url)] = Field(
        description="What is asked with GET, with {patient} where the patient's key stands. It answers with "
        "a Bundle, a list, or one Consent; 404 is none."
    )
    token: Annotated[SecretRef | None, LINE] = Field(None, description="A bearer token, by reference.")
    ca: SiteFile | None = Field(None, description="PEM file: trust only these authorities.")
    timeout: DurationS = Field(2.0, gt=0, le=60, description="How long an answer may take.")
    cache: DurationS = Field(300.0, gt=0, le=86_400, description="How long an answer counts.")
    keep: DurationS = Field(
        0.0,
        ge=0,
        le=604_800,
        description="How long after that what it permitted still counts while it cannot be asked. What it "
        "denied does in any case.",
    )


class ConsentOptions(Options):
    """Whether patients must have agreed, and where their consents are."""

    mode: Literal["strict", "lenient", "not_required"] = Field(
        "strict",
        description="What of data about which nothing was decided: strict holds it until something is; "
        "lenient sends it, and says so. not_required: nothing is asked, for the reason in `basis`.",
    )
    basis: str = Field(
        "",
        max_length=500,
        description="With `not_required`: why not, for whoever asks, as in `payment, 45 CFR 164.506(c)`.",
    )
    purpose: str = Field(
        "", description="What the receiver has it for, a code of HL7 v3 PurposeOfUse: TREAT, HPAYMT, HRESCH."
    )
    recipient: tuple[str, ...] = Field(
        (),
        max_length=16,
        description="The names under which consents know the receiver, as in [Organization/payer-north]; "
        "left out, the API's own.",
    )
    file: SiteFile | None = Field(
        None,
        description="A file of consents: FHIR Consent as .yaml, .json or .ndjson, or rows as .csv. It is "
        "read again when it changes.",
    )

    registry: RegistryOptions | None = Field(
        None, description="A registry that is asked before a patient's data first go, and again in time."
    )
    table: str | None = Field(
        None, description="A table that messages feed: the name that an API with `consents:` gives it."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.mode == "not_required":
            if not self.basis:
                raise ValueError("not_required needs its reason: basis: payment, 45 CFR 164.506(c)")
            return self
        if self.purpose not in PURPOSES:
            hint = did_you_mean(self.purpose, PURPOSES) or "expected a code as TREAT, HPAYMT or HRESCH"
            raise ValueError(f"purpose: {hint}")
        if self.file is None and self.registry is None and self.table is None:
            raise ValueError("where are the consents? add file: consents.ndjson, or registry, or table")
        return self


def _nobody_knows(_question: Question, _now_us: Microseconds) -> Decision:
    return Decision("unknown", UNKNOWN)


class ConsentPolicy:
    """What one API asks of patients."""

    __slots__ = ("_decide", "options")

    def __init__(self, options: ConsentOptions) -> None:
        self.options = options
        self._decide: Decide = _nobody_knows

    def use(self, decide: Decide) -> None:
        """Ask this from now on; before that nothing is known of anybody."""
        self._decide = decide

    def of_request(self, case: Case) -> Case | Stop:
        """The case, with what is to be asked at each attempt."""
        if self.options.mode == "not_required":
            return case
        asks = NO_PATIENT if case.record is None else asked_of(case.record, case.tags)
        if isinstance(asks, Stop):
            return case if self.options.mode == "lenient" else asks
        return Case(case.operation, case.record, case.pinned, case.sends, case.tags, case.now_us, asks)

    def of_attempt(self, now_us: Microseconds) -> Stop | None:  # noqa: ARG002
        """It stops no API as a whole."""
        return None

    def of_delivery(self, asks: str | None, now_us: Microseconds) -> Stop | Notice | None:
        """Why a delivery may not be sent now, or that it is sent all the same."""
        if self.options.mode == "not_required":
            return None
        if asks is None:
            return Notice(NO_PATIENT.reason) if self.options.mode == "lenient" else NOT_ASKED
        if (question := self.question(asks)) is None:
            return None
        said = self._decide(question, now_us)
        if said.word == "deny":
            return Stop("suppress", said.reason)
        if said.word == "permit":
            return Notice(said.reason) if said.reason == OVERRIDDEN else None
        waits = self.options.mode == "strict" or said.reason == ASKED_FOR
        return Stop("withhold", said.reason) if waits else Notice(said.reason)

    def question(self, asks: str) -> Question | None:
        """What is asked about a delivery by what was written down of it; None where it is about nobody."""
        read = orjson.loads(asks)
        if not read:
            return None
        return Question(
            tuple(tuple(names) for names in read["patients"]),
            read["record"],
            frozenset(read["labels"]),
            self.options.purpose,
            frozenset(self.options.recipient),
        )


def asked_of(record: Record, tags: Mapping[tuple[str, str], Tag]) -> str | Stop:
    """Whose data a record is, and under which labels, as text; a Stop where it is a patient's, and nobody
    can say whose."""
    if not (patients := patients_of(record)):
        return NO_PATIENT if about_patients(record.record) else NOTHING
    confidentiality, sensitivity = label_of(record)
    special = any(tag is Tag.SEC for (name, _), tag in tags.items() if name == record.record)
    labels = {confidentiality, *filter(None, (sensitivity,)), *(("R",) if special else ())}
    asks: dict[str, Any] = {"patients": patients, "record": record.record, "labels": sorted(labels)}
    return orjson.dumps(asks).decode()


def patients_of(record: Record) -> list[list[str]]:
    """All patients that a record is about, each with the names that it has here; a merge is about two.

    >>> patients_of(Record("encounter", "V1", "upsert", {"patient": "NORTH:1"}))
    [['NORTH:1']]
    """
    if record.record != "patient":
        patient = record.fields.get("patient")
        return [[patient]] if isinstance(patient, str) and patient else []
    names = [record.key]
    for each in record.fields.get("identifiers") or ():
        system, value = each.get("system"), each.get("value")
        if isinstance(value, str) and value and isinstance(system, str) and system:
            names.append(f"{system}:{value}")
    found = [list(dict.fromkeys(names))]
    replaced = record.fields.get("replaces")
    return [*found, [replaced]] if isinstance(replaced, str) and replaced else found


def about_patients(name: str) -> bool:
    """Whether records of this name are about patients, as far as their fields tell."""
    model = RECORDS.get(name)
    if model is None:
        return True
    return "patient" in fields(model) or tag_of(model) in (Tag.PHI, Tag.SEC)


def rules(options: ConsentOptions, use: Use) -> Iterator[Problem]:
    """Consent that is asked of what nobody's can be told."""
    if not use.declared or options.mode == "not_required":
        return
    if use.routes and not use.fields:
        text = f"{use.api} is sent whole messages, and whose they are is known of records alone"
        yield Problem(use.place, "C193", text, "send it records, or take `consent` out")
    if options.mode == "lenient":
        text = f"what nobody has decided about goes to {use.api} all the same"
        hint = "`mode: strict` holds it until somebody has"
        yield Problem(use.place, "C193", text, hint, "warning")


def build(options: ConsentOptions, secrets: Secrets) -> ConsentPolicy:  # noqa: ARG001
    """The policy."""
    return ConsentPolicy(options)


COMPONENT = Component(
    kind="policy",
    name="consent",
    summary="Nothing of a patient goes where the patient's consent does not let it.",
    options=ConsentOptions,
    example="mode: strict\npurpose: HPAYMT\nrecipient: [Organization/payer-north]\nfile: consents.ndjson\n",
    marker="consent",
    letters=("q", "Q"),
    when_declared=True,
    build=build,
    rules=rules,
)
