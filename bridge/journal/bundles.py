"""Which files a node runs by, and whose approval lets it: written with the action that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from bridge.approvals.bundle import Bundle, shown
from bridge.approvals.lifecycle import State
from bridge.approvals.statements import Statement
from bridge.journal.actions import ActionRow, note
from bridge.journal.bundle_schema import bundle_statements, bundles
from bridge.journal.schema import facts
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

APPROVALS = "approvals"
"""A row of `facts`: that this journal runs approved files only, and by which bundle of persons."""
BUNDLES_READ_MAX = 2000
"""The newest ones are read. A site that changes its files each day has as many in five years."""


@dataclass(frozen=True, slots=True)
class KnownBundle:
    """A bundle that was loaded once, or that one which was loaded was made from."""

    digest: str
    bundle: Bundle
    author: str
    people: str
    state: State
    at_us: Microseconds


@dataclass(frozen=True, slots=True)
class Known:
    """All that a journal knows of approvals. ``people`` is the digest of the bundle of persons, empty where
    approvals are not asked for."""

    people: str
    bundles: dict[str, KnownBundle]
    statements: dict[str, tuple[Statement, ...]]


class Signed(NamedTuple):
    """A bundle with what was signed about it and counts."""

    bundle: Bundle
    author: str
    statements: tuple[Statement, ...]


class Admit(NamedTuple):
    """A node runs by a bundle from now on. ``known`` are those to be kept beside it, as what it was made
    from; ``people`` is the bundle of persons that it was judged by."""

    loaded: Signed
    known: tuple[Signed, ...]
    people: Signed
    actor: str
    reason: str
    at_us: Microseconds


def _admit(tx: Transaction, items: Sequence[Admit]) -> list[None]:
    for each in items:
        for signed in (each.people, *each.known, each.loaded):
            _keep(tx.connection, signed, each.people.bundle.digest, each.at_us)
        _trust(tx, each)
        digest = each.loaded.bundle.digest
        running = select(bundles.c.digest).where(bundles.c.kind == "files", bundles.c.state == "active")
        was = tx.connection.execute(running).scalars().all()
        for old in was:
            if old != digest:
                _step(tx.connection, old, "deprecated", each.at_us)
        if digest not in was:
            _step(tx.connection, digest, "active", each.at_us)
        note(tx, ActionRow(each.at_us, each.actor, "load", f"bundle {shown(digest)}", each.reason))
    return [None] * len(items)


def _trust(tx: Transaction, each: Admit) -> None:
    """The persons who count from now on."""
    connection, digest = tx.connection, each.people.bundle.digest
    before = connection.execute(select(facts.c.value).where(facts.c.name == APPROVALS)).scalar()
    if before == digest.encode():
        return
    connection.execute(delete(facts).where(facts.c.name == APPROVALS))
    connection.execute(insert(facts).values(name=APPROVALS, value=digest.encode()))
    if before is not None:
        _step(connection, before.decode(), "deprecated", each.at_us)
    _step(connection, digest, "active", each.at_us)
    people = each.people.bundle.people
    names = "" if people is None else ", ".join(sorted(people.persons))
    words = "approvals are asked for from now on" if before is None else "other persons, as approved"
    subject = f"approvers {shown(digest)}"
    note(tx, ActionRow(each.at_us, each.actor, "approvers", subject, f"{words}: {names}"))


def _keep(connection: Connection, signed: Signed, people: str, at_us: Microseconds) -> None:
    digest = signed.bundle.digest
    if connection.execute(select(bundles.c.digest).where(bundles.c.digest == digest)).first() is None:
        connection.execute(
            insert(bundles).values(
                digest=digest,
                kind=signed.bundle.kind,
                environment=signed.bundle.environment,
                base=signed.bundle.base or "",
                author=signed.author,
                people=people,
                manifest=signed.bundle.text,
                state="approved",
                at_us=at_us,
            )
        )
    _say(connection, signed.statements)


def _say(connection: Connection, statements: Sequence[Statement]) -> int:
    said = 0
    for each in statements:
        this = (
            bundle_statements.c.bundle == each.bundle,
            bundle_statements.c.person == each.person,
            bundle_statements.c.does == each.does,
        )
        if connection.execute(select(bundle_statements.c.bundle).where(*this)).first() is None:
            connection.execute(insert(bundle_statements).values(**each.as_json()))
            said += 1
    return said


def _step(connection: Connection, digest: str, state: State, at_us: Microseconds) -> None:
    connection.execute(update(bundles).where(bundles.c.digest == digest).values(state=state, at_us=at_us))


ADMIT: Work[Admit, None] = Work("admit-bundle", _admit)
"""Let a node run by a bundle."""


class Reviewed(NamedTuple):
    """More was signed about a bundle that a node runs by: the review of an emergency."""

    digest: str
    statements: tuple[Statement, ...]
    reason: str
    at_us: Microseconds


def _reviewed(tx: Transaction, items: Sequence[Reviewed]) -> list[None]:
    for each in items:
        if _say(tx.connection, each.statements):
            subject = f"bundle {shown(each.digest)}"
            note(tx, ActionRow(each.at_us, "bridge", "review", subject, each.reason))
    return [None] * len(items)


REVIEWED: Work[Reviewed, None] = Work("review-bundle", _reviewed)
"""Note that an emergency was looked at."""


class Retire(NamedTuple):
    """Nobody is to run by a bundle again."""

    digest: str
    actor: str
    reason: str
    at_us: Microseconds


def _retire(tx: Transaction, items: Sequence[Retire]) -> list[str]:
    return [_retire_one(tx, each) for each in items]


def _retire_one(tx: Transaction, each: Retire) -> str:
    """Why it cannot be retired; empty where it is now."""
    found = tx.connection.execute(select(bundles.c.state).where(bundles.c.digest == each.digest)).scalar()
    if found is None:
        return f"this journal knows no bundle {shown(each.digest)}"
    if found in ("active", "retired"):
        return f"bundle {shown(each.digest)} is {found}"
    _step(tx.connection, each.digest, "retired", each.at_us)
    note(tx, ActionRow(each.at_us, each.actor, "retire", f"bundle {shown(each.digest)}", each.reason))
    return ""


RETIRE: Work[Retire, str] = Work("retire-bundle", _retire)
"""Let a bundle never be loaded again."""


class EndApprovals(NamedTuple):
    """From now on this journal's node runs by any files."""

    reason: str
    at_us: Microseconds


