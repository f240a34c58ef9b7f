"""What leaves: a record's fields, JSON that a mapping makes of them, or the record with all that is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from bridge.canonical.envelope import Envelope
from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.config.topology import Topology
from bridge.delivery.state import DeliveryState
from bridge.destinations.http_requests import read_request
from bridge.errors import ConfigurationRefused
from bridge.journal.hashes import Hashes
from bridge.journal.messages import NewDelivery, Untranslated
from bridge.runtime.making import Made
from bridge.runtime.parts import makers

CHANNEL = """\
channel: adt
owner: team
source: {mllp: {listen: "tcp:0"}}
accept: [ADT^A01]
order_by: PID-3.1
routes:
  - {route: visit, mapping: adt, record: encounter, to: {api: rcm, operations: {upsert: putVisit}}}
"""
API = """\
api: rcm
base_url: http://127.0.0.1:9
repeat_safety: header
carries: {phi: true}
owner: {team: rcm}
operations:
  putVisit:
    method: PUT
    path: /visits/{key}
    send_only: [key, facility, class, start, ward, bed, length_of_stay_days, ext.study, event_time]
"""
MAPPING = """\
mapping: adt
version: 1.2.3
owner: team
target: canonical/1
source: {format: hl7v2, accept: [ADT^A01], timezone: America/Chicago}
tables:
  class: {I: inpatient}
emit:
  - record: encounter
    key: join(':', MSH-4.1, PV1-19.1)
    set:
      patient: PID-3.1
      facility: MSH-4.1
      class: {from: PV1-2, translate: class, default: unknown}
      start: PV1-44
      event_time: [EVN-6, EVN-2]
      ward: PV1-3.1
      bed: PV1-3.3
      length_of_stay_days: PV2-11 | decimal
    ext:
      study: {from: ZST-1, tag: PHI}
      hidden: {from: ZST-2, tag: PHI}
"""
BODY = """\
mapping: rcm-visit
version: 1.0.0
owner: team
target: canonical/1
source: {format: record, record: encounter}
tables:
  class: {inpatient: IP}
emit:
  - json: object
    set:
      id: $.key
      class: {from: $.class, translate: class, default: OTHER}
      place: {object: {ward: $.ward, bed: $.bed}}
      days: $.length_of_stay_days | decimal
      asked: $.operation
      site: $meta.facility
      by: $meta.mapping
      study: $.ext.study
