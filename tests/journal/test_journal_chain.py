"""The chain of a journal: complete, linked, signed; and it outlives retention, copies and restores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from databases import in_thread, journal_url
from journals import NOW_US, arrival, journal_in, translation
from postgres_server import OWNER
from psycopg import conninfo, sql
from reactor_tests import in_reactor
from sqlalchemy import delete, make_url, select
from sqlalchemy.exc import DBAPIError

from bridge.audit.checkpoints import checkpoint_of, read_origin
from bridge.audit.merkle import Tree, consistency_holds, inclusion_holds
from bridge.audit.notes import Note, Signer
from bridge.audit.report import Report
from bridge.delivery.state import DeliveryState
from bridge.errors import ItemRefused
from bridge.journal import triggers
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.audit import commits, verify_chain
from bridge.journal.audit_completeness import completeness
from bridge.journal.audit_presence import Presence, presence
from bridge.journal.audit_schema import chain, disclosures
from bridge.journal.checkpoints import ANCHORED, CHECKPOINT, Anchored, Sealing, not_anchored, uncovered
from bridge.journal.database import SCHEMA, Database, upgrade
from bridge.journal.deliveries import SETTLE, START, Call, Settlement, Start
from bridge.journal.journal import Journal
from bridge.journal.letting_go import LET_GO, LetGo
from bridge.journal.making import migrate
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.retention import RETIRE, Retire
from bridge.journal.schema import messages

pytestmark = pytest.mark.both_databases

SIGNER = Signer("hospital-north/bridge", bytes(range(32)))
DAY_US = 86_400_000_000


async def delivered(journal: Journal, count: int, *, first: int = 0, patient: str = "NORTH:1") -> list[int]:
    """So many messages from their arrival to their delivery; the ids of their deliveries."""
    receipts = await journal.submit_all(
        RECEIVE,
        [arrival(journal, b"body %d" % number, f"C{number}") for number in range(first, first + count)],
    )
    made = []
    for receipt in receipts:
        assert not isinstance(receipt, Exception)
        whole = translation(receipt.message_id)
        hashed = journal.facts.hashes.patient(patient)
        made.append(
            whole._replace(deliveries=tuple(each._replace(patient=hashed) for each in whole.deliveries))
        )
    ids = [each[0] for each in await journal.submit_all(TRANSLATE, made) if not isinstance(each, Exception)]
    calls = await journal.submit_all(START, [Start(number, NOW_US) for number in ids])
    ended = [
        Settlement(call.delivery_id, call.message_id, 1, NOW_US, NOW_US + 5, "delivered", 200, "", bytes(8),
                   (DeliveryState.DELIVERED,), 0, 0, verdicts="plcmv")
        for call in calls
        if isinstance(call, Call)
    ]  # fmt: skip
    await journal.submit_all(SETTLE, ended)
    return ids


async def verified(journal: Journal, **given: Any) -> Report:
    return await journal.read(verify_chain, **{"verifiers": [SIGNER.verifier], **given})


async def sealed(journal: Journal, signer: Signer | None = SIGNER) -> str:
    made = await journal.submit(CHECKPOINT, Sealing(signer, NOW_US))
    assert made is not None
    return made.note


@in_reactor
async def test_every_commit_that_changes_a_state_is_covered_and_no_other(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 20)
        await journal.submit(NOTE, ActionRow(NOW_US, "user:kim", "reveal", "message 3", "ticket 4711"))
        report = await verified(journal)
        assert report.good, report.findings
        # received, translated twice over (message and delivery), started, settled; and one look.
        assert (report.covered, report.commits) == (20 * 5 + 1, 5)
        assert report.epochs == {1: 1}
        assert not report.signed_up_to
        note = await sealed(journal)
        report = await verified(journal, anchors=[note])
        assert report.good
        assert (report.signed_up_to, report.anchored_up_to, report.limits()) == (5, 5, [])
        assert await journal.submit(CHECKPOINT, Sealing(SIGNER, NOW_US)) is None
        assert (await journal.read(uncovered)).rows == 0


@in_reactor
async def test_the_chain_goes_on_over_restarts_and_from_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.journal.chain.ROWS_AT_ONCE", 3)
    notes = []
    for life in range(4):
        async with journal_in(tmp_path) as journal:
            await delivered(journal, 3, first=10 * life)
            if life != 2:
                notes.append(await sealed(journal, SIGNER if life else None))
            await delivered(journal, 2, first=10 * life + 5)
    async with journal_in(tmp_path) as journal:
        report = await verified(journal, anchors=notes[1:])
        assert report.good, report.findings
        assert (report.commits, report.signed_up_to, report.checkpoints) == (32, 28, 3)


@in_reactor
async def test_a_row_and_what_came_after_it_are_proven_with_few_hashes(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 2)
        older = checkpoint_of(Note.read(await sealed(journal)))
        await delivered(journal, 2, first=10)
        await delivered(journal, 2, first=20)
        newer = checkpoint_of(Note.read(await sealed(journal)))
        rows = await journal.read(lambda connection: list(commits(connection)))
        tree = Tree([row.hash for row in rows])
        assert consistency_holds(
            older.size, newer.size, older.root, newer.root, tree.consistency_proof(older.size, newer.size)
        )
        for index, row in enumerate(rows):
            assert row.commit.hash(journal.facts.journal_id, row.previous) == row.hash
            assert inclusion_holds(row.hash, index, newer.size, tree.inclusion_proof(index), newer.root)


@in_reactor
async def test_what_retention_deletes_is_known_to_the_chain_and_who_got_it_stays_known(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 6)
        await delivered(journal, 1, first=10)
        await sealed(journal)
        gone = await journal.submit(
            RETIRE, Retire("messages", "adt", (1, 2, 3, 4), NOW_US + DAY_US, NOW_US + DAY_US)
        )
        assert gone == 4
        report = await verified(journal)
        assert report.good, report.findings
        assert report.retired == 4 * 5
        kept = await journal.read(lambda connection: connection.execute(select(disclosures)).all())
        assert [(row.delivery_id, row.outcome, row.mapping) for row in kept] == [
            (number, "DELIVERED", "adt-admit@1") for number in (1, 2, 3, 4)
        ]
        assert {bytes(row.patient).hex() for row in kept} == {journal.facts.hashes.patient("NORTH:1")}


def put_back_later(folder: Path) -> Callable[[], None]:
    """A copy of a folder's journal as it is now, to be put in its place; what is kept beside it stays."""
    held, url = folder / "journal.db", make_url(journal_url(folder))
    if url.get_backend_name() == "sqlite":
        older = held.read_bytes()

        def put_file() -> None:
            held.write_bytes(older)
            for left in folder.glob(f"{held.name}-*"):
                left.unlink()

        return put_file
    name, copy = str(url.database), f"{url.database}_older"
    server = conninfo.make_conninfo(host=str(url.query["host"]), user=url.username, dbname=OWNER)

    def put_database() -> None:
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            names = map(sql.Identifier, (copy, name))
            session.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(*names))

    with psycopg.connect(server, autocommit=True) as session:
        names = map(sql.Identifier, (copy, name))
        session.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
    return put_database


