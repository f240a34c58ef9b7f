"""What a verification of the chain reads of a journal: streams in order of ids, all of one moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain as chain_of
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, select

from bridge.audit.entries import Commit, Span, action_entry, disclosure_entry, file_step_entry, step_entry
from bridge.audit.notes import Verifier
from bridge.audit.ranges import Ranges
from bridge.audit.ranges import read as read_ranges
from bridge.audit.report import Report
from bridge.audit.verifying import Covered, Kept, Signed, verify
from bridge.journal.audit_schema import chain, checkpoints, disclosures
from bridge.journal.database import Facts
from bridge.journal.file_schema import file_steps
from bridge.journal.schema import actions, transitions

ROWS_AT_ONCE: Final = 5000
FILE_ROWS_AT_ONCE: Final = 500
"""Of a file, whose rows cost no way to a server: more would not stay in the processor's cache."""


def verify_chain(
    connection: Connection, *, verifiers: Sequence[Verifier] = (), anchors: Iterable[str] = ()
) -> Report:
    """Hold the chain of a journal against its rows, its checkpoints and what was anchored elsewhere.

    ``verifiers`` are the public keys that signatures count of, ``anchors`` signed notes from elsewhere.
    """
    return verify(
        Facts(connection).journal_id,
        commits(connection),
        (
            Covered("step", rows(connection, STEP_ROWS), step_entry, may_be_retired=True),
            Covered("action", rows(connection, ACTION_ROWS), action_entry),
            Covered("file step", rows(connection, FILE_STEP_ROWS), file_step_entry),
            Covered("disclosure", disclosed(connection), disclosure_entry),
        ),
        signed_checkpoints(connection),
        retired(connection),
        verifiers,
        anchors,
    )


_S, _A, _F, _D = transitions.c, actions.c, file_steps.c, disclosures.c
STEP_ROWS: Final = select(
    _S.id, _S.message_id, _S.delivery_id, _S.from_state, _S.to_state, _S.at_us, _S.actor, _S.reason, _S.detail
).order_by(_S.id)
ACTION_ROWS: Final = select(_A.id, _A.at_us, _A.actor, _A.action, _A.object, _A.reason).order_by(_A.id)
FILE_STEP_ROWS: Final = select(
    _F.id, _F.file_id, _F.from_state, _F.to_state, _F.at_us, _F.actor, _F.reason
).order_by(_F.id)
_DISCLOSURES: Final = select(
    _D.id, _D.at_us, _D.patient, _D.message_id, _D.delivery_id, _D.api, _D.operation, _D.mapping,
    _D.mapping_digest, _D.outcome,
).order_by(_D.id)  # fmt: skip


def rows(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a query, some at a time."""
    plain = query.compile(dialect=connection.dialect)
    if connection.dialect.name == "sqlite" and not plain.params:
        # A million rows are read in half the time where nothing is made of each; these are plain already.
        cursor = connection.connection.cursor()
        cursor.execute(str(plain))
        return chain_of.from_iterable(iter(partial(cursor.fetchmany, FILE_ROWS_AT_ONCE), []))
    return _rows_of_a_server(connection, query)


def _rows_of_a_server(connection: Connection, query: Select[Any]) -> Iterator[tuple[Any, ...]]:
    # Whoever has found what is wrong reads no further, and then the server's cursor is let go here.
    with connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
        for some in found.partitions():
            yield from map(tuple, some)


def disclosed(connection: Connection, *within: ColumnElement[bool]) -> Iterator[tuple[Any, ...]]:
    """Rows of `disclosures` as they are hashed, or those ``within``."""
    for row in rows(connection, _DISCLOSURES.where(*within)):
        yield *row[:2], bytes(row[2]).hex(), *row[3:]


def commits(connection: Connection, *, first: int = 1, last: int | None = None) -> Iterator[Kept]:
    """Rows of the chain, from one number to another, both included."""
    query = select(chain).where(chain.c.seq >= first).order_by(chain.c.seq)
    if last is not None:
        query = query.where(chain.c.seq <= last)
    with connection.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
        for row in found:
            yield Kept(
                Commit(
                    row.seq,
                    row.epoch,
                    row.at_us,
                    Span(row.first_step, row.steps),
                    Span(row.first_action, row.actions),
                    Span(row.first_file_step, row.file_steps),
                    Span(row.first_disclosure, row.disclosures),
                    bytes(row.root),
                    row.configuration,
                    row.retired,
                    row.note,
                ),
                bytes(row.previous),
                bytes(row.hash),
                bytes(row.leaves),
            )


def signed_checkpoints(connection: Connection) -> list[Signed]:
    """All checkpoints that stand in the journal."""
    rows = connection.execute(select(checkpoints).order_by(checkpoints.c.size))
    return [Signed(row.size, row.note, bytes(row.frontier)) for row in rows]


def retired(connection: Connection) -> Ranges:
    """The steps that retention has deleted, as the chain says; what cannot be read counts as nothing."""
    texts = connection.execute(
        select(chain.c.retired).where(chain.c.retired != ""),
        execution_options={"yield_per": ROWS_AT_ONCE},
    ).scalars()
    return Ranges(_readable(texts))


def _readable(texts: Iterable[str]) -> Iterator[tuple[int, int]]:
    for text in texts:
        try:
            yield from list(read_ranges(text))
        except ValueError:
            continue  # the row that holds it is altered, and found so
