"""What the tests of mapping files say, what they go through, and what they do not notice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bridge.cli import output as out
from bridge.config.load import load_mapping, mapping_to_change
from bridge.mapping.branches import Branches
from bridge.mapping.mutants import Verdict, judge, mutants_of
from bridge.mapping.selftest import TestResult, gone_through, run_tests


@dataclass(frozen=True, slots=True)
class Tested:
    """One mapping file with the results of its tests; without ``verdict`` nothing was changed in it."""

    path: Path
    results: tuple[TestResult, ...]
    branches: Branches
    verdict: Verdict | None

    @classmethod
    def of(cls, path: Path, *, mutate: bool) -> Tested:
        """Run all. Raises ConfigurationRefused where the file has mistakes."""
        plan = load_mapping(path, test=False)
        results = run_tests(plan)
        verdict = None
        if mutate and all(result.passed for result in results):
            tree, compiled = mapping_to_change(path)
            changed = list(mutants_of(tree))
            with out.progress(f"{path.name}: changing it", changed, len(changed)) as each:
                verdict = judge(each, compiled)
        return cls(path, results, gone_through(plan), verdict)

    @property
    def score(self) -> float:
        """So many percent of the changes were noticed; 0 where nothing was changed."""
        return 0.0 if self.verdict is None else self.verdict.score


def print_tested(each: Tested, *, coverage: bool) -> None:
    """For a person: the tests, how much they go through, and what they do not notice."""
    for result in each.results:
        click.echo(f"{'passed' if result.passed else 'FAILED'}  {each.path}: {result.name}")
        for difference in result.differences:
            click.echo(f"        {difference}")
    rules, branches = each.branches.counts(rules=True), each.branches.counts(rules=False)
    click.echo(f"{each.path}: {rules[0]} of {rules[1]} rules, {branches[0]} of {branches[1]} branches")
    if coverage:
        for branch, outcomes in each.branches.missed():
            click.echo(f"  {branch.place}: {branch.what}: {_words(outcomes)}")
    if each.verdict is not None:
        tried = each.verdict.noticed + len(each.verdict.survived)
        noticed = f"{each.verdict.noticed} of {out.count(tried, 'change')} noticed"
        click.echo(f"{each.path}: {noticed}, {each.score:.0f} %; {each.verdict.refused} would not load")
        for mutant in each.verdict.survived:
            click.echo(f"  {mutant.place}: {mutant.what}, and no test notices")


def _words(outcomes: Sequence[str]) -> str:
    words = {"given": "gives nothing in any test", "true": "never holds", "false": "always holds"}
    return " and ".join("is never asked" if len(outcomes) == 2 else words[each] for each in outcomes[:1])


def tested_as_json(tested: Sequence[Tested]) -> dict[str, Any]:
    """For a program: the tests of all files, and of each file what they go through and do not notice."""
    return {
        "tests": [
            {
                "mapping": str(each.path),
                "test": result.name,
                "passed": result.passed,
                "differences": [str(difference) for difference in result.differences],
            }
            for each in tested
            for result in each.results
        ],
        "mappings": [_as_json(each) for each in tested],
    }


def _as_json(each: Tested) -> dict[str, Any]:
    rules, branches = each.branches.counts(rules=True), each.branches.counts(rules=False)
    return {
        "mapping": str(each.path),
        "rules": {"covered": rules[0], "total": rules[1]},
        "branches": {"covered": branches[0], "total": branches[1]},
        "missed": [
            {"place": str(branch.place), "what": branch.what, "outcomes": outcomes}
            for branch, outcomes in each.branches.missed()
        ],
        "mutation": None
        if each.verdict is None
        else {
            "score": round(each.score, 1),
            "noticed": each.verdict.noticed,
            "refused": each.verdict.refused,
            "survived": [
                {"place": str(mutant.place), "what": mutant.what} for mutant in each.verdict.survived
            ],
        },
    }
