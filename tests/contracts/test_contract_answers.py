"""An answer against its contract: what is missing, new or changed, by place and rule, never by a value."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from contract_site import SCHEMAS, document, operation

from bridge.contracts.contract import ANSWER_MAX_BYTES
from bridge.contracts.findings import Finding
from bridge.contracts.rejections import places_refused
from bridge.contracts.watch import Watch

GOOD: dict[str, Any] = {"id": "A1", "status": "active", "at": "2026-05-06T07:08:09Z", "version": 1}
ETAG = {"etag": "1"}
CASES: list[tuple[str, int, str, Any, dict[str, str], list[str]]] = [
    ("all is well", 200, "application/json", GOOD, ETAG, []),
    ("nothing to say", 204, "", None, {}, []),
    ("a status that it does not have", 202, "application/json", GOOD, ETAG, ["answer-status 202"]),
    ("a header is missing", 200, "application/json", GOOD, {}, ["missing-header /header/etag required"]),
    ("another media type", 200, "text/html; charset=utf-8", "<p>", ETAG, ["answer-type text/html"]),
    ("a type that may say anything", 200, "text/Rivera", "x", ETAG, ["answer-type another media type"]),
    ("no JSON", 200, "application/json", b"{", ETAG, ["answer-unreadable no JSON"]),
    (
        "too large",
        200,
        "application/json",
        b" " * ANSWER_MAX_BYTES,
        ETAG,
        [f"answer-unchecked more than {ANSWER_MAX_BYTES // 1024} KiB"],
    ),
    ("a field is missing", 200, "application/json", {"id": "A1"}, ETAG, ["missing-field /status required"]),
    (
        "a field is new",
        200,
        "application/json",
        GOOD | {"reviewedBy": 1},
        ETAG,
        ["new-field /reviewedBy not in the contract"],
    ),
    ("a value is new", 200, "application/json", GOOD | {"status": "ended"}, ETAG, ["new-value /status enum"]),
    (
        "a number is text",
        200,
        "application/json",
        GOOD | {"version": "1"},
        ETAG,
        ["changed-field /version text, not integer"],
    ),
    (
        "another date",
        200,
        "application/json",
        GOOD | {"at": "06.05.2026"},
        ETAG,
        ["changed-field /at format date-time"],
    ),
    (
        "inside of a list",
        200,
        "application/json",
        GOOD | {"items": [{"name": "x"}, {"nick": "y"}]},
        ETAG,
        ["missing-field /items/*/name required", "new-field /items/*/nick not in the contract"],
    ),
    ("names that are data", 200, "application/json", GOOD | {"links": {"Rivera": "x"}}, ETAG, []),
    ("a list for an object", 200, "application/json", [GOOD], ETAG, ["changed-field list, not object"]),
]


@pytest.mark.parametrize(
    ("status", "media", "body", "told", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_each_place_of_an_answer_is_named_by_kind_pointer_and_rule(
    status: int, media: str, body: Any, told: dict[str, str], expected: list[str]
) -> None:
    data = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
    found = operation(document()).answer(status, media, told, data, None)
    assert sorted(f"{each.kind} {each}" for each in found) == sorted(expected)
    assert all(each.in_words() for each in found)


def test_a_name_that_was_sent_as_a_value_is_not_said_back() -> None:
    sent = orjson.dumps({"family": "Rivera", "key": "A1"})
    body = orjson.dumps(GOOD | {"Rivera": 1, "rivera_file": 2, "extra": 3})
    found = operation(document()).answer(200, "application/json", ETAG, body, sent)
    assert {each.pointer for each in found} == {"/*", "/extra"}


def test_alternatives_are_told_by_the_one_that_comes_closest() -> None:
    either = {"Answer": {"oneOf": [{"type": "null"}, SCHEMAS["Contact"], {"type": "array"}]}}
    found = operation(document(either)).answer(200, "application/json", ETAG, b'{"nick": "x"}', None)
    assert {str(each) for each in found} == {"/name required", "/nick not in the contract"}


REFUSALS: list[tuple[str, Any, list[str]]] = [
    ("RFC 9457", {"errors": [{"detail": "no", "pointer": "#/birth_date"}]}, ["/birth_date"]),
    ("JSON:API", {"errors": [{"source": {"pointer": "/data/attributes/birth_date"}}]}, ["/birth_date"]),
    ("a place as a list", {"detail": [{"loc": ["body", "contacts", 0, "name"]}]}, ["/contacts/*/name"]),
    ("FHIR", {"issue": [{"expression": ["Patient.birth_date"]}]}, ["/birth_date"]),
    ("names with points", {"violations": [{"field": "address.line1"}]}, ["/address/line1"]),
    (
        "a name for each field",
        {"errors": {"birth_date": ["is odd"], "sex": ["is odd"]}},
        ["/birth_date", "/sex"],
    ),
    ("invalid-params", {"invalid-params": [{"name": "sex", "reason": "x"}]}, ["/sex"]),
    ("a field that the contract does not have", {"errors": [{"pointer": "/consent"}]}, ["/consent"]),
    ("a value for a place", {"errors": [{"pointer": "/Rivera"}, {"field": "MRN-7"}]}, ["/*"]),
    ("words alone", {"title": "no", "detail": "Rivera is not allowed"}, []),
    ("nothing", {}, []),
]


@pytest.mark.parametrize(
    ("said", "expected"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_the_field_of_a_refusal_is_found_in_the_usual_shapes(said: Any, expected: list[str]) -> None:
    names = operation(document()).names
    sent = orjson.dumps({"family": "Rivera"})
    assert places_refused("application/problem+json", orjson.dumps(said), names, sent) == expected


def test_what_is_no_json_names_no_field() -> None:
    assert places_refused("text/html", b"<p>", frozenset(), None) == []
    assert places_refused("application/json", b"{", frozenset(), None) == []


STATUS = Finding("missing-field", "/status", "required")


def test_a_change_of_an_answer_holds_at_once_and_is_told_ever_more_rarely() -> None:
    watch = Watch(enforced=True)
    told = [bool(watch.met([STATUS], now_us)) for now_us in range(1, 18)]
    assert [place for place, each in enumerate(told, 1) if each] == [1, 2, 4, 8, 16]
    assert watch.shut
    assert watch.accept() == [STATUS]
    assert watch.met([STATUS], 20) == []
    assert list(watch.held) == []


def test_five_of_ten_messages_refused_for_one_field_are_a_change_and_one_often_tried_is_none() -> None:
    watch = Watch(enforced=True)
    assert all(watch.refused(1, ["/sex"], 422) == [] for _ in range(20))
    for number in range(2, 5):
        watch.answered(number * 100)
        assert watch.refused(number, ["/sex"], 422) == []
    watch.answered(900)
    assert watch.refused(5, ["/sex"], 422) == [Finding("rejected", "/sex", "422")]


def test_refusals_for_different_fields_are_no_change() -> None:
    watch = Watch(enforced=True)
    fields = ["/sex", "/family", "/key"]
    assert all(watch.refused(number, [fields[number % 3]], 422) == [] for number in range(12))


def test_without_a_field_eight_in_a_row_are_a_change_and_a_good_one_between_begins_anew() -> None:
    watch = Watch(enforced=True)
    assert all(watch.refused(number, [], 400) == [] for number in range(7))
    watch.answered(7)
    assert all(watch.refused(number, [], 400) == [] for number in range(8, 15))
    assert watch.refused(15, [], 400) == [Finding("rejected", "", "400")]


def test_what_heals_by_itself_waits_for_a_person_once_as_many_as_may_be_have_met_it() -> None:
    watch, gone = Watch(enforced=True, affected_max=10), Finding("gone", "", "404")
    for number in range(9):
        watch.met(watch.stopped(number, gone), number)
        assert not watch.shut
    watch.met(watch.stopped(9, gone), 9)
    assert watch.shut
    assert watch.accept() == [gone]
    watch.met(watch.stopped(1, gone), 1)
    assert watch.answered(2) == [gone]
    assert not watch.held


def test_a_watch_that_only_observes_holds_nothing() -> None:
    watch = Watch(enforced=False)
    assert watch.met([STATUS], 1) == [STATUS]
    assert not watch.held
