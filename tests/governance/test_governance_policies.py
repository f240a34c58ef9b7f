"""Each policy by itself: what it lets through, what it stops, and that nothing it should hide is seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.canonical.base import Tag
from bridge.catalog import STANDARD
from bridge.governance.base import Case, Stop, policies
from bridge.governance.classify import CarriesOptions, Classify
from bridge.governance.lifecycle import Lifecycle, LifecycleOptions, end_of_day_us
from bridge.governance.minimum_necessary import NO_KEY, MinimumNecessary, ProtectOptions, build
from bridge.governance.order import ATTEMPT, ORDER, REQUEST, declared, in_words, left_out, notices_in, stopped
from bridge.governance.protection import token, zip3
from bridge.governance.safe_harbor import deidentified
from bridge.governance.target_guard import NetworkOptions
from bridge.message import Record
from bridge.units import SecretRef

NOW_US = 1_800_000_000_000_000
KEY = "k" * 32


def case(fields: Mapping[str, Any], *, sends: tuple[str, ...] = ("key",), **more: Any) -> Case:
    record = Record("patient", "MR-1", "upsert", fields)
    return Case("put", record, ("d",), frozenset(sends), more.get("tags", {}), NOW_US)


@pytest.mark.parametrize(
    ("state", "request_reason", "attempt_reason"),
    [
        ("active", "", ""),
        ("deprecated", "", ""),
        ("draft", "", "api-draft"),
        ("blocked", "", "api-blocked"),
        ("retired", "api-retired", "api-retired"),
    ],
)
def test_the_state_of_an_api_decides_what_may_go_there(
    state: str, request_reason: str, attempt_reason: str
) -> None:
    policy = Lifecycle(LifecycleOptions.model_validate({"state": state}))
    made, sent = policy.of_request(case({})), policy.of_attempt(NOW_US)
    assert (made.reason if isinstance(made, Stop) else "") == request_reason
    assert ("" if sent is None else sent.reason) == attempt_reason


def test_after_the_last_day_an_api_is_not_called() -> None:
    policy = Lifecycle(LifecycleOptions.model_validate({"sunset": "2027-06-30"}))
    over_us = end_of_day_us(date(2027, 6, 30))
    assert policy.of_attempt(over_us - 1) is None
    assert policy.of_attempt(over_us) == Stop("hold", "sunset-passed")


PHI, RESTRICTED = {"phi": True}, {"phi": True, "confidentiality": "R"}
MONEY = {"financial": True}
LABELS: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, ...], bool]] = [
    ("a patient, where patients may go", PHI, {"family": "A"}, ("key", "family"), True),
    ("a patient, where none may go", MONEY, {"family": "A"}, ("family",), False),
    ("nothing of it but its key, which is a patient's too", MONEY, {}, ("key",), False),
    ("a field above that the record does not have", MONEY, {}, ("family",), True),
    ("a restricted patient", PHI, {"confidentiality": "R"}, ("key",), False),
    ("a restricted patient, where that may go", RESTRICTED, {"confidentiality": "R"}, ("key",), True),
    ("a very restricted patient", RESTRICTED, {"confidentiality": "V"}, ("key",), False),
    ("a psychiatric patient", RESTRICTED, {"confidentiality": "PSY"}, ("key",), False),
    ("a psychiatric patient, where that may go", {**RESTRICTED, "sensitivity": ["PSY"]},
     {"confidentiality": "psy "}, ("key",), True),
    ("usual care", PHI, {"confidentiality": "U"}, ("key",), True),
    ("nothing was declared", {}, {"family": "A"}, ("key", "family"), True),
    ("nothing was declared, but the message is restricted", {}, {"confidentiality": "R"}, (), False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "carries", "fields", "sends", "passes"), LABELS, ids=[row[0] for row in LABELS]
)
def test_no_record_goes_above_what_an_api_may_carry(
    what: str, carries: dict[str, Any], fields: dict[str, Any], sends: tuple[str, ...], passes: bool
) -> None:
    policy = Classify(CarriesOptions.model_validate(carries))
    said = policy.of_request(case(fields, sends=sends))
    assert isinstance(said, Case) is passes, what


def test_a_class_that_a_mapping_raised_counts() -> None:
    policy = Classify(CarriesOptions.model_validate({"phi": True}))
    raised = {("patient", "ethnicity"): Tag.SEC}
    said = policy.of_request(case({"ethnicity": "H"}, sends=("ethnicity",), tags=raised))
    assert said == Stop("quarantine", "label-exceeds-route")


@given(tag=st.sampled_from(Tag), raised=st.sampled_from(Tag))
def test_raising_a_label_never_lets_more_through(tag: Tag, raised: Tag) -> None:
    options = CarriesOptions.model_validate({"phi": True})
    policy = Classify(options)
    at = {("patient", "family"): max(tag, raised, key=lambda one: one.rank)}
    said = policy.of_request(case({"family": "A"}, sends=("family",), tags=at))
    if raised is Tag.SEC or tag is Tag.SEC:
        assert isinstance(said, Stop)


def protecting(key: str | None = KEY, **options: Any) -> MinimumNecessary:
    def secrets(reference: SecretRef) -> str:
        if key is None:
            raise LookupError(reference.name)
        return key

    return build(ProtectOptions.model_validate({"token_key": "secret://env/K", **options}), secrets)


def seen(policy: MinimumNecessary, fields: Mapping[str, Any]) -> Record:
    said = policy.of_request(case(fields))
    assert isinstance(said, Case)
    assert said.record is not None
    return said.record


def test_fields_are_masked_replaced_and_made_coarse() -> None:
    policy = protecting(
        fields={
            "key": "token", "family": "mask", "ssn": "last4", "birth_date": "year", "postal_code": "zip3",
            "identifiers.value": "token", "account_numbers": "token", "email": "omit", "races": "mask",
        }
    )  # fmt: skip
    given_fields = {
        "family": "Rivera", "ssn": "555-12-3456", "birth_date": "1961-02-03", "postal_code": "60614",
        "identifiers": [{"value": "MR-1", "type": "MR"}], "account_numbers": ["A-1"],
        "email": "a@example.org", "city": "Springfield", "races": [{"code": "x"}], "given": None,
    }  # fmt: skip
    record = seen(policy, given_fields)
    hidden = token(KEY.encode(), "MR-1")
    assert record.key == hidden
    assert record.fields == {
        "family": "***", "ssn": "***3456", "birth_date": "1961", "postal_code": "606",
        "identifiers": [{"value": hidden, "type": "MR"}], "account_numbers": [token(KEY.encode(), "A-1")],
        "city": "Springfield", "races": [], "given": None,
    }  # fmt: skip
    assert given_fields["identifiers"] == [{"value": "MR-1", "type": "MR"}], "what came is not changed"


@pytest.mark.parametrize("key", [None, "short"])
def test_without_its_key_nothing_leaves(key: str | None) -> None:
    assert protecting(key, fields={"key": "token"}).of_request(case({})) is NO_KEY


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_token_is_the_same_for_the_same_value_alone(one: str, other: str) -> None:
    made = token(b"key", one)
    assert (made == token(b"key", other)) is (one == other)
    assert made != token(b"another key", one)
    assert len(one) < 6 or one not in made


IDENTIFYING = {
    "family": "PLANTED-1", "given": "PLANTED-2", "middle": "PLANTED-3", "ssn": "PLANTED-4",
    "phone": "PLANTED-5", "email": "PLANTED-6", "line1": "PLANTED-7", "line2": "PLANTED-8",
    "city": "PLANTED-9", "account_number": "PLANTED-10", "mother_maiden_name": "PLANTED-11",
    "religion": "PLANTED-12",
    "identifiers": [{"value": "PLANTED-13", "system": "NORTH", "type": "MR"}],
    "names": [{"family": "PLANTED-14", "use": "alias"}],
    "addresses": [{"line1": "PLANTED-15", "city": "PLANTED-16", "state": "IL", "postal_code": "60614"}],
    "contacts": [{"value": "PLANTED-17", "system": "phone"}], "not_a_field": "PLANTED-18",
    "primary_provider": "PLANTED-19", "account_numbers": ["PLANTED-20"],
}  # fmt: skip


def test_safe_harbor_leaves_no_identifier() -> None:
    record = Record("patient", "PLANTED-0", "upsert", {
        **IDENTIFYING, "birth_date": "1961-02-03", "sex": "female", "postal_code": "60614", "state": "IL",
        "deceased_at": "2024-05-06T07:08:09-05:00", "multiple_birth": False,
    })  # fmt: skip
    kept = deidentified(record, KEY.encode(), NOW_US)
    assert "PLANTED" not in repr(kept)
    assert kept.fields["birth_date"] == "1961"
    assert kept.fields["deceased_at"] == "2024-01-01T00:00:00+00:00"
    assert (kept.fields["postal_code"], kept.fields["state"]) == ("606", "IL")
    assert (kept.fields["sex"], kept.fields["multiple_birth"]) == ("female", False)
    assert kept.fields["identifiers"] == [
        {"value": token(KEY.encode(), "PLANTED-13"), "system": "NORTH", "type": "MR"}
    ]


def test_of_people_beyond_89_not_even_the_year_stays() -> None:
    born = {"birth_date": "1931-01-01"}
    kept = deidentified(Record("patient", "1", "upsert", born), KEY.encode(), NOW_US)
    assert "birth_date" not in kept.fields


@pytest.mark.parametrize(
    ("code", "kept"), [("60614", "606"), ("03601", "000"), ("89301-1", "000"), ("x", "000")]
)
def test_areas_with_few_people_are_not_told(code: str, kept: str) -> None:
    assert zip3(code) == kept


ADDRESSES: list[tuple[str, str, tuple[str, ...], bool]] = [
    ("ehr.example", "10.1.2.3", (), True),
    ("ehr.example", "93.184.216.34", (), True),
    ("ehr.example", "2001:db8::1", (), True),
    ("ehr.example", "127.0.0.1", (), False),
    ("ehr.example", "::1", (), False),
    ("ehr.example", "::ffff:127.0.0.1", (), False),
    ("ehr.example", "169.254.169.254", (), False),
    ("ehr.example", "::ffff:169.254.169.254", (), False),
    ("ehr.example", "fe80::1%eth0", (), False),
    ("ehr.example", "0.0.0.0", (), False),
    ("ehr.example", "224.0.0.1", (), False),
    ("ehr.example", "255.255.255.255", (), False),
    ("ehr.example", "no address", (), False),
    ("localhost", "127.0.0.1", (), True),
    ("127.0.0.1", "127.0.0.1", (), True),
    ("::1", "::1", (), True),
    ("ehr.example", "10.20.1.1", ("10.20.0.0/16",), True),
    ("ehr.example", "10.21.1.1", ("10.20.0.0/16",), False),
    ("ehr.example", "::ffff:10.20.1.1", ("10.20.0.0/16",), True),
]


@pytest.mark.parametrize(("host", "address", "networks", "permitted"), ADDRESSES)
def test_a_name_leads_to_addresses_of_its_target_alone(
    host: str, address: str, networks: tuple[str, ...], permitted: bool
) -> None:
    assert NetworkOptions.model_validate({"addresses": networks}).permits()(host, address) is permitted


# The order


def test_the_catalog_has_every_policy_of_the_order_that_is_a_component_in_its_place() -> None:
    always = [each for each in STANDARD.components if each.kind == "policy" and not each.when_declared]
    asked = "".join("".join(each.letters).strip() for each in always)
    assert asked == "plLcm"
    built = policies(
        ((each, each.options.model_validate({})) for each in always),
        lambda reference: reference.name,
    )
    assert built.of_request(case({}))[1] == REQUEST.removesuffix("v")
    assert built.of_attempt(NOW_US) == (None, ATTEMPT[:1])


def test_each_policy_that_is_left_out_is_seen() -> None:
    whole = REQUEST + ATTEMPT
    assert left_out(whole) == ""
    for step in ORDER:
        if step.always:
            assert step.letter in left_out(whole.replace(step.letter, "", 1))


def test_a_step_that_the_file_declares_is_missed_where_it_was_not_asked_and_no_other_is() -> None:
    of_some = [step.letter for step in ORDER if not step.always]
    for letter in of_some:
        whole = "".join(step.letter for step in ORDER if step.always or step.letter == letter)
        assert left_out(declared(letter) + whole) == ""
        assert left_out(declared(letter) + REQUEST + ATTEMPT) == letter
        assert left_out(whole) != ""
        assert in_words(declared(letter) + whole) == f"all {len(whole)} passed"


def test_what_was_let_through_with_a_notice_counts_as_asked_and_is_told() -> None:
    whole = declared("q") + REQUEST.replace("m", "qm") + declared("Q") + ATTEMPT.replace("b", "Q[why]b")
    assert (left_out(whole), notices_in(whole)) == ("", ["why"])
    assert in_words(whole).endswith("passed (why)")


def test_two_policies_in_the_wrong_order_are_seen() -> None:
    whole = REQUEST + ATTEMPT
    for place in range(len(whole) - 1):
        swapped = whole[:place] + whole[place + 1] + whole[place] + whole[place + 2 :]
        assert left_out(swapped) != ""


def test_nothing_is_asked_after_the_policy_that_stopped_it() -> None:
    for place, step in enumerate(step for step in ORDER if step.always):
        asked = (REQUEST + ATTEMPT)[:place] + stopped(step.letter, "why")
        assert left_out(asked) == ""
        assert place == 0 or left_out(asked[1:]) != ""
