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
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.x12 import X12Message
from bridge.mapping.coverage import cover
from bridge.mapping.messages import Message, read_message
from bridge.mapping.selftest import TestResult, run_tests

FOLDER = Path(__file__).parents[2] / "mappings"
FILES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("feeds/*.yaml"), *FOLDER.glob("examples/*.yaml")])
FEEDS = {
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
    "inventory-consumption": "consumption",
    "invoices-810": "810",
    "purchase-orders-850": "850",
    "shifts": "shifts",
}
"""Each mapping of files, and the file that is generated for it."""
WITHOUT = ["gl-postings"]
"""A file is one journal, as its own tests have it."""
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


@pytest.mark.parametrize("name", FEEDS)
def test_generated_messages_hold_no_surprise_for_the_mapping_of_a_feed(name: str) -> None:
    """Some senders give no medical record number, and some write a day where a time should be."""
    plan = plan_of((FOLDER / "feeds" / f"{name}.yaml").read_text("utf-8"))
    codes: set[str] = set()
    records = 0
    for body in messages(FEEDS[name], 5, 60):
        message = Hl7Message.read(body)
        if plan.accepts(message.message_type):
            mapped = plan.run(message)
            records += len(mapped.records)
            codes |= {issue.code for issue in mapped.issues}
    assert codes <= {"R001", "R010", "R020"}
    assert records


@pytest.mark.parametrize("name", FILES_OF)
def test_generated_files_hold_no_surprise_for_the_mapping_of_a_feed(name: str) -> None:
    """Each entry is a record, without an issue; and every value is used, ignored or known to be unmapped."""
    plan = plan_of((FOLDER / "feeds" / f"{name}.yaml").read_text("utf-8"))
    body = "".join(whole_file(FILES_OF[name], 5, 25)).encode()
    of_x12 = plan.format == "x12"
    sent: list[Message] = [*X12Message.read_all(body)] if of_x12 else [read_message(plan.format, body)]
    made = [plan.run(message) for message in sent]
    assert [issue for each in made for issue in each.issues] == []
    assert sum(len(each.records) for each in made) == 25
    covered = cover(sent, [plan])
    assert sum(covered.by_status.values()) == covered.total
    assert (covered.errors, covered.percent("used") > covered.percent("unmapped")) == (0, True)


def test_each_mapping_of_a_feed_is_tried_on_generated_messages() -> None:
    named = [*FEEDS, *FILES_OF, *WITHOUT]
    assert sorted(named) == sorted(path.stem for path in FOLDER.glob("feeds/*.yaml"))


FIXED = """
header: {says: H, fields: {business_date: 2-9}}
detail:
  says: D
  fields:
    {account: 2-11, svc_date: 12-19, code: 20-26, code_type: "27", qty: 28-32, amount: 33-41, dept: 42-45}
trailer: {says: T, fields: {count: 2-8, total: 9-20}}
totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""


@pytest.mark.parametrize(
    ("kind", "format_", "mapping", "options"),
    [
        ("charges", "fixed", "examples/nightly-charges.yaml", FIXED),
        ("835", "x12", "examples/remittance-835.yaml", "{}"),
        ("consumption", "delimited", "feeds/inventory-consumption.yaml", "{}"),
        ("results", "hl7v2", "lab-results.yaml", "{}"),
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
