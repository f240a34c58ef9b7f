"""JSON Schema says what the models say, and a version keeps what it has promised."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError as JsonSchemaError
from pydantic import ValidationError

from bridge.canonical.base import FieldType, fields
from bridge.canonical.page import readme, schema_file
from bridge.canonical.quick import quick_check
from bridge.canonical.records import RECORDS
from bridge.canonical.schemas import CLASSIFICATION, Schema, broken_promises, record_schema, whole_schema

FOLDER = Path(__file__).parents[2] / "bridge" / "canonical"
INSTANCES_EACH_COUNT = 1000

OF_INVARIANTS = {
    "not_one_value",
    "lines_are_not_total",
    "no_claim",
    "does_not_balance",
    "claim_does_not_balance",
    "line_does_not_balance",
    "not_one_side",
}
"""What no schema says: sums, and that one of several is there."""

TEXTS = ["A", "7", "NORTH:1", "2024", "2024-01", "2024-01-02", "2024-01-02T03:00:00-05:00", "1.50", "-3", ""]
ODD: list[Any] = [None, 1, 1.5, True, [], {}, [None], ["x"], "x" * 1001, "2024\n", "1e5", "٣", "\n", {"a": 1}]


def good(field: FieldType, draw: Callable[[int], int]) -> Any:
    """A value that a field is likely to take."""
    match field.kind:
        case "enum":
            return field.values[draw(len(field.values))]
        case "decimal":
            return ["0", "12.50", "-3"][draw(3)]
        case "date":
            return ["2024", "2024-01", "2024-01-02"][draw(3)]
        case "datetime":
            return ["2024-01-02T03:00:00-05:00", "2024-01-02T03:00:00.25+00:00"][draw(2)]
        case "date_or_datetime":
            return ["2024", "2024-01-02T03:00:00-05:00"][draw(2)]
        case "boolean":
            return draw(2) == 1
        case "part":
            return entry(field.item, draw)
        case "records":
            return [entry(field.item, draw) for _ in range(1 + draw(2))]
        case "texts":
            return [TEXTS[draw(3)]] * (1 + draw(2))
        case "text" | "ref":
            return ["USD", "A", "NORTH:1"][draw(3)]


def entry(found: Any, draw: Callable[[int], int], *, most: int = 4) -> dict[str, Any]:
    """What is needed, some of what is not, and now and then something wrong."""
    names = [name for name, field in found.items() if field.required]
    others = [name for name in found if name not in names]
    names += [others[draw(len(others))] for _ in range(draw(most) if others else 0)]
    made = {name: good(found[name], draw) for name in dict.fromkeys(names)}
    if not draw(6):
        made[[*found][draw(len(found))]] = [*ODD, *TEXTS][draw(len(ODD) + len(TEXTS))]
    if made and not draw(12):
        del made[[*made][draw(len(made))]]
    if not draw(25):
        made["no_such_field"] = "x"
    return made


def _pattern(_: object, pattern: str, instance: object, __: object) -> Iterator[JsonSchemaError]:
    """ECMA 262, as JSON Schema asks: `$` is the end, where Python's also stands before a last line end."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield JsonSchemaError("does not match")


VALIDATOR = validators.extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]
VALIDATORS = {name: VALIDATOR(record_schema(name)) for name in RECORDS}


