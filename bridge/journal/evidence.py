"""What a journal can show of a time, as the parts of a file of evidence: rows, counts and digests.

No content of a message is among them. What is longer than a line is read row by row.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, func, select

from bridge.approvals.bundle import shown
from bridge.audit.checkpoints import Checkpoint, origin_of
from bridge.audit.merkle import Frontier, Tree
from bridge.audit.notes import Note, Signer
from bridge.audit.ranges import read as read_ranges
from bridge.audit.verifying import Signed
from bridge.evidence.verifying import accesses, commit_as_json
from bridge.journal.audit import (
    ACTION_ROWS,
    FILE_STEP_ROWS,
    STEP_ROWS,
    commits,
    disclosed,
    rows,
    signed_checkpoints,
)
from bridge.journal.audit_schema import chain
from bridge.journal.audit_schema import disclosures as disclosure_table
from bridge.journal.bundles import known
from bridge.journal.compliance import said
from bridge.journal.database import Facts
from bridge.journal.file_schema import file_steps
from bridge.journal.files import used_between
from bridge.journal.reconciling import reconcile
from bridge.journal.schema import actions, transitions
from bridge.message import Microseconds

COMMITS_MAX_COUNT: Final = 20_000_000
"""The hashes of so many are held at once, 32 bytes each and what Python adds."""
Part = tuple[str, Any]


class NothingToShow(Exception):
    """The chain has no row in this time, or its rows are pruned; the text says which."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Commits from one checkpoint to another around a time."""

    first: int
    last: int
    before: Frontier


def evidence_of(
    connection: Connection,
    signer: Signer,
    since_us: Microseconds,
    until_us: Microseconds,
    made_us: Microseconds,
) -> Iterator[Part]:
    """The parts of a file about a time, in their order. Raises NothingToShow."""
    signed = signed_checkpoints(connection)
    found = _slice(connection, signed, since_us, until_us)
    journal_id = Facts(connection).journal_id
    tree = Tree([each.hash for each in commits(connection, first=found.first, last=found.last)], found.before)
    spans = {name: _span(connection, name, found) for name in _SPANS}
    yield (
        "evidence",
        {
            "journal": journal_id,
            "from_us": since_us,
            "to_us": until_us,
            "made_us": made_us,
            "first": found.first,
            "last": found.last,
            "retired": _retired_text(connection, spans["steps"]),
        },
    )
    points = [each for each in signed if found.first - 1 <= each.size <= found.last]
    if not points or points[-1].size < found.last:
        # Rows that no checkpoint of the journal stands for yet: whoever makes the evidence signs for them.
        points.append(Signed(found.last, "", found.before.appended(tree.leaves).to_bytes()))
    points = [_signed(connection, journal_id, each, signer) for each in points]
    for each in points:
        yield "checkpoint", {"size": each.size, "note": each.note, "frontier": each.frontier.hex()}
    for one, other in pairwise(points):
        proof = [base64.b64encode(each).decode() for each in tree.consistency_proof(one.size, other.size)]
        yield "consistency", {"from": one.size, "to": other.size, "proof": proof}
    yield from _approvals(connection, spans["actions"])
    yield from _counts(connection, since_us, until_us, spans["actions"])
    for commit in commits(connection, first=found.first, last=found.last):
        yield "commit", commit_as_json(commit)
    yield from (
        ("step", list(row)) for row in _between(connection, STEP_ROWS, transitions.c.id, spans["steps"])
    )
    yield from (
        ("action", list(row)) for row in _between(connection, ACTION_ROWS, actions.c.id, spans["actions"])
    )
    yield from (
        ("file", list(row))
        for row in _between(connection, FILE_STEP_ROWS, file_steps.c.id, spans["file_steps"])
    )
    first, last = spans["disclosures"]
    ids = disclosure_table.c.id
    yield from (("disclosure", list(row)) for row in disclosed(connection, ids >= first, ids < last))


def _signed(connection: Connection, journal_id: str, each: Signed, signer: Signer) -> Signed:
    """A checkpoint as this key has signed it, or signs it now: those of a key that was replaced, and such
    that nobody has signed, count for nobody who has this one."""
    with suppress(ValueError):
        if Note.read(each.note).signed_by([signer.verifier]):
            return each
    epoch = connection.execute(select(chain.c.epoch).where(chain.c.seq == each.size)).scalar() or 1
    root = Frontier.from_bytes(each.size, each.frontier).root
    text = Checkpoint(origin_of(signer.name, journal_id, epoch), each.size, root).text
    return Signed(each.size, signer.sign(text), each.frontier)