def _end(tx: Transaction, items: Sequence[EndApprovals]) -> list[None]:
    for each in items:
        tx.connection.execute(delete(facts).where(facts.c.name == APPROVALS))
        for digest in tx.connection.execute(select(bundles.c.digest).where(bundles.c.state == "active")):
            _step(tx.connection, digest[0], "deprecated", each.at_us)
        note(tx, ActionRow(each.at_us, "bridge", "approvals-end", "approvals", each.reason))
    return [None] * len(items)


END_APPROVALS: Work[EndApprovals, None] = Work("end-approvals", _end)
"""Ask for no approvals any more."""


def asked_for(connection: Connection) -> bool:
    """Whether this journal runs approved files only."""
    return connection.execute(select(facts.c.name).where(facts.c.name == APPROVALS)).first() is not None


def known(connection: Connection) -> Known:
    """All that the journal knows of approvals."""
    people = connection.execute(select(facts.c.value).where(facts.c.name == APPROVALS)).scalar()
    rows = connection.execute(select(bundles).order_by(bundles.c.at_us.desc()).limit(BUNDLES_READ_MAX)).all()
    statements: dict[str, list[Statement]] = {row.digest: [] for row in rows}
    for row in connection.execute(select(bundle_statements).order_by(bundle_statements.c.at_us)):
        if row.bundle in statements:
            statements[row.bundle].append(Statement(**row._mapping))
    return Known(
        "" if people is None else people.decode(),
        {
            row.digest: KnownBundle(
                row.digest, Bundle.of_text(row.manifest), row.author, row.people, row.state, row.at_us
            )
            for row in rows
        },
        {digest: tuple(found) for digest, found in statements.items()},
    )
