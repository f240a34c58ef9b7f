"""What is said of a resource: by tables of our own, which a second reader of FHIR is held against."""

from __future__ import annotations

import types
import typing
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from bridge.fhir.advice import ADVICE
from bridge.fhir.check import CODES, RESOURCES, Element, elements_of, faults, is_known
from bridge.fhir.value_sets import PATTERNS, VALUE_SETS

PATIENT = {"resourceType": "Patient"}
ENCOUNTER = {"resourceType": "Encounter", "status": "planned", "class": {"code": "IMP"}}
RESULT = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no resource": ({"resourceType": "Medicine"}, "resourceType: F201"),
    "an element that R4 does not have": ({**PATIENT, "nme": "KANARIE"}, "Patient.nme: F202"),
    "one that is needed": ({"resourceType": "Encounter", "class": {}}, "Encounter.status: F203"),
    "a choice that is needed": (
        {
            "resourceType": "Immunization",
            "status": "completed",
            "vaccineCode": {"text": "x"},
            "patient": {"display": "x"},
        },
        "Immunization.occurrence[x]: F203",
    ),
    "one where a list is": ({**PATIENT, "name": {"family": "KANARIE"}}, "Patient.name: F204"),
    "an empty list": ({**PATIENT, "name": []}, "Patient.name: F204"),
    "a list where one is": ({**PATIENT, "gender": ["male"]}, "Patient.gender: F204"),
    "a day that is none": ({**PATIENT, "birthDate": "1980-13-01"}, "Patient.birthDate: F205"),
    "a time without an offset": (
        {**PATIENT, "deceasedDateTime": "2024-01-02T03:00:00"},
        "Patient.deceasedDateTime: F205",
    ),
    "a number as text": (
        {**RESULT, "valueQuantity": {"value": "7"}},
        "Observation.valueQuantity.value: F205",
    ),
    "a truth as text": ({**PATIENT, "active": "true"}, "Patient.active: F205"),
    "text where elements are": ({**PATIENT, "maritalStatus": "M"}, "Patient.maritalStatus: F205"),
    "a whole number below one": ({**PATIENT, "telecom": [{"rank": 0}]}, "Patient.telecom[0].rank: F205"),
    "a code of another set": ({**PATIENT, "gender": "X"}, "Patient.gender: F206"),
    "a code within a list": ({**PATIENT, "name": [{"use": "L"}]}, "Patient.name[0].use: F206"),
    "a currency": (
        {
            "resourceType": "ChargeItem",
            "status": "billable",
            "code": {"text": "x"},
            "subject": {"display": "x"},
            "priceOverride": {"currency": "usd"},
        },
        "ChargeItem.priceOverride.currency: F206",
    ),
    "two of a choice": (
        {**PATIENT, "deceasedBoolean": True, "deceasedDateTime": "2024"},
        "Patient.deceasedDateTime: F207",
    ),
    "a value of an extension that is no type": (
        {**PATIENT, "extension": [{"url": "u", "valueThing": 1}]},
        "Patient.extension[0].valueThing: F202",
    ),
    "an extension with nothing": ({**PATIENT, "extension": [{"url": "u"}]}, "Patient.extension[0]: F208"),
    "a value, and why there is none": (
        {**RESULT, "valueString": "x", "dataAbsentReason": {"text": "x"}},
        "Observation: F208",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_thing_that_is_wrong_has_its_code_and_place_and_no_value(name: str) -> None:
    resource, said = WRONG[name]
    told = [str(each) for each in faults(resource)]
    assert [each for each in told if each.startswith(said)], told
    assert "KANARIE" not in " ".join(told)


@pytest.mark.parametrize(
    "resource",
    [
        PATIENT,
        ENCOUNTER,
        RESULT,
        {**PATIENT, "_birthDate": {"extension": []}, "birthDate": None, "deceasedDateTime": "2024-01"},
        {
            **PATIENT,
            "extension": [
                {"url": "u", "valueCode": "x"},
                {"url": "u", "extension": [{"url": "v", "valueCoding": {"code": "x"}}]},
            ],
        },
        {**RESULT, "component": [{"code": {"text": "x"}, "valueQuantity": {"value": 7}}]},
    ],
)
def test_what_is_right_is_left_alone(resource: dict[str, Any]) -> None:
    assert list(faults(resource)) == []


def test_each_code_says_what_to_do() -> None:
    assert sorted(CODES) == sorted(ADVICE)


def test_a_second_reader_does_not_look_at_bindings_so_ours_must() -> None:
    assert get_fhir_model_class("Patient").model_validate({**PATIENT, "gender": "X"})
    assert list(faults({**PATIENT, "gender": "X"}))


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "value", "valueQuantity", "extension", "x", ""]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(RESOURCES),
    st.dictionaries(
        st.sampled_from(["name", "extension", "status", "item", "identifier", "contained", "_x"]), ANY
    ),
)
def test_whatever_a_document_holds_it_is_told_and_nothing_raised(kind: str, told: dict[str, Any]) -> None:
    for fault in faults({"resourceType": kind, **told}):
        assert fault.code in CODES


