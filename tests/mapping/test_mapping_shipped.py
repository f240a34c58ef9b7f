"""The mapping files that come with the bridge have no problems and pass their own tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mapping_texts import plan_of, problems_of

from bridge.catalog import STANDARD
from bridge.cli.generated import messages
from bridge.cli.generated_files import batch_of_results, whole_file
from bridge.config.components import configure
from bridge.config.yaml_tree import read_tree
from bridge.formats.delimited import COMPONENT as DELIMITED
from bridge.formats.delimited import DelimitedOptions
from bridge.formats.edifact_file import messages_of
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.x12 import X12Message
from bridge.formats.xml_format import COMPONENT as XML
from bridge.formats.xml_options import XmlOptions
from bridge.mapping.accounting import NO_RULE
from bridge.mapping.coverage import Coverage, cover
from bridge.mapping.messages import Message, read_message
from bridge.mapping.selftest import TestResult, run_tests

FOLDER = Path(__file__).parents[2] / "mappings"
FILES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("feeds/*.yaml"), *FOLDER.glob("examples/*.yaml")])
FEEDS = {
    "adt-admit": "ADT",
    "lab-results": "ORU",
    "adt-identity": "ADT",
    "adt-moves": "ADT",
    "appointments": "SIU",
    "coverages": "ADT",
    "charges": "DFT",
    "documents": "MDM",
    "immunizations": "VXU",
    "medication-orders": "RDE",
    "orders": "ORM",
    "providers": "MFN",
}
"""Each mapping of a feed, and what is generated for it."""
FILES_OF = {
    "claim-status-277": "277",
    "claims-837": "837",
    "dispenses": "dispenses",
    "gl-postings": "gl",
    "inventory-consumption": "consumption",
    "invoices-810": "810",
    "invoices-edifact": "invoic",
    "purchase-orders-850": "850",
    "purchase-orders-edifact": "orders",
    "remittance-835": "835",
    "shifts": "shifts",
}
"""Each mapping of files, and the file that is generated for it."""
JOURNAL = DelimitedOptions.model_validate(
    {
        "header": {
            "first": "H",
            "columns": "type ledger journal_id period posting_date currency source description status"
            " reversal_of".split(),
        },
        "detail": {
            "first": "L",
            "columns": "type line account debit credit currency cost_center entity project memo".split(),
        },
        "rows": 10_000,
    }
)
"""How a channel reads a journal of the ledger: one file is one message."""
DISPENSES = XmlOptions.model_validate(
    {
        "record": "Dispense",
        "header": "Header",
        "lists": ["Item"],
        "totals": [
            {"trailer": "Trailer/Dispenses"},
            {"trailer": "Trailer/Total", "of": "sum", "column": "Items/Item/Amount"},
        ],
    }
)
"""How a channel reads what cabinets gave out."""
TRAILED = {"trailer": {"first": "TRL", "columns": ["type", "rows", "cost"]}}
ROWS_OF = {
    "gl-postings": JOURNAL,
    "inventory-consumption": DelimitedOptions.model_validate(TRAILED),
}
"""Files of rows around which more stands."""
NOT_GENERATED = {"nightly-charges", "adt-relabel", "rcm-encounter"}
"""Mappings of records, of messages made, and of rows of fixed width, which are tried by themselves below."""
IN_ONE = ("gl-postings", "remittance-835")
"""Of whose entries all are one record."""
RESULTS = [(path.name, result) for path in FILES for result in run_tests(plan_of(path.read_text("utf-8")))]


def test_there_are_mapping_files() -> None:
    assert "adt-admit.yaml" in [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_mapping_has_no_problems_and_is_named_as_its_file(path: Path) -> None:
    text = path.read_text("utf-8")
    assert problems_of(text, file=path.name) == []
    plan = plan_of(text)
    assert plan.name == path.stem
    assert plan.tests


@pytest.mark.parametrize(
    ("name", "result"), RESULTS, ids=[f"{name}-{result.name}" for name, result in RESULTS]
)
def test_a_shipped_mapping_passes_its_own_tests(name: str, result: TestResult) -> None:
    assert result.passed, "\n".join(map(str, result.differences))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_message_type_a_shipped_mapping_accepts_has_a_test(path: Path) -> None:
    plan = plan_of(path.read_text("utf-8"))
    tried = {case.input.read().message_type for case in plan.tests}
    assert tried == plan.accept


def test_records_are_ready_for_json() -> None:
    plan = plan_of((FOLDER / "adt-admit.yaml").read_text("utf-8"))
    for case in plan.tests:
        for record in plan.run(Hl7Message.read(case.message.encode())).records:
            assert json.loads(json.dumps(record.fields)) == record.fields


def surprises(found: Coverage) -> set[str]:
    """Places of messages that no rule and no entry of `ignore` knows of."""
    return {spot.path for spot, because in found.unmapped_places if because == NO_RULE}


@pytest.mark.parametrize("name", FEEDS)
def test_generated_messages_hold_no_surprise_for_the_mapping_of_a_feed(name: str) -> None:
    """Some senders give no medical record number, and some write a day where a time should be. Whatever
    stands anywhere is read by a rule, or ignored with a reason."""
    plan = plan_of(path_of(name).read_text("utf-8"))
    covered = cover((Hl7Message.read(body) for body in messages(FEEDS[name], 5, 60)), [plan])
    assert {code for code, _, _ in covered.issues_by_code} <= {"R001", "R010", "R020", "R900"}
    assert (covered.records > 0, covered.errors) == (True, 0)
    assert sum(covered.by_status.values()) == covered.total
    assert surprises(covered) == set()


@pytest.mark.parametrize("name", FILES_OF)
def test_generated_files_hold_no_surprise_for_the_mapping_of_a_feed(name: str) -> None:
    """Each entry is a record, or all are one journal, without an issue; every value is read or ignored."""
    plan = plan_of(path_of(name).read_text("utf-8"))
    body = "".join(whole_file(FILES_OF[name], 5, 25)).encode()
    if plan.format == "edifact":
        sent: list[Message] = [*messages_of(body)]
    else:
        sent = [*X12Message.read_all(body)] if plan.format == "x12" else [*read_rows(name, body)]
    covered = cover(sent, [plan])
    assert (covered.records, covered.issues) == (1 if name in IN_ONE else 25, 0)
    assert sum(covered.by_status.values()) == covered.total
    assert (covered.errors, surprises(covered)) == (0, set())


def test_a_place_that_no_rule_knows_of_is_a_surprise() -> None:
    text = path_of("claims-837").read_text("utf-8")
    plan = plan_of(text.replace("  - {path: SBR-09,", "  - {path: SBR-30,"))
    body = "".join(whole_file("837", 5, 3)).encode()
    assert surprises(cover(X12Message.read_all(body), [plan])) == {"SBR-09"}


def path_of(name: str) -> Path:
    (path,) = (each for each in FILES if each.stem == name)
    return path


def read_rows(name: str, body: bytes) -> list[Message]:
    if name == "dispenses":
        assert XML.build is not None
        reads = XML.build(DISPENSES)
    elif name in ROWS_OF:
        assert DELIMITED.build is not None
        reads = DELIMITED.build(ROWS_OF[name])
    else:
        return [read_message("delimited", body)]
    splitter = reads.splitter(len(body) * 8)
    return [reads.read(piece.body) for piece in (*splitter.feed(body), *splitter.end())]


def test_each_shipped_mapping_is_tried_on_what_is_generated_or_named_as_not() -> None:
    assert {path.stem for path in FILES} == {*FEEDS, *FILES_OF, *NOT_GENERATED}


FIXED = """
header: {says: H, fields: {business_date: 2-9}}
detail:
  says: D
  fields:
    {account: 2-11, svc_date: 12-19, code: 20-26, code_type: "27", qty: 28-32, amount: 33-41, dept: 42-45}
