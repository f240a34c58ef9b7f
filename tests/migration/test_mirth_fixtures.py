"""Exports of every version, as files: what they become, and what their mappings then make of messages."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from code_reading import ROOT
from mirth_exports import read, trial

from bridge.catalog import STANDARD
from bridge.cli.migrate import export_of
from bridge.config.load import check, load_mapping
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.rows import RowsFormat
from bridge.formats.x12_format import X12Format
from bridge.migration.mirth.convert import Converted, convert
from bridge.migration.mirth.model import Export
from bridge.migration.mirth.outcomes import Outcome

FIXTURES = ROOT / "legacy_fixtures" / "mirth"
EXPORTS = (
    "v2.2_adt.xml",
    "v3.4_adt.xml",
    "v3.12_server.xml",
    "v4.5_runs.xml",
    "v4.5_by_hand.xml",
    "v4.5_files.xml",
    "mirthsync",
)
INVENTED_SECRET = re.compile(r"invented-secret-\d")


def _export(name: str) -> Export:
    return export_of([FIXTURES / name])


def _converted(name: str) -> Converted:
    return convert(_export(name), trial)


def _written(name: str, folder: Path) -> Path:
    for path, text in _converted(name).files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "channels").mkdir(exist_ok=True)
    return folder


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_gives_the_files_that_are_kept(name: str) -> None:
    """`GOLDEN=1` writes them anew; look at the difference before you keep it."""
    folder = FIXTURES / "golden" / name.removesuffix(".xml")
    files = _converted(name).files
    if os.environ.get("GOLDEN"):
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    kept = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.yaml")}
    assert kept == dict(files)


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_written_passes_the_check(name: str, tmp_path: Path) -> None:
    checked = check(_written(name, tmp_path), STANDARD)
    assert [str(each) for each in checked.problems if each.severity == "error"] == []


@pytest.mark.parametrize("name", EXPORTS)
def test_no_secret_of_an_export_is_written(name: str) -> None:
    converted = _converted(name)
    texts = [
        *converted.files.values(),
        *(each.reason for channel in converted.channels for each in channel.outcomes),
    ]
    assert [found for text in texts for found in INVENTED_SECRET.findall(text)] == []


def test_every_secret_of_the_exports_is_found() -> None:
    """Each of them is planted once; as many places are told."""
    planted = sum(
        len(INVENTED_SECRET.findall((FIXTURES / name).read_text()))
        for name in EXPORTS
        if name.endswith(".xml")
    )
    assert planted == 6
    assert sum(len(_export(name).secrets) for name in EXPORTS) == planted


def _outcomes() -> list[Outcome]:
    return [each for name in EXPORTS for channel in _converted(name).channels for each in channel.outcomes]


def test_every_kind_of_element_is_among_them_and_has_an_outcome() -> None:
    kinds = Counter(each.element.kind for each in _outcomes())
    assert set(kinds) == {
        "mapper", "message-builder", "javascript", "xslt", "external-script", "iterator", "destination-set",
        "rule-builder", "javascript-rule", "external-rule", "iterator-rule", "script", "unknown",
    }  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_every_element_is_accounted_for_exactly_once(name: str) -> None:
    export = _export(name)
    elements = [
        (channel.file, each.xpath)
        for channel in export.channels
        for element in channel.elements
        for each in element.every()
    ]
    outcomes = [
        (channel.plan.channel.file, each.element.xpath)
        for channel in convert(export, trial).channels
        for each in channel.outcomes
    ]
    assert Counter(outcomes) == Counter(elements)
    assert len(set(outcomes)) == len(outcomes)


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_not_converted_has_its_reason_and_stands_in_a_file(name: str) -> None:
    converted = _converted(name)
    for channel in converted.channels:
        texts = "".join(text for path, text in channel.files.items())
        for each in channel.outcomes:
            assert each.word == "converted" or each.reason
            if each.word == "manual":
                assert each.element.xpath in texts


ADT = (
    "MSH|^~\\&|EHR|N|HUB|OLD|20240102031500||ADT^A01|Q1|P|2.5.1\r"
    "PID|1||100234^^^NORTH^MR~9^^^X^PI||OKAFOR^MAREN||19800229|F|||||(512)555-0100||||||900-11-2233\r"
    "NK1|1|OKAFOR^JON\r"
    "PV1|1|I|3W^310^B||||||||||||||||V-77\r"
)
ROUTINE = ADT.replace("PV1|1|I|", "PV1|1|E|").replace("|N|HUB", "|S|HUB").replace("|F|", "||")

# What the steps of the old engine would give, worked out by hand from the scripts in the exports.
MADE = {
    ("v4.5_runs.xml", "adt-from-north", ADT): {
        "PID-8.1": "2", "MSH-6.1": "NORTH", "PID-13.1": "5125550100", "PID-19.1": "", "ZBR-1.1": "Q1",
        "ZBR-2.1": "OKAFOR, MAREN", "PID-5.1": "OKAFOR", "PV1-3.1": "3W", "PV1-19.1": "V-77",
    },
    ("v4.5_runs.xml", "adt-from-north", ROUTINE): {
        "PID-8.1": "U", "MSH-6.1": "SOUTH", "PID-13.1": "5125550100",
    },
    ("v4.5_runs.xml", "adt-from-north-lab", ADT): {
        "PV1-4.1": "U", "PID-8.1": "2", "ZBR-2.1": "OKAFOR, MAREN",
    },
    ("v4.5_runs.xml", "adt-from-north-lab", ROUTINE): {"PV1-4.1": "R"},
    ("v3.12_server.xml", "admissions", ADT): {"MSH-3.1": "N", "MSH-4.1": "N", "PID-5.1": "OKAFOR"},
    ("v3.12_server.xml", "admissions", ADT.replace("|N|HUB", "||HUB")): {"MSH-3.1": "UNKNOWN", "MSH-4.1": ""},
    ("v3.4_adt.xml", "visits", ADT.replace("OKAFOR^MAREN", "Okafor^Maren", 1)): {
        "PID-5.1": "OKAFOR", "PV1-50.1": "77",
    },
    ("v3.4_adt.xml", "visits", ADT.replace("V-77", "")): {"PV1-50.1": "none"},
    ("v2.2_adt.xml", "old-adt", ADT): {"PID-19.1": "900112233"},
    ("mirthsync", "charges", "MSH|^~\\&|CH|N|||2024||DFT^P03|1|P|2.3\rFT1|1|||||||||||$1,250.00\r"): {
        "FT1-12.1": "$1,250.00",
    },
    ("mirthsync", "charges", "MSH|^~\\&|CH|N|||2024||DFT^P03|1|P|2.3\rFT1|1||||||||||$1,250.00\r"): {
        "FT1-11.1": "1250.00",
    },
}  # fmt: skip


@pytest.mark.parametrize(("name", "mapping", "message"), MADE)
def test_a_converted_mapping_makes_what_the_old_steps_made(
    name: str, mapping: str, message: str, tmp_path: Path
) -> None:
    plan = load_mapping(_written(name, tmp_path) / "mappings" / f"{mapping}.yaml")
    mapped = plan.run(Hl7Message.read(message.encode()))
    assert not mapped.failed, mapped.issues
    made = Hl7Message.read(mapped.messages[0].body)
    found = {place: _at(made, place) for place in MADE[name, mapping, message]}
    assert found == MADE[name, mapping, message]


def _at(message: Hl7Message, place: str) -> str:
    segment, _, rest = place.partition("-")
    field, _, component = rest.partition(".")
    value = message.value(segment, int(field), component=int(component))
    return "" if value is None else str(value)


INTERCHANGE = (
    "ISA*00*          *00*          *ZZ*PAYER          *ZZ*NORTH          "
    "*240102*0315*^*00501*000000001*0*P*:~GS*HP*PAYER*NORTH*20240102*0315*1*X*005010X221A1~"
    "ST*835*0001~BPR*I*75.5~CLP*A-1*1*100*75.5~SVC*HC:99213*100*75.5~CLP*A-2*1*0*0~SE*6*0001~"
    "ST*835*0002~BPR*I*0~CLP*A-3*1*0*0~SE*4*0002~GE*2*1~IEA*1*000000001~"
)

# Of a file, each message that the channel gets from it: None where the old filter kept it out.
OF_FILES: dict[str, tuple[bytes, list[dict[str, str] | None]]] = {
    "charges": (
        'account|code|amount\nA-1|99213|100.5\nA-2|"9|9"|7\nA-3|x\n\nZ\xfc|y|1\n'.encode("cp1252"),
        [
            {"PID-18.1": "A-1", "FT1-7.1": "99213", "FT1-11.1": "100.5", "MSH-9.2": "P03"},
            {"PID-18.1": "A-2", "FT1-7.1": "9|9", "FT1-11.1": "7"},
            None,
            {"PID-18.1": "Z\xfc", "FT1-7.1": "y"},
        ],
    ),
    "census": (
        b"ACCOUNT   WARDNAME\r\nA-1       3W  Okafor, Maren       and more\r\nA-2       4E  Lindqvist\r\n",
        [{"PID-18.1": "A-1", "PID-5.1": "Okafor, Maren", "MSH-9.1": "DFT"}],
    ),
    "orders": (b'Day,Account,"Note, if any"\n20240102,A-1\n20240103,A-2,none\n', [{"PID-18.1": "A-1"}]),
    "remits": (
        INTERCHANGE.encode(),
        [
            {"FT1-11.1": "75.5", "PID-18.1": "A-1", "FT1-7.1": "99213"},
            {"FT1-11.1": "0", "PID-18.1": "A-3", "FT1-7.1": ""},
        ],
    ),
    "rows": (b"A-7\nA-8\n", [{"MSH-9.1": "DFT", "PID-3.1": "1"}]),
}


@pytest.mark.parametrize("name", OF_FILES)
def test_a_file_becomes_the_messages_that_the_old_steps_made_of_it(name: str, tmp_path: Path) -> None:
    data, expected = OF_FILES[name]
    export = "v3.12_server.xml" if name == "rows" else "v4.5_files.xml"
    checked = check(_written(export, tmp_path), STANDARD)
    assert checked.topology is not None, checked.problems
    channel = checked.topology.channels[name]
    made = channel.reads()
    assert isinstance(made, RowsFormat | X12Format)
    splitter = made.splitter(1_000_000)
    pieces = [*splitter.feed(data), *splitter.end()]
    (route,) = channel.routes
    plan = load_mapping(tmp_path / "mappings" / f"{name}.yaml")
    found: list[dict[str, str] | None] = []
    for piece, wanted in zip(pieces, expected, strict=True):
        message: Any = made.read(piece.body)
        assert message.refused is None
        assert channel.accepts(message.message_type)
        if route.when is not None and not route.when(message):
            found.append(None)
            continue
        mapped = plan.run(message)
        assert not mapped.failed, mapped.issues
        out = Hl7Message.read(mapped.messages[0].body)
        found.append({place: _at(out, place) for place in wanted or ()})
    assert found == expected


PASSES = {
    # channel, route: messages that the old filters let pass, and messages that they kept out
    ("v4.5_runs.xml", "ehr"): ([ADT, ROUTINE], []),
    ("v4.5_runs.xml", "lab"): (
        [ADT, ROUTINE],
        [ADT.replace("OKAFOR^MAREN", "TEST^X"), ADT.replace("|I|", "|O|")],
    ),
    ("v3.4_adt.xml", "registry"): (
        [ADT],
        [ADT.replace("OKAFOR^MAREN", "DUMMY^X"), ADT.replace("900-11-2233", "")],
    ),
    ("v3.12_server.xml", "admissions"): (
        [ADT],
        [ADT.replace("ADT^A01", "ORU^R01"), ADT.replace("100234", "")],
    ),
}


@pytest.mark.parametrize(("name", "route"), PASSES)
def test_a_route_takes_what_the_old_filters_let_pass(name: str, route: str, tmp_path: Path) -> None:
    topology = check(_written(name, tmp_path), STANDARD).topology
    assert topology is not None
    (found,) = [
        each for channel in topology.channels.values() for each in channel.routes if each.name == route
    ]
    passed, kept_out = PASSES[name, route]

    def takes(message: str) -> bool:
        return found.when is None or found.when(Hl7Message.read(message.encode()))

    assert [takes(each) for each in passed] == [True] * len(passed)
    assert [takes(each) for each in kept_out] == [False] * len(kept_out)


def test_types_that_a_filter_keeps_out_are_not_accepted(tmp_path: Path) -> None:
    topology = check(_written("v4.5_runs.xml", tmp_path), STANDARD).topology
    assert topology is not None
    (channel,) = topology.channels.values()
    assert {each: channel.accepts(each) for each in ("ADT^A01", "ADT^A08", "ADT^A04", "ORU^R01")} == {
        "ADT^A01": True, "ADT^A08": True, "ADT^A04": False, "ORU^R01": False,
    }  # fmt: skip


def test_channels_that_hand_on_to_each_other_still_do() -> None:
    files = _converted("v3.12_server.xml").files
    calls = re.search(r"connect: .tcp:127\.0\.0\.1:(\d+)", files["channels/apis/router.admissions.yaml"])
    listens = re.search(r"listen: .tcp:(\d+):interface=127\.0\.0\.1", files["channels/admissions.yaml"])
    assert calls is not None
    assert listens is not None
    assert calls[1] == listens[1]


def test_the_same_export_gives_the_same_bytes_whatever_the_order() -> None:
    texts = [(FIXTURES / name).read_text() for name in EXPORTS if name.endswith(".xml")]
    one, other = convert(read(*texts), trial), convert(read(*reversed(texts)), trial)
    assert one.files == other.files