def fits(record: str, instance: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the schema takes an instance, and whether the model does, sums left aside."""
    by_schema = VALIDATORS[record].is_valid(instance)
    try:
        RECORDS[record].model_validate_json(json.dumps(instance))
    except ValidationError as refused:
        errors = refused.errors()
        # A list is told to be too short when what is in it was refused.
        broken = [
            each
            for each in errors
            if each["type"] != "too_short"
            or not any(len(other["loc"]) > len(each["loc"]) for other in _within(each["loc"], errors))
        ]
        return by_schema, {each["type"] for each in broken} <= OF_INVARIANTS
    return by_schema, True


def _within(place: tuple[int | str, ...], errors: Sequence[Any]) -> list[Any]:
    return [each for each in errors if each["loc"][: len(place)] == place]


SEEDS = st.lists(st.integers(0, 2**64), min_size=50, max_size=50)
"""Each makes one instance: so a thousand of them cost seconds, and a failing one is found again."""


@pytest.mark.parametrize("record", RECORDS)
def test_schema_and_model_agree(record: str) -> None:
    taken = {True: 0, False: 0}
    found = fields(RECORDS[record])

    @settings(max_examples=INSTANCES_EACH_COUNT // 50, deadline=None, suppress_health_check=[*HealthCheck])
    @given(SEEDS)
    def agree(seeds: list[int]) -> None:
        for seed in seeds:
            instance = {"key": "K", **entry(found, Random(seed).randrange, most=8)}
            by_schema, by_model = fits(record, instance)
            taken[by_model] += 1
            assert by_schema == by_model, instance

    agree()
    assert sum(taken.values()) >= INSTANCES_EACH_COUNT
    assert min(taken.values()) > INSTANCES_EACH_COUNT // 20, "some fit, and some do not"


@pytest.mark.parametrize("record", RECORDS)
def test_what_the_quick_check_takes_the_model_takes(record: str) -> None:
    model, found = RECORDS[record], fields(RECORDS[record])
    check = quick_check(model, list(found))
    if check is None:
        assert model.__pydantic_decorators__.model_validators, "only sums are left to the model"
        return
    told = {True: 0, False: 0}
    for seed in range(500):
        values = entry(found, Random(seed).randrange, most=8)
        taken = check("K", values)
        told[taken] += 1
        try:
            model.model_validate({"key": "K", **values})
        except ValidationError:
            assert not taken, values
        else:
            assert taken, values
    assert min(told.values()) > 10, "some fit, and some do not"
    assert not check("", {}) and not check("K" * 1001, {})  # noqa: PT018


def test_a_schema_is_a_schema_and_knows_the_tag_of_each_field() -> None:
    for name, model in RECORDS.items():
        schema = record_schema(name)
        Draft202012Validator.check_schema(schema)
        properties = schema["$defs"][model.__name__]["properties"]
        assert {key: properties[key][CLASSIFICATION] for key in fields(model)} == {
            key: field.tag.name for key, field in fields(model).items()
        }


# The promise of a version

BEFORE: Schema = json.loads((FOLDER / schema_file()).read_text("utf-8"))


def test_the_version_keeps_what_it_has_promised() -> None:
    assert broken_promises(BEFORE, whole_schema()) == []


def test_what_a_version_has_gained_is_promised_from_then_on() -> None:
    assert whole_schema() == BEFORE, f"bridge records --schema > bridge/canonical/{schema_file()}"


def _patient(schema: Schema) -> Schema:
    found: Schema = schema["$defs"]["Patient"]
    return found


def _sex(schema: Schema) -> Schema:
    found: Schema = _patient(schema)["properties"]["sex"]["anyOf"][0]
    return found


PLANTED: dict[str, tuple[Callable[[Schema], object], str]] = {
    "a field removed": (
        lambda s: _patient(s)["properties"].pop("family"),
        "Patient.family: the field is gone",
    ),
    "a new needed field": (
        lambda s: (
            _patient(s)["properties"].update(shoe={"type": "string", CLASSIFICATION: "PHI"}),
            _patient(s)["required"].append("shoe"),
        ),
        "Patient.shoe: is needed now",
    ),
    "a field that becomes needed": (
        lambda s: _patient(s)["required"].append("family"),
        "Patient.family: is needed now",
    ),
    "a record removed": (lambda s: s["properties"].pop("shift"), "shift: the record is gone"),
    "a part removed": (lambda s: s["$defs"].pop("Relative"), "Relative: the part is gone"),
    "another record under the name": (
        lambda s: s["properties"].update(shift=s["properties"]["order"]),
        "shift: another record stands under the name",
    ),
    "a value removed": (lambda s: _sex(s)["enum"].remove("other"), "Patient.sex: values are gone: other"),
    "another kind": (
        lambda s: _patient(s)["properties"].update(family={"type": "integer", CLASSIFICATION: "PHI"}),
        "Patient.family: is of another kind",
    ),
    "a narrower pattern": (
        lambda s: _patient(s)["properties"]["birth_date"]["anyOf"][0].update(pattern="^[0-9]{4}$"),
        "Patient.birth_date: is of another kind",
    ),
    "a shorter list": (
        lambda s: _patient(s)["properties"]["identifiers"].update(maxItems=1),
        "Patient.identifiers: is of another kind",
    ),
    "a lower tag": (
        lambda s: _patient(s)["properties"]["family"].update({CLASSIFICATION: "PUB"}),
        "Patient.family: its tag is lower",
    ),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_break_of_the_promise_is_caught(what: str) -> None:
    change, said = PLANTED[what]
    now = copy.deepcopy(BEFORE)
    change(now)
    assert said in broken_promises(BEFORE, now)


ALLOWED: dict[str, Callable[[Schema], object]] = {
    "a field that can be left out": lambda s: _patient(s)["properties"].update(
        shoe={"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, CLASSIFICATION: "PHI"}
    ),
    "a value": lambda s: _sex(s)["enum"].append("x"),
    "a record": lambda s: s["properties"].update(visit={"$ref": "#/$defs/Encounter"}),
    "words": lambda s: _patient(s)["properties"]["family"].update(description="Otherwise."),
    "a higher tag": lambda s: _patient(s)["properties"]["family"].update({CLASSIFICATION: "SEC"}),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_a_version_may_change_breaks_nothing(what: str) -> None:
    now = copy.deepcopy(BEFORE)
    ALLOWED[what](now)
    assert now != BEFORE
    assert broken_promises(BEFORE, now) == []


def test_the_page_about_the_records_is_made_from_them() -> None:
    assert (FOLDER / "README.md").read_text("utf-8") == readme(), (
        "bridge records --page > bridge/canonical/README.md"
    )
