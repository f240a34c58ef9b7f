"""A bundle for whoever must agree to it: what differs, in words, and what that would mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from bridge.approvals.bundle import shown
from bridge.cli import output as out
from bridge.cli.bundle_contracts import Compared, contracts_of, print_contracts
from bridge.cli.bundling import Gathered, name_of
from bridge.cli.reading import read
from bridge.formats.hl7v2 import Hl7Message
from bridge.journal.recent import recent
from bridge.mapping.impact import Impact
from bridge.mapping.selftest import gone_through, run_tests

WORDS_OF_FILE_MAX = 40


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of one changed mapping, and how many of its rules they go through."""

    __test__ = False

    mapping: str
    tests: int
    covered: int
    rules: int

    @property
    def percent(self) -> int:
        """The share of rules that a test goes through; all of none."""
        return 100 * self.covered // self.rules if self.rules else 100


@dataclass(frozen=True, slots=True)
class Report:
    """What changed mappings and contracts mean: by the tests of mappings, by the last messages of a journal,
    and by what breaks who calls by the contract before.

    ``impact`` gives for each mapping how many messages were mapped, how many otherwise, how many fail now;
    ``why_not`` says why there is none.
    """

    warnings: tuple[str, ...]
    tests: tuple[Tests, ...]
    impact: tuple[tuple[str, int, int, int], ...]
    why_not: tuple[str, ...]
    contracts: tuple[Compared, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "warnings": self.warnings,
            "tests": [
                {"mapping": each.mapping, "tests": each.tests, "rules": each.rules, "covered": each.covered}
                for each in self.tests
            ],
            "impact": [
                {"mapping": name, "messages": messages, "changed": changed, "fails_now": fails}
                for name, messages, changed, fails in self.impact
            ],
            "no_impact": self.why_not,
            "contracts": [each.as_json() for each in self.contracts],
        }


def tests_of(found: Gathered) -> tuple[Tests, ...]:
    """The tests of each mapping that makes something else than before."""
    if found.topology is None:
        return ()
    told = []
    for name in found.changed_mappings():
        plan = found.topology.plans[name]
        covered, rules = gone_through(plan).counts(rules=True)
        told.append(Tests(name, len(run_tests(plan)), covered, rules))
    return tuple(told)


def untested(found: Gathered, tests: tuple[Tests, ...] | None = None) -> list[str]:
    """Why nobody may agree yet: changed mappings whose tests go through too little; none of what is approved.

    ``tests`` are those of `tests_of`, where they were run already.
    """
    if found.verdict.approved:
        return []
    wanted = found.people.rules_tested
    return [
        f"the tests of {each.mapping} go through {each.covered} of {each.rules} rules, {each.percent} %, and "
        f"`rules_tested` asks for {wanted} %: `bridge map test --coverage` shows the others"
        for each in (tests_of(found) if tests is None else tests)
        if each.percent < wanted
    ]


def report_of(found: Gathered, journal_url: str | None, replay_messages: int) -> Report:
    """Run the tests of changed mappings, map the last messages of a journal by both versions, and hold
    changed contracts against those before."""
    warnings = () if found.topology is None else tuple(map(str, found.topology.warnings))
    impact: list[tuple[str, int, int, int]] = []
    why_not: list[str] = []
    for name in found.changed_mappings() if replay_messages else ():
        assert found.topology is not None
        before, after = found.plan_before(name), found.topology.plans[name]
        if before is None:
            why = "it is new" if found.base is None else "as it was before is not kept"
            why_not.append(f"{name}: {why}, so nothing is compared")
        elif not found.journal:
            why_not.append(f"{name}: there is no journal here; name one with --journal")
        else:
            compared = Impact(before, after)
            bodies = read(journal_url, recent, None, before.accept | after.accept, replay_messages)
            for number, body in bodies:
                compared.add(f"message {number}", Hl7Message.read(body))
            impact.append((name, compared.messages, compared.changed, compared.fails_now))
    return Report(warnings, tests_of(found), tuple(impact), tuple(why_not), contracts_of(found))


def print_bundle(found: Gathered, report: Report) -> None:
    """For a person."""
    by = f", by {found.author}" if found.author else ": `bridge bundle propose` asks for approval"
    click.echo(f"bundle {name_of(found.bundle)} is {'a ' if found.state == 'draft' else ''}{found.state}{by}")
    for said in found.recorded.statements:
        if said.does == "propose":
            click.echo(f"  {said.reason}")
    click.echo(f"made from {'nothing: all is new' if found.base is None else shown(found.base.digest)}")
    _print_files(found)
    if found.topology is not None:
        channels, apis = len(found.topology.channels), len(found.topology.apis)
        click.echo(
            f"\ncheck: {out.count(channels, 'channel')}, {out.count(apis, 'API')}, no mistakes, "
            f"{out.count(len(report.warnings), 'warning')}"
        )
        for warning in report.warnings:
            click.echo(f"  {warning}")
    print_contracts(report.contracts)
    for each in report.tests:
        tests = out.count(each.tests, "test")
        click.echo(f"tests: {each.mapping}: {tests}, {each.covered} of {each.rules} rules gone through")
    for name, messages, changed, fails in report.impact:
        click.echo(
            f"impact: {name}: {changed} of the last {out.count(messages, 'message')} would be mapped "
            f"otherwise, {fails} would fail"
        )
    for line in report.why_not:
        click.echo(f"impact: {line}")
    _print_approvals(found, untested(found, report.tests))


def _print_files(found: Gathered) -> None:
    changes = found.bundle.changes(found.base)
    if not changes.paths:
        click.echo("nothing differs from it")
    for what in ("added", "removed", "changed"):
        for path in getattr(changes, what):
            areas = found.bundle.areas.get(path) or (found.base.areas.get(path, ()) if found.base else ())
            click.echo(f"\n{what} {path}  ({', '.join(areas)})")
            words = list(found.words_of(path))
            for line in words[:WORDS_OF_FILE_MAX]:
                click.echo(f"  {line}")
            if len(words) > WORDS_OF_FILE_MAX:
                click.echo(f"  and {len(words) - WORDS_OF_FILE_MAX} more")
            if what == "changed" and not words:
                click.echo("  only comments or form")


def _print_approvals(found: Gathered, few: list[str]) -> None:
    verdict, needs = found.verdict, found.needs
    persons = (
        "" if needs.persons == 1 else f"; {needs.persons} persons in all, for {', '.join(needs.two_for)}"
    )
    click.echo(f"\nneeds: somebody of {' and of '.join(needs.groups)}{persons}")
    click.echo(f"agreed: {verdict.words}")
    if verdict.until_us is not None:
        click.echo(f"may run until {out.moment(verdict.until_us)}, as an emergency")
    for line in (*few, *verdict.missing):
        click.echo(f"missing: {line}")
    for refused in verdict.refused:
        if refused.code != "not-proposed":
            click.echo(f"does not count: {refused.text}")
