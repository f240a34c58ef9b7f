"""What a journal holds of approvals, and what its database refuses whatever the program says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from signed_bundles import bundle, people, proposed, said
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from bridge.approvals.bundle import Bundle
from bridge.errors import ItemRefused
from bridge.journal.actions import latest
from bridge.journal.bundle_schema import bundle_statements, bundles
from bridge.journal.bundles import (
    ADMIT,
    END_APPROVALS,
    RETIRE,
    Admit,
    EndApprovals,
    Retire,
    Signed,
    asked_for,
    known,
)
from bridge.journal.journal import Journal

pytestmark = pytest.mark.both_databases

FIRST = bundle(encounter="one")
NEXT = bundle(FIRST, encounter="two")
PERSONS = Bundle.of_people(people(), None)


def signed(of: Bundle) -> Signed:
    return Signed(of, "alice", (proposed(of), said(of, "bob")))


async def admit(journal: Journal, of: Bundle) -> None:
    persons = Signed(PERSONS, "", ())
    await journal.submit(ADMIT, Admit(signed(of), (), persons, "bridge", "approved by bob", NOW_US))


@in_reactor
async def test_what_is_loaded_and_by_whose_approval_is_one_action(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        assert not await journal.read(asked_for)
        await admit(journal, FIRST)
        await admit(journal, NEXT)
        found = await journal.read(known)
        states = {digest: each.state for digest, each in found.bundles.items()}
        assert states == {FIRST.digest: "deprecated", NEXT.digest: "active", PERSONS.digest: "active"}
        assert found.statements[NEXT.digest] == signed(NEXT).statements
        assert all(each.genuine for each in found.statements[NEXT.digest])
        rows = await journal.read(latest)
        assert [(row.action, row.subject, row.reason) for row in rows[:2]] == [
            ("load", f"bundle {NEXT.digest[:12]}", "approved by bob"),
            ("load", f"bundle {FIRST.digest[:12]}", "approved by bob"),
        ]
        assert rows[2].action == "approvers"
        assert "alice, bob, carol" in rows[2].reason


@in_reactor
async def test_a_retired_one_stays_so_and_an_active_one_is_not_retired(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await admit(journal, FIRST)
        retire = Retire(FIRST.digest, "user:bob", "wrong", NOW_US)
        assert "is active" in await journal.submit(RETIRE, retire)
        await admit(journal, NEXT)
        assert await journal.submit(RETIRE, retire) == ""
        with pytest.raises(ItemRefused):
            await admit(journal, FIRST)


@in_reactor
async def test_ending_approvals_is_an_action_and_they_can_be_asked_for_again(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await admit(journal, FIRST)
        await journal.submit(END_APPROVALS, EndApprovals("BRIDGE_APPROVALS=off", NOW_US))
        assert not await journal.read(asked_for)
        assert (await journal.read(latest))[0].action == "approvals-end"
        await admit(journal, FIRST)
        assert await journal.read(asked_for)


ROW: dict[str, Any] = {
    "digest": "d", "kind": "files", "environment": "", "base": "", "author": "alice", "people": "",
    "manifest": "{}", "state": "approved", "at_us": 1,
}  # fmt: skip
SAYS: dict[str, Any] = {
    "bundle": "d", "author": "alice", "person": "bob", "does": "approve", "at_us": 1, "expires_at_us": None,
    "reason": "", "key": "", "signature": "",
}  # fmt: skip


WRITES_NOT = (
    {"person": "alice"},
    {"person": "Alice"},
    {"person": "alice", "does": "emergency"},
    {"author": "bob", "person": "alice"},
    {"person": "bob", "does": "propose"},
)
REFUSES = (
    "UPDATE bundle_statements SET person = 'carol'",
    "DELETE FROM bundle_statements",
    "DELETE FROM bundles WHERE digest = 'e'",
    "UPDATE bundles SET author = 'carol' WHERE digest = 'e'",
    "UPDATE bundles SET manifest = '{}'",
    "UPDATE bundles SET state = 'review'",
)


@in_reactor
async def test_the_database_lets_no_author_approve_and_keeps_what_was_signed(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        writer = journal.database.writer
        with writer.begin() as connection:
            connection.execute(insert(bundles), [ROW, {**ROW, "digest": "e"}])
            connection.execute(insert(bundle_statements).values(**SAYS))
        for wrong in WRITES_NOT:
            with pytest.raises(DBAPIError), writer.begin() as connection:
                connection.execute(insert(bundle_statements).values(**{**SAYS, **wrong}))
        for statement in REFUSES:
            with pytest.raises(DBAPIError), writer.begin() as connection:
                connection.execute(text(statement))
        with writer.begin() as connection:  # the same by somebody else, who may
            connection.execute(insert(bundle_statements).values(**{**SAYS, "person": "carol"}))
