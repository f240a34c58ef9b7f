"""A folder becomes a topology: the values, the files that count, and what is refused about files."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from config_site import API, CATALOG, CHANNEL, FILES, MAPPING, edited, write_site
from fewer_rights import folder_of_nobody, nobody

from bridge.config.compiled import Compiled
from bridge.config.load import check, load
from bridge.config.topology import Topology, accepts
from bridge.config.yaml_tree import FILE_SIZE_MAX_BYTES
from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.breaker import BreakerPolicy
from bridge.errors import ConfigurationRefused
from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Place
from bridge.transports.mllp_options import MllpOptions
from bridge.units import SecretRef

C, A, M = FILES
UNUSED = MAPPING.replace("mapping: adt-admit", "mapping: unused")


def topology(folder: Path, files: Mapping[str, str | bytes] | None = None) -> Topology:
    return load(write_site(folder, dict(FILES) if files is None else files), CATALOG)


def refused(folder: Path, environment: str | None = None) -> list[tuple[str, str]]:
    with pytest.raises(ConfigurationRefused) as raised:
        load(folder, CATALOG, environment=environment)
    return [(problem.code, str(problem.place)) for problem in raised.value.problems]


def test_a_channel_file_comes_to_a_channel_with_every_default_filled_in(tmp_path: Path) -> None:
    channel = topology(tmp_path).channels["adt"]
    assert channel.source.component.name == "mllp"
    assert channel.source.options.model_dump() == {
        "listen": "tcp:2575",
        "acknowledge": "journaled",
        "idle": 60.0,
    }
    assert channel.format.options.model_dump() == {"charset": "utf-8"}
    assert channel.accept == {"ADT^A01", "ADT^A08"}
    assert (channel.otherwise, channel.on_no_key) == ("reject", "quarantine")
    assert channel.processing_ids == {"P"}
    assert channel.duplicates_window_s == 7 * 86400
    assert len(channel.order_by) == 1
    assert channel.order_by_type == {}
    route = channel.routes[0]
    assert (route.name, route.record, route.api, route.on_poison) == (
        "patient",
        "patient",
        "ehr.patients",
        "block_key",
    )
    assert route.operations == {"upsert": "putPatient"}
    assert route.when is not None
    assert route.plan is not None
    assert route.plan.name == "adt-admit"


def test_an_api_file_comes_to_an_api(tmp_path: Path) -> None:
    api = topology(
        tmp_path,
        edited(
            A, "repeat_safety: header", "limits: {in_flight: 3}\nretry: {base: 500ms, poison_attempts: 1}"
        ),
    ).apis["ehr.patients"]
    assert api.destination.component.name == "http_api"
    assert api.destination.options.model_dump() == {"base_url": "https://ehr.example"}
    assert api.operations["putPatient"].model_dump(exclude={"limits", "query"}) == {
        "method": "PUT",
        "path": "/patients/{key}",
        "send_only": ("key", "family"),
    }
    assert api.credential is not None
    assert dict(api.credential.options) == {"key": SecretRef("env", "EHR_KEY")}
    assert (api.in_flight_max, api.retry, api.repeat_safety) == (3, RetryPolicy(0.5, 300.0, 1), "none")


def test_no_credential_is_needed_on_this_machine(tmp_path: Path) -> None:
    for number, url in enumerate(["http://127.0.0.1:8080", "http://localhost:1/x", "http://[::1]:1"]):
        files = edited(A, "https://ehr.example\nauth: {api_key: {key: secret://env/EHR_KEY}}", f'"{url}"')
        assert topology(tmp_path / str(number), files).apis["ehr.patients"].credential is None


def test_the_shortest_files_are_enough(tmp_path: Path) -> None:
    channel = CHANNEL.replace("format: {hl7v2: {charset: utf-8}}\naccept: [ADT^A01, ADT^A08]\n", "")
    channel = channel.replace("    when: PID-8.1 in ['F', 'M']\n", "")
    channel = channel.replace("operations: {upsert: putPatient}", "operation: putPatient")
    found = topology(tmp_path, {**FILES, C: channel}).channels["adt"]
    assert found.format.component.name == "hl7v2"
    assert found.accept == {"ADT^A01", "ADT^A08"}, "all that the mapping accepts"
    assert found.routes[0].when is None
    assert set(found.routes[0].operations) == {"upsert", "replace", "cancel", "delete", "merge"}


def test_a_key_is_taken_by_the_message_type_or_else_by_default(tmp_path: Path) -> None:
    files = edited(C, "order_by: PID-3.1", "order_by: {default: PID-3.1, ADT^A08: PID-18.1}")
    channel = topology(tmp_path, files).channels["adt"]
    assert set(channel.order_by_type) == {"ADT^A08"}
    body = "MSH|^~\\&|A|B|C|D|20240102||ADT^{}|1|P|2.5\rPID|1||77||DOE|||||||||||||88\r"
    keys = [channel.keys_of(Hl7Message.read(body.format(event).encode())) for event in ("A01", "A08")]
    assert [len(found) for found, _ in keys] == [1, 1]
    assert keys[0] != keys[1]
    assert all(complete for _, complete in keys)


def test_several_keys_are_each_once_and_tell_when_one_is_missing(tmp_path: Path) -> None:
    both = "order_by: {default: {all: [PID-3.1, MRG-1]}}"
    channel = topology(tmp_path, edited(C, "order_by: PID-3.1", both)).channels["adt"]
    body = "MSH|^~\\&|A|B|C|D|20240102||ADT^A01|1|P|2.5\rPID|1||77||DOE\r"
    found = {
        text: channel.keys_of(Hl7Message.read((body + text).encode()))
        for text in ("MRG|88\r", "MRG|77\r", "")
    }
    assert found == {
        "MRG|88\r": (("77", "88"), True),
        "MRG|77\r": (("77",), True),
        "": (("77",), False),
    }


def test_the_message_says_which_api_where_a_route_has_several(tmp_path: Path) -> None:
    to = "{api: ehr.patients, operations: {upsert: putPatient}}"
    choice = "{select: MSH-4.1, from: {NORTH: ehr.patients, 007: ehr.patients}, operation: putPatient}"
    (route,) = topology(tmp_path, edited(C, to, choice)).channels["adt"].routes
    body = "MSH|^~\\&|A|{}|C|D|20240102||ADT^A01|1|P|2.5\r"
    assert route.apis == ("ehr.patients",)
    assert route.otherwise == "quarantine"
    found = [route.api_for(Hl7Message.read(body.format(site).encode())) for site in ("NORTH", "007", "X", "")]
    assert found == ["ehr.patients", "ehr.patients", None, None]


def test_what_protects_an_api_is_read_with_its_units(tmp_path: Path) -> None:
    written = (
        "repeat_safety: header\nlimits: {in_flight: 3, rate: 90/m, burst: 4}\n"
        "breaker: {window: 1m, min_calls: 5, failure_ratio: 0.2, consecutive: 9, open: 2s, open_max: 1m}\n"
        "retry: {base: 2s, cap: 1m, poison_attempts: 5, not_found_for: 2h}"
    )
    api = topology(tmp_path, edited(A, "repeat_safety: header", written)).apis["ehr.patients"]
    assert (api.in_flight_max, api.rate_per_s, api.burst) == (3, 1.5, 4)
    assert api.breaker == BreakerPolicy(60.0, 5, 0.2, 9, 2.0, 60.0)
    assert api.retry == RetryPolicy(2.0, 60.0, 5, 7200.0)
    usual = topology(tmp_path / "usual", dict(FILES)).apis["ehr.patients"]
    assert (usual.rate_per_s, usual.breaker, usual.retry) == (None, BreakerPolicy(), RetryPolicy())


def test_what_a_sender_waits_for_is_in_its_source(tmp_path: Path) -> None:
    options = MllpOptions.model_validate(
        {"listen": "tcp:2575", "acknowledge": "delivered", "answer": {"within": "3s", "late": "AA"}}
    )
    assert (options.acknowledge, options.answer.within, options.answer.late) == ("delivered", 3.0, "AA")
    with pytest.raises(ValueError, match="on disk is soon enough"):
        MllpOptions.model_validate({"listen": "tcp:2575", "answer": {"within": "3s"}})
    channel = topology(tmp_path, dict(FILES)).channels["adt"]
    assert (channel.acknowledge, channel.control_ids_unique, dict(channel.search)) == ("journaled", False, {})


def test_how_a_sender_is_answered_is_in_its_source(tmp_path: Path) -> None:
    options = MllpOptions.model_validate(
        {"listen": "tcp:2575", "mode": "from-message", "application_ack": "tcp:ehr.example:2580"}
    )
    assert (options.mode, options.application_ack) == ("from-message", "tcp:ehr.example:2580")
    assert MllpOptions.model_validate({"listen": "tcp:2575", "acknowledge": "never"}).mode == "original"
    channel = topology(tmp_path, dict(FILES)).channels["adt"]
    assert (channel.mode, channel.application_ack) == ("original", None)


ANSWERED_WRONGLY = [
    ({"acknowledge": "never", "mode": "enhanced"}, "says nothing in any mode"),
    ({"acknowledge": "never", "answer": {"within": "3s"}}, "on disk is soon enough"),
    ({"application_ack": "tcp:ehr.example:2580"}, "original has one answer"),
    ({"mode": "enhanced", "application_ack": "tcp:2580"}, "expected where the sender listens, tcp:HOST:PORT"),
    ({"mode": "enhanced", "application_ack": "tcp:h:99999"}, "expected a port from 1 to 65535"),
    ({"mode": "enhaced"}, "from-message"),
]


@pytest.mark.parametrize(("written", "words"), ANSWERED_WRONGLY)
def test_answers_that_contradict_each_other_are_refused(written: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MllpOptions.model_validate({"listen": "tcp:2575", **written})


def test_a_channel_without_an_order_says_what_happens_instead(tmp_path: Path) -> None:
    channel = topology(tmp_path, edited(C, "order_by: PID-3.1", "on_no_key: unordered")).channels["adt"]
    assert channel.order_by == ()
    assert channel.keys_of(Hl7Message.read(b"MSH|^~\\&|\r")) == ((), False)


@pytest.mark.parametrize(
    ("patterns", "message_type", "answer"),
    [
        ({"ADT^A01"}, "ADT^A01", True),
        ({"ADT^A01"}, "ADT^A02", False),
        ({"ADT^*"}, "ADT^A02", True),
        ({"ADT^*"}, "ADT", True),
        ({"ADT^*"}, "ORU^R01", False),
        ({"ADT^*"}, "ADT^*", True),
        ({"ADT^A01"}, "ADT^*", False),
        ({"ACK"}, "ACK", True),
    ],
)
def test_patterns_of_message_types(patterns: set[str], message_type: str, answer: bool) -> None:
    assert accepts(frozenset(patterns), message_type) is answer


def test_secrets_are_listed_with_their_places_and_not_looked_up(tmp_path: Path) -> None:
    found = topology(tmp_path)
    assert found.secrets == ((SecretRef("env", "EHR_KEY"), Place(A, 3, 23)),)


def test_equal_files_have_equal_digests_and_one_byte_makes_another(tmp_path: Path) -> None:
    first, same = topology(tmp_path / "a"), topology(tmp_path / "b")
    other = topology(tmp_path / "c", {**FILES, A: API + "# x\n"})
    assert first.digest == same.digest != other.digest
    assert sorted(first.files) == sorted(FILES)
    assert [path for path in FILES if first.files[path] != other.files[path]] == [A]
    assert first.files[M] == first.plans["adt-admit"].digest


def test_a_mapping_that_stands_as_it_was_is_not_compiled_again(tmp_path: Path) -> None:
    before = Compiled()
    site = write_site(tmp_path, {**FILES, M: MAPPING, "mappings/unused.yaml": UNUSED})
    first = load(site, CATALOG, before=before)
    again = load(site, CATALOG, before=before)
    assert (again.plans, again.warnings) == (first.plans, first.warnings) != ({}, ())
    assert [again.plans[name] is plan for name, plan in first.plans.items()] == [True, True]
    (site / M).write_text(MAPPING.replace("family: PID-5.1", "family: PID-5.2"))
    changed = load(site, CATALOG, before=before)
    assert changed.plans["adt-admit"].digest != first.plans["adt-admit"].digest
    assert changed.plans["unused"] is first.plans["unused"]


def test_a_mapping_with_a_mistake_is_looked_at_each_time(tmp_path: Path) -> None:
    before = Compiled()
    site = write_site(tmp_path, {**FILES, M: MAPPING + "tables: {sex: tables/sex.csv}\n"})
    with pytest.raises(ConfigurationRefused, match="there is no tables"):
        load(site, CATALOG, before=before)
    (site / "mappings/tables/sex.csv").mkdir(parents=True)
    with pytest.raises(ConfigurationRefused, match="cannot be read"):
        load(site, CATALOG, before=before)


def test_a_folder_without_channels_is_told_what_a_configuration_is(tmp_path: Path) -> None:
    assert refused(tmp_path) == [("C150", "channels:1:1")]
    assert refused(tmp_path / "nothing")[0][0] == "C150"
    (tmp_path / "channels").mkdir()
    assert refused(tmp_path) == [("C151", "channels:1:1")]


def test_what_is_hidden_or_has_another_ending_is_not_a_channel(tmp_path: Path) -> None:
    files = {**FILES, "channels/.ehr.yaml": "[", "channels/README.md": "[", "channels/adt.yaml~": "["}
    assert set(topology(tmp_path, files).files) == set(FILES)


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_followed(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", dict(FILES))
    (site / "..data").mkdir()
    (site / C).rename(site / "..data" / "adt.yaml")
    (site / C).symlink_to("../..data/adt.yaml")
    assert load(site, CATALOG).channels.keys() == {"adt"}
    (tmp_path / "outside.yaml").write_text(MAPPING)
    (site / M).unlink()
    (site / M).symlink_to(tmp_path / "outside.yaml")
    assert ("C153", f"{M}:1:1") in refused(site)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    site = write_site(tmp_path, dict(FILES))
    os.mkfifo(site / "channels" / "pipe.yaml")
    (site / "channels" / "folder.yaml").mkdir()
    (site / "channels" / "nowhere.yaml").symlink_to("gone.yaml")
    assert refused(site) == [("C152", f"channels/{name}.yaml:1:1") for name in ("folder", "nowhere", "pipe")]


@pytest.mark.parametrize("path", [*FILES, "channels/environments/prod.yaml"])
@pytest.mark.parametrize("by", ["no file", "its size"])
def test_what_is_there_and_cannot_be_read_is_the_only_mistake(tmp_path: Path, path: str, by: str) -> None:
    named = edited(A, "https://ehr.example", "value://ehr-url")
    environment = "environment: prod\nproduction: false\nvalues: {ehr-url: https://ehr.example}\n"
    site = write_site(tmp_path, {**named, "channels/environments/prod.yaml": environment})
    assert load(site, CATALOG, environment="prod").channels
    (site / path).unlink()
    if by == "no file":
        (site / path).mkdir()
    else:
        (site / path).write_bytes(b"#" * (FILE_SIZE_MAX_BYTES + 1))
    expected = [("C152" if by == "no file" else "C108", f"{path}:1:1")]
    assert refused(site, "prod") == expected
    assert [problem.code for problem in check(site, CATALOG).problems] == [expected[0][0]]


@pytest.mark.parametrize("folder", ["channels/apis", "mappings"])
def test_a_folder_that_is_a_file_is_the_only_mistake(tmp_path: Path, folder: str) -> None:
    site = write_site(
        tmp_path, {path: text for path, text in FILES.items() if Path(path).parent.name != Path(folder).name}
    )
    (site / folder).write_text("")
    assert refused(site) == [("C152", f"{folder}:1:1")]


def test_a_folder_of_channels_without_rights_is_the_only_mistake() -> None:
    with folder_of_nobody() as folder:
        site = write_site(folder, dict(FILES))
        (site / "channels").chmod(0o000)
        with nobody():
            assert refused(site) == [("C152", "channels:1:1")]


def test_a_mistake_in_a_mapping_makes_no_field_of_the_sites_own_unknown(tmp_path: Path) -> None:
    own = edited(A, "[key, family]", "[key, family, ext.ward]")
    mapping = MAPPING.replace(
        "      family: PID-5.1\n", "      family: PID-5.1\n    ext: {ward: {from: PV1-3.1, tag: PHI}}\n"
    )
    assert topology(tmp_path / "right", {**own, M: mapping}).channels
    broken = write_site(tmp_path / "broken", {**own, M: mapping.replace("PID-5.1", "PID-5..1")})
    assert [place.partition(":")[0] for _, place in refused(broken)] == [M]


def test_a_table_and_a_fragment_that_cannot_be_read_are_not_called_missing(tmp_path: Path) -> None:
    mapping = (
        MAPPING.replace(
            "      family: PID-5.1\n", "      family: PID-5.1\n      sex: {from: PID-8.1, translate: sex}\n"
        ).replace("    set:\n", "    set:\n      include: names\n")
        + "tables: {sex: tables/sex.csv}\n"
    )
    site = write_site(tmp_path, {**FILES, M: mapping})
    for path in ("mappings/tables/sex.csv", "mappings/fragments/names.yaml"):
        (site / path).mkdir(parents=True)
    with pytest.raises(ConfigurationRefused) as raised:
        load(site, CATALOG)
    said = [problem.text for problem in raised.value.problems if problem.place.file == M]
    assert said == ["the fragment 'names' cannot be read", "table 'sex': tables/sex.csv cannot be read"]


def test_a_huge_file_is_refused_at_once(tmp_path: Path) -> None:
    site = write_site(tmp_path, dict(FILES))
    with (site / "channels" / "dump.yaml").open("wb") as file:
        file.truncate(50 * 1024**2)
    started_s = time.process_time()
    assert refused(site) == [("C108", "channels/dump.yaml:1:1")]
    assert time.process_time() - started_s < 2


def test_a_name_that_cannot_be_printed_is_shown_all_the_same(tmp_path: Path) -> None:
    site = write_site(tmp_path, dict(FILES))
    Path(os.fsdecode(os.fsencode(site / "channels") + b"/\xff\n.yaml")).write_text("")
    assert refused(site) == [("C106", "channels/\\xff\\n.yaml:1:1")]


def test_problems_of_mappings_are_told_with_those_of_the_other_files(tmp_path: Path) -> None:
    write_site(
        tmp_path, {C: CHANNEL.replace("accept", "acept"), A: API, M: "mapping: adt-admit\nversion: 1\n"}
    )
    found = refused(tmp_path)
    assert ("C120", f"{C}:6:1") in found
    assert any(place.startswith(f"{M}:") for _, place in found)
    assert not [code for code, _ in found if code == "C130"], "the mapping is there, its mistakes are told"
    assert found == sorted(found, key=lambda each: each[1].split(":")[0])


def test_a_channel_that_reads_a_component_which_no_version_has_is_warned_of_and_runs(tmp_path: Path) -> None:
    found = topology(tmp_path, edited(C, "order_by: PID-3.1", "order_by: PID-3.99"))
    assert [(each.code, each.severity) for each in found.warnings] == [("E119", "warning")]
    assert found.channels["adt"].order_by