@in_reactor
async def test_a_journal_that_was_put_back_begins_another_epoch_and_anchors_show_what_is_lost(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 3)
    put_back = put_back_later(tmp_path)
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 3, first=10)
        anchor = await sealed(journal)
    put_back()
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 2, first=20)
        newer = await sealed(journal)
        report = await verified(journal)
        assert report.good
        assert report.epochs == {1: 1, 2: 5}
        assert any("an older copy of the journal was put back" in each for each in report.limits())
        assert read_origin(checkpoint_of(Note.read(newer)).origin)[2] == 2
        assert (await verified(journal, anchors=[newer])).good
        report = await verified(journal, anchors=[anchor])
        assert [(each.kind, each.where) for each in report.findings] == [("lost", "commit 5")]
    async with journal_in(tmp_path) as journal:  # and it goes on in it
        await delivered(journal, 1, first=30)
        report = await verified(journal, anchors=[newer])
        assert (report.good, report.epochs, report.commits) == (True, {1: 1, 2: 5}, 12)


@in_reactor
async def test_the_database_itself_refuses_to_change_the_chain(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 1)
        await sealed(journal)
        await journal.submit(ANCHORED, Anchored(4, "file:/x", NOW_US))
        for statement in (
            "UPDATE chain SET note = 'x'",
            "DELETE FROM chain",
            "UPDATE checkpoints SET note = 'x'",
            "DELETE FROM checkpoints",
            "DELETE FROM anchored",
            "UPDATE transitions SET detail = ''",
            "DELETE FROM transitions",
        ):
            with (
                pytest.raises(DBAPIError, match="append-only"),
                journal.database.writer.begin() as connection,
            ):
                connection.exec_driver_sql(statement)


async def anchored_segments(journal: Journal, count: int) -> list[str]:
    """So many times four commits with a checkpoint behind them, each signed and anchored; their notes."""
    notes = []
    for number in range(count):
        await delivered(journal, 1, first=10 * number)
        made = await journal.submit(CHECKPOINT, Sealing(SIGNER, NOW_US))
        assert made is not None
        await journal.submit(ANCHORED, Anchored(made.size, "file:/x", NOW_US))
        notes.append(made.note)
    return notes


def let_go(before_us: int = NOW_US + 1) -> LetGo:
    return LetGo(before_us, NOW_US, "kept for 2192 days")


