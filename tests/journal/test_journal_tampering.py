"""Tampering by somebody who has the database, and more: each is found, and the right row is named.

Each is done in a transaction of its own, verified in it, and rolled back, so that one journal serves all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from sqlalchemy import Connection, delete, func, insert, select, update
from test_journal_chain import SIGNER, delivered, sealed

from bridge.audit.checkpoints import Checkpoint, origin_of
from bridge.audit.entries import root_of
from bridge.audit.merkle import Frontier, root
from bridge.audit.report import Report
from bridge.journal import triggers
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.audit import commits, verify_chain
from bridge.journal.audit_schema import chain, checkpoints
from bridge.journal.database import Facts
from bridge.journal.schema import actions, transitions

pytestmark = pytest.mark.both_databases

ROUNDS = 20
Named = tuple[set[str], range, str]
"""Kinds that it may be called, the numbers that the first bad row may have, and of what."""


class Vandal:
    """Somebody with a SQL shell, the code of the bridge and, for a fork, the signing key."""

    def __init__(self, connection: Connection, chance: random.Random) -> None:
        self.connection, self.chance = connection, chance
        self.steps = connection.execute(select(func.max(transitions.c.id))).scalar_one()
        self.last = connection.execute(select(func.max(chain.c.seq))).scalar_one()
        self.sizes = list(
            connection.execute(select(checkpoints.c.size).order_by(checkpoints.c.size)).scalars()
        )

    def alter_step(self) -> Named:
        at = self.chance.randint(1, self.steps)
        column, value = self.chance.choice(
            [("to_state", "DISCARDED"), ("actor", "user:nobody"), ("reason", "because"), ("at_us", 1),
             ("detail", '{"payload":"other"}'), ("delivery_id", 1 << 40), ("from_state", "HELD")]
        )  # fmt: skip
        self._set(transitions.c.id == at, **{column: value})
        return {"altered"}, range(at, at + 1), "step"

    def alter_action(self) -> Named:
        at = self.chance.randint(1, ROUNDS)
        self.connection.execute(update(actions).where(actions.c.id == at).values(reason="another"))
        return {"altered"}, range(at, at + 1), "action"

    def alter_commit(self) -> Named:
        at = self.chance.randint(1, self.last)
        column = self.chance.choice(
            ["root", "hash", "previous", "leaves", "configuration", "at_us", "retired", "note"]
        )
        row = self.connection.execute(select(chain.c[column]).where(chain.c.seq == at)).scalar_one()
        if isinstance(row, int):
            value: object = row + 1
        elif isinstance(row, str):
            value = row + "1"
        else:
            flipped = bytearray(row)
            flipped[self.chance.randrange(len(flipped))] ^= 1 << self.chance.randrange(8)
            value = bytes(flipped)
        self.connection.execute(update(chain).where(chain.c.seq == at).values({column: value}))
        return {"altered"}, range(at, at + 1), "commit"

    def delete_step(self) -> Named:
        at = self.chance.randint(1, self.steps)
        self.connection.execute(delete(transitions).where(transitions.c.id == at))
        return {"missing"}, range(at, at + 1), "step"

    def delete_step_and_renumber(self) -> Named:
        at = self.chance.randint(self.steps - 60, self.steps - 1)
        self.connection.execute(delete(transitions).where(transitions.c.id == at))
        for each in range(at + 1, self.steps + 1):
            self._set(transitions.c.id == each, id=each - 1)
        return {"missing"}, range(at, at + 1), "step"

    def delete_commit(self) -> Named:
        at = self.chance.randint(1, self.last - 1)
        self.connection.execute(delete(chain).where(chain.c.seq == at))
        return {"missing"}, range(at, at + 1), "commit"

    def delete_commit_and_renumber(self) -> Named:
        at = self.chance.randint(2, self.last - 1)
        self.connection.execute(delete(chain).where(chain.c.seq == at))
        for each in range(at + 1, self.last + 1):
            self.connection.execute(update(chain).where(chain.c.seq == each).values(seq=each - 1))
        return {"missing"}, range(at, at + 1), "commit"

    def insert_step_behind(self) -> Named:
        row = self._step(self.chance.randint(1, self.steps))
        self.connection.execute(insert(transitions).values(**{**row, "id": self.steps + 1}))
        return {"inserted"}, range(self.steps + 1, self.steps + 2), "step"

    def insert_step_between(self) -> Named:
        at = self.chance.randint(self.steps - 60, self.steps)
        row = self._step(at)
        for each in range(self.steps, at - 1, -1):
            self._set(transitions.c.id == each, id=each + 1)
        self.connection.execute(insert(transitions).values(**{**row, "id": at, "actor": "user:x"}))
        return {"inserted"}, range(at, at + 1), "step"

    def insert_commit(self) -> Named:
        at = self.chance.randint(2, self.last)
        row = dict(self.connection.execute(select(chain).where(chain.c.seq == at)).mappings().one())
        for each in range(self.last, at - 1, -1):
            self.connection.execute(update(chain).where(chain.c.seq == each).values(seq=each + 1))
        made = {**row, "leaves": b"", "root": root([]), "hash": self.chance.randbytes(32)}
        for counted in ("steps", "actions", "file_steps", "disclosures"):
            made[counted] = 0
        self.connection.execute(insert(chain).values(made))
        return {"inserted"}, range(at, at + 1), "commit"

    def swap_steps(self) -> Named:
        one, other = sorted(self.chance.sample(range(1, self.steps + 1), 2))
        self._set(transitions.c.id == one, id=-1)
        self._set(transitions.c.id == other, id=one)
        self._set(transitions.c.id == -1, id=other)
        return {"reordered"}, range(one, one + 1), "step"

    def swap_commits(self) -> Named:
        one, other = sorted(self.chance.sample(range(1, self.last + 1), 2))
        for before, after in ((one, -1), (other, one), (-1, other)):
            self.connection.execute(update(chain).where(chain.c.seq == before).values(seq=after))
        return {"reordered"}, range(one, one + 1), "commit"

    def truncate(self) -> Named:
        """Cut off the end, and all that would tell of it here."""
        at = self.chance.randint(1, self.last)
        first = self.connection.execute(select(func.min(chain.c.first_step)).where(
            chain.c.seq >= at, chain.c.steps > 0)).scalar()  # fmt: skip
        looked = self.connection.execute(select(func.min(chain.c.first_action)).where(
            chain.c.seq >= at, chain.c.actions > 0)).scalar()  # fmt: skip
        self.connection.execute(delete(chain).where(chain.c.seq >= at))
        self.connection.execute(delete(checkpoints).where(checkpoints.c.size >= at))
        if first is not None:
            self.connection.execute(delete(transitions).where(transitions.c.id >= first))
        if looked is not None:
            self.connection.execute(delete(actions).where(actions.c.id >= looked))
        return {"truncated"}, range(at, at + 1), "commit"

    def fork(self) -> Named:
        """Write history anew from a row on, with all hashes and signatures right."""
        at = self.chance.randint(1, self.last)
        journal_id = Facts(self.connection).journal_id
        rows = list(commits(self.connection))
        head = rows[at - 2].hash if at > 1 else bytes(32)
        hashes = [row.hash for row in rows[: at - 1]]
        for row in rows[at - 1 :]:
            commit = row.commit._replace(
                configuration="ours" if row.commit.seq == at else row.commit.configuration
            )
            assert root_of(row.leaves) == commit.root
            hashed = commit.hash(journal_id, head)
            self.connection.execute(
                update(chain)
                .where(chain.c.seq == commit.seq)
                .values(previous=head, hash=hashed, configuration=commit.configuration)
            )
            head = hashed
            hashes.append(hashed)
        for size in self.sizes:
            tree = Frontier().appended(hashes[:size])
            note = SIGNER.sign(Checkpoint(origin_of(SIGNER.name, journal_id, 1), size, tree.root).text)
            self.connection.execute(
                update(checkpoints)
                .where(checkpoints.c.size == size)
                .values(note=note, frontier=tree.to_bytes())
            )
        agreed = max((size for size in self.sizes if size < at), default=0)
        return {"forked"}, range(agreed + 1, at + 1), "commit"

    def forge_a_checkpoint(self) -> Named:
        size = self.chance.choice(self.sizes)
        note = self.connection.execute(
            select(checkpoints.c.note).where(checkpoints.c.size == size)
        ).scalar_one()
        changed = note.replace(f"\n{size}\n", f"\n{size + 1}\n")
        self.connection.execute(update(checkpoints).where(checkpoints.c.size == size).values(note=changed))
        return {"forged"}, range(size + 1, size + 2), "checkpoint"

    def _step(self, at: int) -> dict[str, object]:
        return dict(
            self.connection.execute(select(transitions).where(transitions.c.id == at)).mappings().one()
        )

    def _set(self, where: object, **values: object) -> None:
        self.connection.execute(update(transitions).where(where).values(**values))  # type: ignore[arg-type]


TAMPERINGS: tuple[Callable[[Vandal], Named], ...] = (
    Vandal.alter_step,
    Vandal.delete_step,
    Vandal.insert_step_between,
    Vandal.swap_steps,
    Vandal.truncate,
    Vandal.fork,
    Vandal.alter_commit,
    Vandal.delete_commit,
    Vandal.insert_commit,
    Vandal.swap_commits,
    Vandal.alter_action,
    Vandal.insert_step_behind,
    Vandal.delete_step_and_renumber,
    Vandal.delete_commit_and_renumber,
    Vandal.forge_a_checkpoint,
)


@in_reactor
async def test_every_tampering_is_found_and_its_row_is_named(tmp_path: Path, tamperings: int) -> None:
    chance, anchors = random.Random(20261126), []
    async with journal_in(tmp_path) as journal:
        for number in range(ROUNDS):
            await delivered(journal, chance.randint(1, 8), first=100 * number)
            await journal.submit(NOTE, ActionRow(NOW_US, "user:kim", "reveal", f"message {number}", "ticket"))
            if number % 3 == 1:  # the last one too
                anchors.append(await sealed(journal))
        found: dict[str, int] = {}
        with journal.database.writer.connect() as connection:
            with connection.begin():
                assert verify_chain(connection, verifiers=[SIGNER.verifier], anchors=anchors).good
            for number in range(tamperings):
                tamper = TAMPERINGS[number % len(TAMPERINGS)]
                with connection.begin() as undone:
                    triggers.remove(connection)
                    kinds, numbers, what = tamper(Vandal(connection, chance))
                    report = verify_chain(connection, verifiers=[SIGNER.verifier], anchors=anchors)
                    _must_name(report, kinds, numbers, what, tamper.__name__)
                    undone.rollback()
                found[tamper.__name__] = found.get(tamper.__name__, 0) + 1
            with connection.begin():
                assert verify_chain(connection, verifiers=[SIGNER.verifier], anchors=anchors).good
    print(f"{tamperings} tamperings, all found, each with its row: {found}")


def _must_name(report: Report, kinds: set[str], numbers: range, what: str, tampering: str) -> None:
    assert report.findings, tampering
    first = report.findings[0]
    named = {f"{what} {number}" for number in numbers}
    assert (first.kind in kinds, first.where in named) == (True, True), (
        tampering,
        kinds,
        named,
        report.findings[:4],
    )


@in_reactor
async def test_what_only_anchors_show_is_said_where_there_are_none(tmp_path: Path) -> None:
    chance = random.Random(3)
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 3)
        anchor = await sealed(journal)
        await delivered(journal, 3, first=10)
        anchors = [anchor, await sealed(journal)]
        with journal.database.writer.connect() as connection:
            for tamper in (Vandal.truncate, Vandal.fork):
                with connection.begin() as undone:
                    triggers.remove(connection)
                    tamper(Vandal(connection, chance))
                    without = verify_chain(connection, verifiers=[SIGNER.verifier])
                    assert without.good
                    assert (
                        any("only anchors can show" in each for each in without.limits())
                        or not without.commits
                    )
                    assert not verify_chain(connection, verifiers=[SIGNER.verifier], anchors=anchors).good
                    undone.rollback()
