"""Whether the tests of a mapping file notice what is wrong with it, and what they go through."""

from __future__ import annotations

from pathlib import Path

import pytest
from mapping_texts import HEAD, MESSAGE, plan_of

from bridge import located
from bridge.config.load import mapping_to_change
from bridge.config.yaml_tree import read_tree
from bridge.mapping.compile import compile_mapping
from bridge.mapping.mutants import Verdict, judge, mutants_of
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import gone_through

ROOT = Path(__file__).parents[2]
SHIPPED = [
    *sorted((ROOT / "mappings").glob("*.yaml")),
    *sorted((ROOT / "mappings" / "feeds").glob("*.yaml")),
    *sorted((ROOT / "mappings" / "examples").glob("*.yaml")),
]
INPUT = MESSAGE.replace("\r", "\n      ")
FILE = (
    HEAD
    + """\
tables: {sex: {F: female}}
emit:
  - record: patient
    key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)
    when: MSH-9.2 = 'A01'
    set:
      identifiers: {list: [{value: PID-3(5=MR).1, system: PID-3(5=MR).4.1}]}
      family: [PID-5.1, PID-6.1]
      given: PID-5.2
      sex: {from: PID-8, translate: sex, unmapped: null}
      language: {from: PID-15, default: en}
tests:
  - name: an admission
    input: |
      INPUT
    expect:
      patient: EXPECTED
"""
)


def tree_of(text: str) -> located.Mapping:
    tree, problems = read_tree(text, "m.yaml")
    assert problems == []
    assert isinstance(tree, located.Mapping)
    return tree


def compiled(tree: located.Mapping) -> Plan | None:
    return compile_mapping(tree, digest="sha256:0")[0]


def file_with(expected: str) -> str:
    return FILE.replace("INPUT", INPUT).replace("EXPECTED", expected)


def judged(expected: str) -> Verdict:
    return judge(mutants_of(tree_of(file_with(expected))), compiled)


def test_every_change_is_named_with_its_place() -> None:
    found = {mutant.what: mutant.place.line for mutant in mutants_of(tree_of(file_with("{family: okafor}")))}
    assert found == {
        "patient: its condition is gone": 10,
        "patient: its condition is turned round": 10,
        "patient.identifiers is gone": 12,
        "patient.identifiers and family are swapped": 12,
        "patient.identifiers: entry 1 is gone": 12,
        "patient.identifiers(1).value is gone": 12,
        "patient.identifiers(1).value and system are swapped": 12,
        "patient.identifiers(1).system is gone": 12,
        "patient.family is gone": 13,
        "patient.family and given are swapped": 13,
        "patient.family: alternative 1 is gone": 13,
        "patient.family: alternative 2 is gone": 13,
        "patient.given is gone": 14,
        "patient.given and sex are swapped": 14,
        "patient.sex is gone": 15,
        "patient.sex and language are swapped": 15,
        "patient.sex: translate is gone": 15,
        "patient.sex: unmapped is gone": 15,
        "patient.language is gone": 16,
        "patient.language: default is gone": 16,
    }


WHOLE = (
    "{key: NORTH:100234, identifiers: [{value: '100234', system: NORTH}], family: okafor, given: MAREN, "
    "sex: female, language: en}"
)


def test_tests_that_say_more_notice_more() -> None:
    little, much = judged("{family: okafor}"), judged(WHOLE)
    assert little.score < 50
    assert much.score > 75
    assert {mutant.what for mutant in much.survived} == {
        "patient: its condition is gone",
        "patient.family: alternative 2 is gone",
        "patient.sex: unmapped is gone",
    }
    assert little.refused == much.refused > 0, "what would not load needs no test"


def test_a_file_without_tests_notices_nothing() -> None:
    text = FILE[: FILE.index("tests:")]
    verdict = judge(mutants_of(tree_of(text)), compiled)
    assert (verdict.noticed, verdict.score) == (0, 0.0)


def test_what_tests_do_not_go_through_is_named_with_its_place() -> None:
    branches = gone_through(plan_of(file_with("{family: okafor}")))
    missed = {(branch.place.line, branch.what, outcomes) for branch, outcomes in branches.missed()}
    assert missed == {
        (8, "the condition", ("false",)),
        (13, "alternative 2", ("given",)),
        (15, "sex: a code that is not in the table", ("given",)),
    }
    assert branches.counts(rules=True) == (9, 9)
    assert branches.counts(rules=False) == (3, 6)


def test_branches_are_counted_anew_each_time() -> None:
    plan = plan_of(file_with("{family: okafor}"))
    assert gone_through(plan).counts(rules=True) == gone_through(plan).counts(rules=True)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_tests_of_a_shipped_mapping_notice_most_of_what_could_be_wrong(path: Path) -> None:
    tree, compiled_file = mapping_to_change(path)
    verdict = judge(mutants_of(tree), compiled_file)
    left = "\n".join(f"{mutant.place}: {mutant.what}" for mutant in verdict.survived)
    assert verdict.score >= 80, left
    assert verdict.noticed > 5


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_tests_of_a_shipped_mapping_go_through_every_rule(path: Path) -> None:
    branches = gone_through(mapping_to_change(path)[1](mapping_to_change(path)[0]) or pytest.fail("it loads"))
    assert [str(branch.place) for branch, _ in branches.missed() if branch.is_rule] == []