@in_reactor
async def test_old_rows_of_the_chain_go_and_what_stands_for_them_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.journal.letting_go.ROWS_MIN", 5)
    async with journal_in(tmp_path) as journal:
        notes = await anchored_segments(journal, 4)
        assert await journal.submit(LET_GO, let_go(NOW_US)) == 0  # none is old enough
        assert await journal.submit(LET_GO, let_go()) == 8
        assert await journal.submit(LET_GO, let_go()) == 4
        assert await journal.submit(LET_GO, let_go()) == 0  # the chain goes on from the newest
        report = await verified(journal, anchors=notes)
        assert report.good, report.findings
        assert (report.let_go, report.first_commit, report.last_commit) == (12, 13, 18)
        assert (report.checkpoints, report.anchors, report.before) == (4, 4, 15)
        assert "commits 1 to 12 were let go of once they were old enough" in report.limits()[0]
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 1, first=100)
        report = await verified(journal, anchors=notes)
        assert report.good, report.findings
        assert (report.let_go, report.last_commit, report.anchored_up_to) == (12, 22, 16)


@in_reactor
async def test_what_is_not_signed_or_not_kept_elsewhere_too_stays(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 1)
        unsigned = await journal.submit(CHECKPOINT, Sealing(None, NOW_US))
        assert unsigned is not None
        await journal.submit(ANCHORED, Anchored(unsigned.size, "file:/x", NOW_US))
        await delivered(journal, 1, first=10)
        await sealed(journal)
        await delivered(journal, 1, first=20)
        await sealed(journal)
        assert await journal.submit(LET_GO, let_go()) == 0


@in_reactor
async def test_a_beginning_that_was_cut_off_at_a_checkpoint_was_not_let_go_of(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await anchored_segments(journal, 3)

        def first_bad_without(up_to: int) -> tuple[str, str]:
            with journal.database.writer.connect() as connection, connection.begin() as undone:
                triggers.remove(connection)
                connection.execute(delete(chain).where(chain.c.seq <= up_to))
                report = verify_chain(connection, verifiers=[SIGNER.verifier])
                undone.rollback()
            return report.findings[0].kind, report.findings[0].where

        assert first_bad_without(8) == ("missing", "commit 1")
        assert await journal.submit(LET_GO, let_go()) == 8
        assert (await verified(journal)).good
        assert first_bad_without(12) == ("missing", "commit 9")


@in_reactor
async def test_a_row_of_the_chain_that_the_database_refuses_takes_its_commit_with_it(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 1)
        writer = in_thread(journal)._committer
        known, writer._head = writer._head, writer._head._replace(seq=1)  # its next number is taken
        with pytest.raises(ItemRefused, match="IntegrityError"):
            await journal.submit(NOTE, ActionRow(NOW_US, "user:kim", "reveal", "message 3", "ticket"))
        writer._head = known
        await journal.submit(NOTE, ActionRow(NOW_US, "user:kim", "reveal", "message 3", "ticket"))
        report = await verified(journal)
        assert (report.good, report.covered) == (True, 6)


@in_reactor
async def test_an_anchor_is_given_the_newest_checkpoint_that_it_lacks(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 1)
        await sealed(journal, None)
        assert await journal.read(not_anchored, "file:/x") is None  # nobody has signed it
        await delivered(journal, 1, first=5)
        note = await sealed(journal)
        lacking = await journal.read(not_anchored, "file:/x")
        assert lacking is not None
        assert lacking.note == note
        await journal.submit(ANCHORED, Anchored(lacking.size, "file:/x", NOW_US))
        assert await journal.read(not_anchored, "file:/x") is None
        assert await journal.read(not_anchored, "file:/y") is not None


@in_reactor
async def test_a_journal_from_before_the_chain_goes_on_with_one_and_says_what_it_does_not_cover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, real = Database(journal_url(tmp_path), create=True, state=tmp_path), command.upgrade
    with monkeypatch.context() as before:
        before.setattr(command, "upgrade", lambda config, _: real(config, "0014"))
        before.setattr("bridge.journal.database.make", lambda connection, _: migrate(connection))
        before.setattr(triggers, "install", lambda _: None)  # those of now, for tables that it has not
        upgrade(database, random_bytes=bytes)
    with database.writer.begin() as connection:
        for number in (1, 2, 3):
            row: dict[str, Any] = {"id": number, "seq": number, "channel": "old"}
            row |= {"received_at_us": 1, "body_size_bytes": 1}
            texts = ("peer", "message_type", "control_id", "flags", "reason", "issues", "answer_code")
            values = {
                **row,
                **dict.fromkeys(texts, ""),
                "state": "IGNORED",
                "fingerprint": b"",
                "trace_id": b"",
            }
            connection.execute(messages.insert().values(**values))
            connection.exec_driver_sql(
                "INSERT INTO transitions (id, message_id, to_state, at_us, actor, reason) "
                f"VALUES ({number}, {number}, 'IGNORED', 1, 'bridge', '')"
            )
    assert upgrade(database, random_bytes=bytes) == (SCHEMA, SCHEMA)
    database.close()
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 2)
        report = await verified(journal)
        assert (report.good, report.before, report.covered, report.first_commit) == (True, 3, 10, 1)
        assert "3 rows are older than the chain: nothing is said of them" in report.limits()
        complete = await journal.read(lambda connection: completeness(connection, report))
        assert complete.complete, complete
        found = await journal.read(presence, Presence())
        assert (found.written["steps"], found.ratio) == (10, 1.0)