def _slice(
    connection: Connection, signed: list[Signed], since_us: Microseconds, until_us: Microseconds
) -> Slice:
    """From the last checkpoint before a time to the first one after it, or to the last commit in it."""
    within = select(func.min(chain.c.seq), func.max(chain.c.seq), func.count()).where(
        chain.c.at_us >= since_us, chain.c.at_us < until_us
    )
    first, last, count = connection.execute(within).one()
    if not count:
        raise NothingToShow("the chain has no row in this time")
    if last - first >= COMMITS_MAX_COUNT:
        raise NothingToShow(f"that is more than {COMMITS_MAX_COUNT} commits: ask for a shorter time")
    start = max((each for each in signed if each.size < first), key=lambda each: each.size, default=None)
    begins = 1 if start is None else start.size + 1
    last = min((each.size for each in signed if each.size >= last), default=last)
    oldest = connection.execute(select(func.min(chain.c.seq))).scalar_one()
    if oldest > begins:
        raise NothingToShow(f"rows of this time are pruned: the chain begins with commit {oldest}")
    before = Frontier() if start is None else Frontier.from_bytes(start.size, start.frontier)
    return Slice(begins, last, before)


_SPANS: Final[dict[str, tuple[Column[Any], Column[Any]]]] = {
    "steps": (chain.c.first_step, chain.c.steps),
    "actions": (chain.c.first_action, chain.c.actions),
    "file_steps": (chain.c.first_file_step, chain.c.file_steps),
    "disclosures": (chain.c.first_disclosure, chain.c.disclosures),
}


def _span(connection: Connection, name: str, of: Slice) -> tuple[int, int]:
    """The first id of a table that these commits cover, and the one behind the last."""
    first, size = _SPANS[name]
    query = select(func.min(first), func.max(first + size)).where(
        chain.c.seq >= of.first, chain.c.seq <= of.last, size > 0
    )
    low, high = connection.execute(query).one()
    return (0, 0) if low is None else (low, high)


def _between(
    connection: Connection, query: Select[Any], column: Column[Any], span: tuple[int, int]
) -> Iterator[tuple[Any, ...]]:
    return rows(connection, query.where(column >= span[0], column < span[1]))


def _retired_text(connection: Connection, span: tuple[int, int]) -> str:
    """The steps of a span that retention has deleted, whenever it did."""
    first, last = span[0], span[1] - 1
    found = []
    for text in connection.execute(select(chain.c.retired).where(chain.c.retired != "")).scalars():
        for low, high in read_ranges(text):
            if low <= last and high >= first:
                found.append(f"{max(low, first)}-{min(high, last)}")
    return ",".join(found)


def _approvals(connection: Connection, span: tuple[int, int]) -> Iterator[Part]:
    """The bundles that were loaded in this time or run now, with the persons who counted."""
    journal = known(connection)
    loaded = {row[4] for row in _between(connection, ACTION_ROWS, actions.c.id, span) if row[3] == "load"}
    wanted: dict[str, None] = {}
    for digest, each in journal.bundles.items():
        if each.state == "active" or f"bundle {shown(digest)}" in loaded:
            # With what it was made from, so that who had to agree can be seen.
            wanted |= dict.fromkeys(filter(None, (each.people, each.bundle.base, digest)))
    for digest in sorted(wanted.keys() & journal.bundles.keys()):
        found = journal.bundles[digest]
        yield (
            "bundle",
            {
                "digest": digest,
                "author": found.author,
                "state": found.state,
                "at_us": found.at_us,
                "people": found.people,
                "manifest": found.bundle.text,
            },
        )
    for digest in sorted(wanted):
        for statement in journal.statements.get(digest, ()):
            yield "statement", statement.as_json()


def _counts(
    connection: Connection, since_us: Microseconds, until_us: Microseconds, span: tuple[int, int]
) -> Iterator[Part]:
    for name, digest in used_between(connection, since_us, until_us):
        yield "version", {"name": name, "digest": digest}
    for each in said(connection, since_us=since_us, until_us=until_us):
        yield (
            "verdicts",
            {"api": each.api, "verdicts": each.verdicts, "count": each.count, "cut_short": each.cut_short},
        )
    looks = accesses(_between(connection, ACTION_ROWS, actions.c.id, span))
    yield from (("access", list(row)) for row in looks)
    day = datetime.fromtimestamp(since_us / 1e6, UTC).strftime("%Y%m%d")
    found = reconcile(connection, since_us, until_us, channel=None, day_of=day)
    for account in found.accounts:
        yield (
            "account",
            {
                "channel": account.channel,
                "batch": None if account.batch is None else account.batch.batch_id,
                "received": account.received,
                "entries": {name: count for name, count in account.entries.items() if count},
                "balanced": account.balanced,
            },
        )
    for misfit in found.misfits:
        yield (
            "misfit",
            {
                "kind": misfit.kind,
                "channel": misfit.channel,
                "text": misfit.text,
                "batch": misfit.batch_id,
            },
        )