def test_a_place_is_one_of_r4_or_none() -> None:
    assert is_known("Patient.name.use")
    assert is_known("Observation.value")
    assert is_known("ExplanationOfBenefit.item.adjudication.amount")
    assert not is_known("Patient.doe")
    assert not is_known("Doe")


# The tables, against a second reader. It has R4B (4.3) and no R4; what R4B has beside is named.

R4B_ALONE = {"CodeableReference", "RatioRange"}
HAS_IT_ALL = {
    "id",
    "implicitRules",
    "language",
    "meta",
    "contained",
    "extension",
    "modifierExtension",
    "text",
}
PRIMITIVES = {"EncodedBytes": "base64Binary", "UuidVersion": "uuid"}


def _type(annotation: Any, *, many: bool = False) -> tuple[str, bool]:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _type(next(each for each in inner if each is not type(None)), many=many)
    if origin is list:
        return _type(inner[0], many=True)
    name = type(inner[1]).__name__ if origin is typing.Annotated else annotation.__name__
    if annotation is bool:
        name = "Boolean"
    if hasattr(annotation, "_model_klass"):
        return name.removesuffix("Type"), many
    return PRIMITIVES.get(name, name[0].lower() + name[1:]), many


def _second(kind: str) -> dict[str, tuple[str, bool, bool, tuple[str, ...]]]:
    found = {}
    for name, field in get_fhir_model_class(kind).model_fields.items():
        alias = field.alias or name
        extra: Any = field.json_schema_extra or {}
        if (
            alias.startswith("_")
            or name.endswith("__ext")
            or alias in ("fhir_comments", "resourceType", "resource_type")
        ):
            continue
        of, many = _type(field.annotation)
        needed = bool(
            field.is_required() or extra.get("element_required") or extra.get("one_of_many_required")
        )
        if of not in R4B_ALONE:
            found[alias] = (of, many, needed, tuple(extra.get("enum_values") or ()))
    return found


def _compared(ours: str, theirs: str, seen: set[str]) -> list[str]:
    if ours in seen or ours == "Extension":
        return []
    seen.add(ours)
    wrong: list[str] = []
    told, known = _second(theirs), dict(elements_of(ours))
    beside = HAS_IT_ALL if ours in RESOURCES else {"id", "extension", "modifierExtension"}
    for name in sorted((told.keys() | known.keys()) - (beside - known.keys())):
        one, other = known.get(name), told.get(name)
        if one is None or other is None:
            wrong.append(f"{ours}.{name}: {one} and {other}")
            continue
        of, many, needed, words = other
        same = one.type in elements_names(of) and one.many == many and one.needed == needed
        bound = VALUE_SETS.get(one.bound, frozenset())
        if not same or (words and not set(words) - {"+"} <= bound):
            wrong.append(f"{ours}.{name}: {one} and {other}")
        if elements_of(one.type):
            wrong += _compared(one.type, of, seen)
    return wrong


def elements_names(of: str) -> set[str]:
    """Ours for a type of theirs: parts of a resource have the path of their first place."""
    return {of, *(path for path in PARTS if path.replace(".", "").lower() == of.lower() or PARTS[path] == of)}


def _parts() -> dict[str, str]:
    """Each part of a resource by our name for it, with theirs."""
    found: dict[str, str] = {}

    def walk(ours: str, theirs: str) -> None:
        told = _second(theirs)
        for name, element in elements_of(ours).items():
            if "." in element.type and element.type not in found and name in told:
                found[element.type] = told[name][0]
                walk(element.type, told[name][0])

    for kind in (*RESOURCES, "Timing"):
        walk(kind, kind)
    return found


PARTS = _parts()


def test_the_tables_are_what_a_second_reader_of_the_specification_has() -> None:
    seen: set[str] = set()
    assert [wrong for kind in RESOURCES for wrong in _compared(kind, kind, seen)] == []
    assert len(seen) > 80


def test_the_comparison_sees_a_table_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    from bridge.fhir import check

    changed = {**check._TYPES["Patient"], "gender": Element("gender", "code", bound="name-use")}
    monkeypatch.setitem(check._TYPES, "Patient", changed)
    assert [each.partition(":")[0] for each in _compared("Patient", "Patient", set())] == ["Patient.gender"]


def test_every_value_set_that_is_bound_is_there() -> None:
    bound = {each.bound for kind in (*RESOURCES, *PARTS) for each in elements_of(kind).values() if each.bound}
    assert bound <= {*VALUE_SETS, *PATTERNS}
