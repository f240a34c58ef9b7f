"""Every command that prints JSON has a published schema, and prints what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import jsonschema_rs
import pytest
from code_reading import ROOT
from command_line import bridge
from shapes_held import closed, command_of, holds, holds_if_json

from bridge.cli.bench import _tell as tell_ratios
from bridge.cli.events import _tell as tell_event
from bridge.cli.main import bridge as commands
from bridge.cli.shapes import SHAPES, schema_of
from bridge.destinations.events_stream import Followed

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
ADMIT = ROOT / "mappings" / "adt-admit.yaml"
MIRTH = next(iter(sorted((ROOT / "legacy_fixtures" / "mirth").glob("*.xml"))))
SPEC = ROOT / "tests" / "contracts"

RUN: dict[str, tuple[tuple[object, ...], ...]] = {
    "check": ((), ("--config", ROOT / "legacy_fixtures")),
    "parse": ((HL7,), ("--check", HL7)),
    "compare": ((HL7 / "adt_a01.hl7", HL7 / "adt_a08.hl7"),),
    "migrate assess": ((MIRTH,),),
    "map coverage": ((ADMIT, HL7),),
    "map docs": ((ADMIT, HL7),),
    "map impact": ((ADMIT, ADMIT, HL7),),
    "map test": ((ROOT / "mappings" / "examples" / "adt-relabel.yaml", "--mutate"),),
    "map try": (
        (ADMIT, HL7 / "adt_a01.hl7"),
        (ROOT / "mappings" / "examples" / "adt-relabel.yaml", HL7 / "adt_a01.hl7"),
    ),
    "apis": ((),),
    "apis lint": (("--rules",),),
    "apis sunset": ((),),
    "events types": ((),),
    "explain": (("PID-3",), ("R010",), (), (ADMIT, HL7 / "adt_a01.hl7", "patient.sex")),
    "records": ((), ("patient",)),
    "doctor": ((),),
}
"""Commands that take nothing but files, and what with."""
HELD_BY = {
    "files check": "cli/test_file_check.py",
    "migrate import": "cli/test_shapes.py",
    "deidentify": "cli/test_shapes.py",
    "bench": "cli/test_shapes.py",
    "events tail": "cli/test_shapes.py",
    "messages": "cli/test_operate.py",
    "tail": "cli/test_operate.py",
    "show": "cli/test_operate.py",
    "status": "cli/test_operate.py",
    "trace": "cli/test_operate.py",
    "why": "cli/test_operate.py",
    "quarantine list": "cli/test_operate.py",
    "quarantine summary": "cli/test_operate.py",
    "quarantine show": "cli/test_operate.py",
    "codes list": "cli/test_operate.py",
    "files list": "cli/test_operate.py",
    "files take": "runtime/test_files_in_a_node.py",
    "files settle": "runtime/test_acknowledged_in_a_node.py",
    "files discard": "runtime/test_files_in_a_node.py",
    "batches": "cli/test_operate.py",
    "reconcile": "cli/test_operate.py",
    "replay": "runtime/test_commands.py",
    "reload": "runtime/test_reload.py",
    "bundle": "cli/test_bundle.py",
    "bundle list": "approval_site.py",
    "evidence verify": "runtime/test_evidence_of_a_node.py",
    "stage": "runtime/staged_site.py",
    "parity show": "runtime/test_parity_import.py",
    "consent": "runtime/test_consent_in_a_node.py",
    "legal-hold list": "cli/test_operate.py",
    "disclosures": "cli/test_operate.py",
    "journal keys list": "cli/test_operate.py",
    "journal verify": "cli/test_operate.py",
    "journal verify-backup": "scenarios/test_backup_under_load.py",
    "audit complete": "cli/test_operate.py",
    "audit search": "cli/test_operate.py",
    "audit verify": "cli/test_operate.py",
    "apis accept": "scenarios/test_contract_drift.py",
    "apis diff": "contracts/test_contract_changes.py",
    "apis drift": "cli/test_operate.py",
}
"""All others, and the test file that holds what they print against their schema."""


def with_json(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command, and those below it, that has ``--format json``."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from with_json(inner, (*path, name))
    for parameter in command.params:
        if "--format" in parameter.opts and isinstance(parameter.type, click.Choice):
            yield from [" ".join(path)] if "json" in parameter.type.choices else []


def test_every_command_that_prints_json_has_a_schema_and_a_test_that_holds_it() -> None:
    assert set(with_json(commands)) == set(SHAPES) == {*RUN, *HELD_BY}
    missing = [
        command
        for command, file in HELD_BY.items()
        if not re.search(
            rf'"{command}"|{"[^a-z]+".join(command.split())}', (ROOT / "tests" / file).read_text()
        )
    ]
    assert missing == []


def test_a_command_without_a_schema_is_noticed() -> None:
    option = click.Option(["--format", "output"], type=click.Choice(["table", "json"]))
    made = click.Group("bridge", {"new": click.Command("new", params=[option])})
    assert [*with_json(made)] == ["new"]
    assert "new" not in SHAPES


@pytest.mark.parametrize("command", SHAPES)
def test_a_schema_is_one_and_says_what_each_object_is(command: str) -> None:
    schema = schema_of(command)
    jsonschema_rs.meta.validate(schema)
    assert schema["title"].startswith(f"bridge {command} --format json")
    objects = [*schema.get("$defs", {}).values(), *([schema] if "properties" in schema else [])]
    assert [each for each in objects if "properties" in each and not each.get("description")] == []


@pytest.mark.parametrize("command", RUN)
def test_a_command_prints_what_its_schema_says(command: str) -> None:
    for arguments in RUN[command]:
        ended = bridge(*command.split(), *arguments, "--format", "json")
        assert ended.status in (0, 1), ended.said
        holds(command, json.loads(ended.out))


def test_what_is_written_is_told_as_its_schema_says(tmp_path: Path) -> None:
    for arguments in (("migrate", "import", MIRTH), ("deidentify", HL7)):
        ended = bridge(*arguments, "--to", tmp_path / str(arguments[0]), "--format", "json")
        holds(command_of([str(each) for each in arguments]), json.loads(ended.out))


def test_what_is_measured_and_followed_is_told_as_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"echo_64": 2.0, "durable_64": 1.0}
    tell_ratios([figures, figures], "json", on_a_server=False)
    holds("bench", json.loads(capsys.readouterr().out))
    event = Followed(1, "2026-01-05T08:00:00Z", "clinical.patient", {"id": "1-1", "type": "t"}, b'{"a": 1}')
    tell_event(event, "json", reveal=False)
    holds("events tail", json.loads(capsys.readouterr().out))


def test_a_name_that_a_schema_does_not_have_is_noticed() -> None:
    said = {"messages": 1, "refused": {}, "folder": "x"}
    holds("deidentify", said)
    for wrong in ({**said, "more": 1}, {**said, "messages": "1"}, {"messages": 1}):
        with pytest.raises(AssertionError, match="bridge deidentify"):
            holds_if_json(["deidentify", "f", "--to", "x", "--format", "json"], json.dumps(wrong))
    assert closed(schema_of("deidentify"))["additionalProperties"] is False
    assert "additionalProperties" not in {
        name for name, each in schema_of("deidentify").items() if each is False
    }


def test_schemas_of_outputs_are_shown_and_written(tmp_path: Path) -> None:
    shown = json.loads(bridge("schema", "--of", "map coverage").out)
    assert shown == schema_of("map coverage")
    assert bridge("schema", "--outputs", tmp_path).status == 0
    assert len([*tmp_path.iterdir()]) == len(SHAPES)
    assert json.loads((tmp_path / "map-coverage.schema.json").read_bytes()) == shown
    assert "did you mean 'map coverage'?" in bridge("schema", "--of", "map coverge").err
