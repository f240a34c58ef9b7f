"""Who may not let files run, cell by cell: each way around an approval, at each place that must refuse it.

What somebody signs is written by hand where the command would not write it, so that the node and the database
of the journal refuse it by themselves. `pytest -rP` prints the table.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from approval_site import ApprovalSite
from approved_node import Approved
from command_line import Ended
from databases import journal_url
from reactor_tests import in_reactor
from signed_bundles import HOUR_US, signer_of
from sqlalchemy import Executable, insert, update
from sqlalchemy.exc import DBAPIError
from twisted.internet.threads import deferToThread

from bridge.approvals.judge import Verdict
from bridge.approvals.statements import Does, Statement
from bridge.cli.bundling import Gathered, gather, now_us
from bridge.config.approval_files import write_statement
from bridge.journal.bundle_schema import bundle_statements, bundles
from bridge.journal.bundles import known
from bridge.journal.database import Database

PATIENTS = "channels/apis/ehr.patients.yaml"
"""Integration must agree, one person."""
ENCOUNTERS = "channels/apis/ehr.encounters.yaml"
"""Finance must agree, two persons."""


class Desk:
    """Somebody who changes one file, and signs what they should not."""

    def __init__(self, site: ApprovalSite, url: str, path: str, number: int) -> None:
        self.site, self.path = site, site.folder / path
        self._url = url
        self.before = self.path.read_text()
        self.path.write_text(f"{self.before}# case {number}\n")

    def look(self) -> Gathered:
        """The files as they are now, as the node's rules see them."""
        return gather(self.site.folder, None, self._url)

    @cached_property
    def digest(self) -> str:
        """The bundle that was proposed: what it is made from, a draft may not know yet."""
        return self.look().bundle.digest

    def says(
        self, name: str, does: Does = "approve", *, author: str = "alice", key: str = "", **changed: Any
    ) -> Statement:
        """What somebody signs by hand; ``changed`` only after it was signed."""
        hours, ago = changed.pop("hours", None), changed.pop("ago", 0)
        at_us = now_us() - ago * HOUR_US
        ends_us = None if hours is None else at_us + hours * HOUR_US
        unsigned = Statement(self.digest, author, name, does, at_us, ends_us, "by hand", "")
        statement = replace(unsigned.sign(signer_of(name, key)), **changed)
        write_statement(self.site.folder, statement)
        return statement


@dataclass(frozen=True)
class Case:
    """One way around an approval, and with which words each place refuses it.

    ``signs`` does all but the last step and gives the statement that should not count, ``types`` is that step
    as a command. ``rule`` is the code that the rules have for it, or what they find missing.
    """

    signs: Callable[[Desk], Statement | None]
    types: Callable[[Desk], Ended]
    rule: str
    command: str
    node: str
    database: str = ""
    path: str = PATIENTS


