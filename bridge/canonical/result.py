"""A result: one observation. After FHIR R4 Observation and HL7 v2 OBX, with LOINC and UCUM."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from bridge.canonical.base import (
    PHI,
    PII,
    PUB,
    CanonicalRecord,
    DateOrDateTime,
    DateTime,
    Decimal,
    Many,
    Part,
    Ref,
    Text,
    says,
)
from bridge.canonical.values import Attachment, Code

ResultStatus = Literal[
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"
]
Comparator = Literal["<", "<=", ">=", ">"]

_VALUES: Final = frozenset(
    {
        "value_number",
        "value_text",
        "value_code",
        "value_range",
        "value_ratio",
        "value_datetime",
        "value_attachment",
    }
)
_WITHOUT_VALUE: Final = frozenset({"registered", "cancelled", "entered-in-error", "unknown"})


class Range(Part):
    """From one number to another, SN, FHIR Range."""

    low: Annotated[Decimal | None, PHI, says("From, SN.2, OBX-7.")] = None
    high: Annotated[Decimal | None, PHI, says("To, SN.4, OBX-7.")] = None
    unit: Annotated[Text | None, PUB, says("Unit as sent, OBX-6.")] = None


class Ratio(Part):
    """One number to another, SN, FHIR Ratio, as in a titre of 1:64."""

    numerator: Annotated[Decimal, PHI, says("The first number, SN.2.")]
    denominator: Annotated[Decimal, PHI, says("The second number, SN.4.")]


def one_value(fields: Mapping[str, Any]) -> bool:
    """Whether a result has exactly one value, or says why it has none."""
    given = 0
    for name in _VALUES:
        if fields.get(name) is not None:
            given += 1
    if given:
        return given == 1
    return fields.get("absent_reason") is not None or fields.get("status") in _WITHOUT_VALUE


class Result(CanonicalRecord):
    """One observation with one value: numeric, text, a code, a range, a ratio, a time or a document.

    Set IDs are no part of the key, since a corrected report counts anew. An older state never overwrites a
    newer one: `supersedes` (`canonical/ranks.py`). A value may be missing where ``absent_reason`` or the
    status says why.
    """

    identity: ClassVar[str] = "order, code and sub_id"
    after: ClassVar[tuple[str, ...]] = (
        "FHIR R4 Observation",
        "FHIR R4 DiagnosticReport",
        "HL7 v2 OBX, NTE",
        "LOINC",
        "UCUM",
    )
    example: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "key": "LAB:F-1:718-7",
            "patient": "NORTH:1",
            "order": "LAB:F-1:CBC",
            "code": "718-7",
            "code_system": "loinc",
            "status": "final",
            "value_number": "13.5",
            "unit": "g/dL",
        }
    )

    patient: Annotated[Ref, PHI, says("Of whom: the key of a patient, FHIR Observation.subject.")]
    order: Annotated[Ref, PHI, says("The key of the order that it answers, OBR-3, FHIR Observation.basedOn.")]
    code: Annotated[Text, PHI, says("What was observed, OBX-3.1.")]
    status: Annotated[ResultStatus, PHI, says("How final it is, OBX-11, HL7 table 0085.")]
    code_system: Annotated[Text | None, PUB, says("Whose code it is, OBX-3.3.")] = None
    name: Annotated[Text | None, PHI, says("What the code means, OBX-3.2.")] = None
    sequence: Annotated[Decimal | None, PUB, says("Its place in the report, OBX-1.")] = None
    sub_id: Annotated[Text | None, PHI, says("Tells apart observations of one code, OBX-4.")] = None
    value_number: Annotated[
        Decimal | None, PHI, says("The value, where it is a number, OBX-5 of NM and SN.")
    ] = None
    value_text: Annotated[Text | None, PHI, says("The value, where it is text, OBX-5 of ST, TX, FT.")] = None
    value_code: Annotated[Code | None, PHI, says("The value, where it is a code, OBX-5 of CE, CWE, IS.")] = (
        None
    )
    value_range: Annotated[Range | None, PHI, says("The value, where it is a range, OBX-5 of SN, NR.")] = None
    value_ratio: Annotated[Ratio | None, PHI, says("The value, where it is a ratio, OBX-5 of SN.")] = None
    value_datetime: Annotated[
        DateOrDateTime | None, PHI, says("The value, where it is a time, OBX-5 of DT, DTM, TS.")
    ] = None
    value_attachment: Annotated[
        Attachment | None, PHI, says("The value, where it is a document, OBX-5 of ED, RP.")
    ] = None
    absent_reason: Annotated[
        Text | None, PHI, says("Why there is no value, OBX-32, FHIR Observation.dataAbsentReason.")
    ] = None
    comparator: Annotated[Comparator | None, PHI, says("How the number stands to the value, SN.1.")] = None
    unit: Annotated[Text | None, PHI, says("Unit as sent, OBX-6.1.")] = None
    ucum: Annotated[Text | None, PHI, says("Unit in UCUM, OBX-6, FHIR Quantity.code.")] = None
    reference_range: Annotated[Text | None, PHI, says("What is usual, as sent, OBX-7.")] = None
    reference_low: Annotated[
        Decimal | None, PHI, says("From which number, OBX-7, FHIR Observation.referenceRange.")
    ] = None
    reference_high: Annotated[
        Decimal | None, PHI, says("To which number, OBX-7, FHIR Observation.referenceRange.")
    ] = None
    abnormal: Annotated[
        Many[Text] | None, PHI, says("How it stands to what is usual, OBX-8, HL7 table 0078.")
    ] = None
    observed_at: Annotated[DateTime | None, PHI, says("When it was so, OBX-14, OBR-7.")] = None
    issued_at: Annotated[DateTime | None, PHI, says("When it was given out, OBX-19, OBR-22.")] = None
    performer: Annotated[Text | None, PII, says("Who observed, OBX-16, OBX-23.")] = None
    method: Annotated[Text | None, PHI, says("How, OBX-17.")] = None
    specimen: Annotated[Text | None, PHI, says("What was examined, SPM-4, OBR-15.")] = None
    body_site: Annotated[Text | None, PHI, says("Where of the body, OBX-20.")] = None
    comments: Annotated[Many[Text] | None, PHI, says("What was written beside it, NTE-3.")] = None
    parent: Annotated[Ref | None, PHI, says("The key of a result that it belongs to, OBR-26.")] = None
    corrects: Annotated[Ref | None, PHI, says("The key of a result that it corrects, FHIR Observation.")] = (
        None
    )

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if not one_value(self.__dict__):
            raise PydanticCustomError(
                "not_one_value", "a result has exactly one value, or says why it has none"
            )
        return self

    quick_promise: ClassVar[Callable[[Mapping[str, Any]], bool] | None] = one_value