trailer: {says: T, fields: {count: 2-8, total: 9-20}}
totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""


STOCK = """
trailer: {first: TRL, columns: [type, rows, cost]}
totals: [{trailer: rows}, {trailer: cost, of: sum, column: cost}]
"""


@pytest.mark.parametrize(
    ("kind", "format_", "mapping", "options"),
    [
        ("charges", "fixed", "examples/nightly-charges.yaml", FIXED),
        ("835", "x12", "examples/remittance-835.yaml", "{}"),
        ("consumption", "delimited", "feeds/inventory-consumption.yaml", STOCK),
        ("results", "hl7v2", "lab-results.yaml", "{}"),
        ("dispenses", "xml", "feeds/dispenses.yaml", DISPENSES.model_dump_json()),
    ],
)
def test_a_file_balances_and_its_mapping_makes_records_of_every_entry(
    kind: str, format_: str, mapping: str, options: str
) -> None:
    component, tree = STANDARD.find("format", format_), read_tree(options, "options")[0]
    assert component is not None
    assert component.build is not None
    assert tree is not None
    configured, problems = configure(component, tree)
    assert problems == []
    assert configured is not None
    content = b"".join(
        batch_of_results(7, 250)
        if kind == "results"
        else (each.encode() for each in whole_file(kind, 7, 250))
    )
    reads = component.build(configured.options)
    splitter = reads.splitter(1_000_000)
    pieces = [*splitter.feed(content), *splitter.end()]
    assert all(batch.is_right for batch in splitter.batches)
    plan = plan_of((FOLDER / mapping).read_text("utf-8"))
    made = [plan.run(reads.read(piece.body)) for piece in pieces]
    assert not any(each.failed for each in made)
    assert sum(len(each.records) for each in made) >= (3 if kind == "835" else 250)