def author(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("alice")


def author_in_other_letters(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("Alice", key="alice")


def author_in_an_emergency(desk: Desk) -> Statement:
    desk.site.propose("dave")
    return desk.says("dave", "emergency", author="dave", hours=4)


def wrong_group(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("carol")


def one_of_two(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("carol")


def expired(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("dave", "emergency", ago=5, hours=4)


def not_for_emergencies(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("bob", "emergency", hours=4)


def altered_file(desk: Desk) -> None:
    desk.site.approved()
    with desk.path.open("a") as file:
        file.write("#\n")


def altered_statement(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("bob", reason="something else")


def replaced_key(desk: Desk) -> Statement:
    desk.site.propose()
    desk.site.make_key("bob", "another's")
    return desk.says("bob", key="another's")


def nobody(desk: Desk) -> Statement:
    desk.site.propose()
    return desk.says("mallory")


def not_proposed(desk: Desk) -> Statement:
    desk.site.propose()
    for each in desk.site.folder.glob(f"approvals/{desk.digest[:12]}/*.propose.json"):
        each.unlink()
    return desk.says("bob")


MATRIX: dict[str, Case] = {
    "the author": Case(
        author,
        lambda desk: desk.site.approve("alice"),
        "author",
        "alice wrote it, and an author cannot approve",
        "alice wrote it, and an author cannot approve",
        "author_cannot_approve",
    ),
    "the author, as Alice": Case(
        author_in_other_letters,
        lambda desk: desk.site.approve("Alice"),
        "somebody of integration must agree",
        "makes a key",
        "somebody of integration must agree",
        "author_cannot_approve",
    ),
    "the author, in an emergency": Case(
        author_in_an_emergency,
        lambda desk: desk.site.approve("dave", "--emergency"),
        "author",
        "dave wrote it, and an author cannot approve",
        "dave wrote it, and an author cannot approve",
        "author_cannot_approve",
    ),
    "wrong group": Case(
        wrong_group,
        lambda desk: desk.site.approve("carol"),
        "wrong-group",
        "carol is of finance, and this is for integration",
        "carol is of finance, and this is for integration",
    ),
    "one of two": Case(
        one_of_two,
        lambda desk: desk.site.show(),
        "1 of 2 persons agreed, as claim needs",
        "1 of 2 persons agreed, as claim needs",
        "1 of 2 persons agreed, as claim needs",
        path=ENCOUNTERS,
    ),
    "expired emergency": Case(
        expired,
        lambda desk: desk.site.show(),
        "expired",
        "the emergency approval of dave has expired, and nobody has reviewed it",
        "the emergency approval of dave has expired, and nobody has reviewed it",
    ),
    "emergency, and not oncall": Case(
        not_for_emergencies,
        lambda desk: desk.site.approve("bob", "--emergency"),
        "wrong-group",
        "bob may not approve in an emergency: that is for oncall",
        "bob may not approve in an emergency: that is for oncall",
    ),
    "altered file": Case(
        altered_file,
        lambda desk: desk.site.approve("bob"),
        "its author has not proposed it",
        "nobody has proposed bundle",
        "this file is not as it was approved",
    ),
    "altered statement": Case(
        altered_statement,
        lambda desk: desk.site.show(),
        "altered",
        "what bob signed was altered afterwards",
        "what bob signed was altered afterwards",
        "as-signed",
    ),
    "replaced key": Case(
        replaced_key,
        lambda desk: desk.site.approve("bob"),
        "replaced-key",
        "this is not the key that approvals/approvers.yaml has of bob: it was replaced",
        "bob signed with a key that is not bob's in the approvers file",
    ),
    "a name of nobody": Case(
        nobody,
        lambda desk: desk.site.approve("mallory"),
        "unknown-person",
        "mallory is nobody whom approvals/approvers.yaml names",
        "mallory is nobody whom the approvers file names",
    ),
    "proposed by nobody": Case(
        not_proposed,
        lambda desk: desk.site.approve("bob"),
        "not-proposed",
        "nobody has proposed bundle",
        "its author has not proposed it",
    ),
}


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[Approved, ApprovalSite]]:
    """A node that runs by approved files, some of which are about claims."""
    hospital = Approved(folder)
    await hospital.open()
    site = ApprovalSite(folder / "site", folder / "keys")
    site.change(ENCOUNTERS, "auth: none", "auth: none\ndomain: claim")
    site.approved()
    assert site.approve("carol").status == 0
    try:
        await hospital.start()
        yield hospital, site
    finally:
        await hospital.close()


def _said_by_the_rules(verdict: Verdict) -> list[str]:
    """Codes of what does not count, and what is missing."""
    assert not verdict.may_run
    return [*(each.code for each in verdict.refused), *verdict.missing]


def _database(database: Database, statement: Statement | None, words: str, bundle: dict[str, Any]) -> str:
    """What the database itself says to who writes the statement into it, with the bundle."""
    if not words:
        return "–"
    assert statement is not None
    row = {**statement.as_json(), "bundle": bundle["digest"]}
    with database.writer.connect() as connection, connection.begin() as undone:
        connection.execute(insert(bundles).values(**bundle))
        writing: Executable = insert(bundle_statements).values(**row)
        if words == "as-signed":
            connection.execute(writing)
            writing = update(bundle_statements).values(reason="something else")
        with pytest.raises(DBAPIError, match=words):
            connection.execute(writing)
        undone.rollback()
    return words


@in_reactor
async def test_no_way_around_an_approval_is_open_anywhere(tmp_path: Path) -> None:
    table: list[tuple[str, ...]] = []
    async with running(tmp_path) as (hospital, site):
        assert hospital.node is not None
        journal = hospital.node.journal
        for number, (name, case) in enumerate(MATRIX.items()):
            desk = Desk(site, journal_url(tmp_path), case.path, number)
            statement = case.signs(desk)
            look = desk.look()
            rules = _said_by_the_rules(look.verdict)
            assert any(each.startswith(case.rule) for each in rules), (name, rules)
            ended = await deferToThread(case.types, desk)
            assert (ended.status != 0, case.command in ended.said) == (True, True), (name, ended.said)
            refused = await hospital.refused()
            assert any(case.node in each for each in refused), (name, refused)
            assert look.bundle.digest not in (await journal.read(known)).bundles, name
            kept = {
                "digest": look.bundle.digest, "kind": "files", "environment": "", "base": "",
                "author": "" if statement is None else statement.author.lower(), "people": "",
                "manifest": look.bundle.text, "state": "approved", "at_us": 1,
            }  # fmt: skip
            said = await deferToThread(_database, journal.database, statement, case.database, kept)
            table.append((name, case.rule, case.command, case.node, said))
            desk.path.write_text(desk.before)
            site.make_key("bob")
        # The same desk, and what is needed: it is not the table that refuses everything.
        desk = Desk(site, journal_url(tmp_path), ENCOUNTERS, len(MATRIX))
        site.propose("dave")
        desk.says("carol", author="dave")
        desk.says("bob", author="dave")
        await hospital.reloaded()
        assert (await journal.read(known)).bundles[desk.digest].state == "active"
    heads = ("who or what", "the rules", "the command", "the node, which runs on as before", "the database")
    widths = [max(len(row[at]) for row in (heads, *table)) for at in range(len(heads))]
    for row in (heads, *table):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