"""
MESSAGE = r"""MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102031500||ADT^A01|Q1|P|2.5.1
EVN|A01|20240102031000
PID|1||4711||OKAFOR^MAREN
PV1|1|I|3W^310^""||||||||||||||||V/77|||||||||||||||||||||||||20240102030000-0500
PV2|||||||||||2.50
ZST|ARM-B|SECRET"""


def site(folder: Path, *, api: str = API, body: str = BODY, mapping: str = MAPPING) -> Topology:
    files = {"channels/adt.yaml": CHANNEL, "channels/apis/rcm.yaml": api, "mappings/adt.yaml": mapping}
    for path, text in {**files, "mappings/rcm-visit.yaml": body}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return load(folder, STANDARD)


def made_of(topology: Topology, message: str = MESSAGE) -> Made:
    def no_secret(_: object) -> str:
        raise LookupError

    maker = makers(topology, no_secret, lambda: 1_700_000_000_000_000, Hashes(b"k" * 32))["adt"]
    return maker.make(Untranslated(7, message.encode(), received_at_us=1_704_186_900_123_456))


def sent(made: Made) -> Any:
    (delivery,) = made.deliveries
    assert delivery.state is DeliveryState.READY, delivery.reason
    assert delivery.request is not None
    request = read_request(delivery.request)
    assert request is not None
    return request


def with_body(body: str, more: str = "") -> str:
    return API + f"    body: {body}\n" + more


def test_without_a_body_the_listed_fields_leave_and_the_sites_own_below_ext(tmp_path: Path) -> None:
    body = orjson.loads(sent(made_of(site(tmp_path))).body)
    assert body == {
        "key": "NORTH:V/77",
        "facility": "NORTH",
        "class": "inpatient",
        "start": "2024-01-02T03:00:00-05:00",
        "ward": "3W",
        "bed": None,
        "length_of_stay_days": "2.50",
        "event_time": "2024-01-02T03:10:00-06:00",
        "ext": {"study": "ARM-B"},
    }


def test_a_mapping_makes_the_body_of_what_may_leave_digit_for_digit(tmp_path: Path) -> None:
    request = sent(made_of(site(tmp_path, api=with_body("rcm-visit"))))
    assert b'"days":2.50' in request.body, "a number never passes through a float"
    told = orjson.loads(request.body)
    assert told.pop("by").startswith("adt@1.2.3+")
    assert told == {
        "id": "NORTH:V/77",
        "class": "IP",
        "place": {"ward": "3W", "bed": None},
        "days": 2.5,
        "asked": "upsert",
        "site": "NORTH",
        "study": "ARM-B",
    }
    assert request.path == "/visits/NORTH%3AV%2F77"


def test_nulls_omit_leaves_what_is_deleted_out_of_a_body_too(tmp_path: Path) -> None:
    request = sent(made_of(site(tmp_path, api=with_body("rcm-visit", "    nulls: omit\n"))))
    assert orjson.loads(request.body)["place"] == {"ward": "3W"}


def test_a_body_reads_the_record_as_policies_left_it(tmp_path: Path) -> None:
    api = with_body("rcm-visit") + "protect: {fields: {ward: mask, ext.study: omit}}\n"
    told = orjson.loads(sent(made_of(site(tmp_path, api=api))).body)
    assert told["place"]["ward"] == "***"
    assert "study" not in told


def test_the_envelope_says_all_that_is_known_and_is_what_its_model_says(tmp_path: Path) -> None:
    topology = site(tmp_path, api=with_body("envelope"))
    body = orjson.loads(sent(made_of(topology)).body)
    assert Envelope.model_validate_json(orjson.dumps(body))
    assert body["operation"] == "upsert"
    assert body["clear"] == ["bed"]
    assert body["ext"] == {"study": {"value": "ARM-B", "tag": "PHI"}}
    assert "patient" not in body["fields"], "nothing leaves that is not listed"
    assert body["event_time"] == {"at": "2024-01-02T03:10:00-06:00"}
    assert body["meta"] == {
        "source_system": "HIS",
        "facility": "NORTH",
        "message_id": "Q1",
        "message_type": "ADT^A01",
        "received_at": "2024-01-02T09:15:00.123456+00:00",
        "mapping": f"adt@1.2.3+{topology.plans['adt'].digest}",
        "model": "canonical/1",
        "sequence": "1",
        "classification": "PHI",
    }


def test_what_a_body_notices_is_noted_with_the_message(tmp_path: Path) -> None:
    mapping = MAPPING.replace("class: {I: inpatient}", "class: {I: emergency}")
    made = made_of(site(tmp_path, api=with_body("rcm-visit"), mapping=mapping))
    assert orjson.loads(sent(made).body)["class"] == "OTHER"
    assert [(each["mapping"], each["code"], each["field"]) for each in orjson.loads(made.issues)] == [
        ("rcm-visit", "R030", "class")
    ]


def test_a_record_of_which_no_body_can_be_made_waits_for_a_person(tmp_path: Path) -> None:
    body = BODY.replace("id: $.key", "id: {from: $.key | decimal}")
    (delivery,) = made_of(site(tmp_path, api=with_body("rcm-visit"), body=body)).deliveries
    assert (delivery.state, delivery.reason) == (DeliveryState.QUARANTINED, "request-refused")


def test_parameters_and_headers_are_of_the_record_and_left_out_where_it_has_none(tmp_path: Path) -> None:
    api = with_body("rcm-visit").replace(
        "    send_only:",
        '    params: {site: "{facility}", bed: "{bed}", as: hub & co}\n'
        '    headers: {X-Class: "{class}", X-Bed: "{bed}"}\n    send_only:',
    )
    request = sent(made_of(site(tmp_path, api=api)))
    assert request.target == "/visits/NORTH%3AV%2F77?site=NORTH&as=hub%20%26%20co"
    assert request.headers == {"X-Class": "inpatient"}


@pytest.mark.parametrize("ward", ["3W\\X0A\\X-Evil: 1", "STATION GRÜN"])
def test_what_cannot_stand_in_a_header_is_not_sent(tmp_path: Path, ward: str) -> None:
    api = API.replace("    send_only:", '    headers: {X-Ward: "{ward}"}\n    send_only:')
    (delivery,) = made_of(site(tmp_path, api=api), MESSAGE.replace("|3W^", f"|{ward}^")).deliveries
    assert (delivery.state, delivery.reason) == (DeliveryState.QUARANTINED, "request-refused")


def test_a_change_of_a_bodys_mapping_is_a_change_of_the_api(tmp_path: Path) -> None:
    before = site(tmp_path, api=with_body("rcm-visit")).apis["rcm"].digest
    after = site(tmp_path, api=with_body("rcm-visit"), body=BODY.replace("OTHER", "REST")).apis["rcm"].digest
    assert before != after


MISTAKES = {
    "a mapping that is not there": (with_body("rcm-visits"), BODY, "C130", "did you mean 'rcm-visit'?"),
    "a mapping that makes records": (with_body("adt"), BODY, "C147", "makes no JSON"),
    "a mapping of another record": (
        with_body("rcm-visit"),
        BODY.replace("record: encounter", "record: patient").replace("$.class", "$.sex").replace(
            "{ward: $.ward, bed: $.bed}", "{ward: $.city}"
        ).replace("      days: $.length_of_stay_days | decimal\n", ""),
        "C147",
        "reads patient, and a route sends encounter",
    ),
    "a mapping that reads what may not leave": (
        with_body("rcm-visit").replace(" ward,", ""),
        BODY,
        "C136",
        "reads ward, which this operation may not send",
    ),
    "a field of the site's own that no mapping sets": (
        API.replace("ext.study", "ext.studies"),
        BODY,
        "C135",
        "did you mean 'ext.study'?",
    ),
    "a header that is the call's own": (
        API.replace("    send_only:", "    headers: {authorization: x}\n    send_only:"),
        BODY,
        "C122",
        "the call itself does not have",
    ),
    "a parameter of a field that is not listed": (
        API.replace("    send_only:", '    params: {a: "{room}"}\n    send_only:'),
        BODY,
        "C136",
        "add room to send_only",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_said_before_anything_runs(tmp_path: Path, name: str) -> None:
    api, body, code, text = MISTAKES[name]
    with pytest.raises(ConfigurationRefused) as refused:
        site(tmp_path, api=api, body=body)
    shown = [str(problem) for problem in refused.value.problems if problem.severity == "error"]
    assert [each for each in shown if f": {code}" in each and text in each], shown


def test_every_record_has_the_name_version_and_digest_of_its_mapping(tmp_path: Path) -> None:
    topology = site(tmp_path)
    delivery: NewDelivery
    for delivery in made_of(topology).deliveries:
        assert (delivery.mapping, delivery.mapping_digest) == ("adt@1.2.3", topology.plans["adt"].digest)


FURTHER = MAPPING.replace(
    "      bed: PV1-3.3\n",
    "      bed: PV1-3.3\n      diagnoses: {mode: add, list: {for_each: DG1, set: {code: DG1-3.1}}}\n",
)
DIAGNOSED = MESSAGE + "\nDG1|1||I10^Hypertension"


def lists_diagnoses(*more: str) -> str:
    return API.replace("event_time]", ", ".join(["event_time", "diagnoses", *more]) + "]")


def test_the_api_hears_which_lists_are_added_to(tmp_path: Path) -> None:
    plain = site(tmp_path / "plain", api=lists_diagnoses("adds"), mapping=FURTHER)
    body = orjson.loads(sent(made_of(plain, DIAGNOSED)).body)
    assert (body["diagnoses"], body["adds"]) == ([{"code": "I10"}], ["diagnoses"])
    assert "adds" not in orjson.loads(sent(made_of(plain)).body), "there is no list"
    whole = site(tmp_path / "whole", api=lists_diagnoses() + "    body: envelope\n", mapping=FURTHER)
    assert orjson.loads(sent(made_of(whole, DIAGNOSED)).body)["adds"] == ["diagnoses"]
    asked = BODY + "      how: if('diagnoses' in $.adds(*), 'append', 'replace')\n"
    for name, mapping, how in (
        ("further", FURTHER, "append"),
        ("all", FURTHER.replace("add,", "snapshot,"), "replace"),
    ):
        made = site(
            tmp_path / name, api=lists_diagnoses() + "    body: rcm-visit\n", body=asked, mapping=mapping
        )
        assert orjson.loads(sent(made_of(made, DIAGNOSED)).body)["how"] == how


def test_a_list_that_would_look_like_all_there_is_is_warned_of(tmp_path: Path) -> None:
    (found,) = (
        each
        for each in site(tmp_path, api=lists_diagnoses(), mapping=FURTHER).warnings
        if each.code == "C210"
    )
    assert "adds to diagnoses" in found.text
    told = site(tmp_path / "told", api=lists_diagnoses("adds"), mapping=FURTHER)
    assert [each for each in told.warnings if each.code == "C210"] == []
