"""Evidence held against itself: signature, chain, proofs and approvals. Nothing else is asked."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from bridge.approvals.bundle import Bundle, shown
from bridge.approvals.judge import CLOCKS_APART_MAX_US, judge
from bridge.approvals.statements import Statement
from bridge.audit.checkpoints import Checkpoint, checkpoint_of
from bridge.audit.entries import (
    LOOKS,
    Commit,
    Span,
    action_entry,
    disclosure_entry,
    file_step_entry,
    step_entry,
)
from bridge.audit.merkle import consistency_holds
from bridge.audit.notes import Note, Verifier
from bridge.audit.ranges import Ranges, read
from bridge.audit.report import Report
from bridge.audit.verifying import Covered, Kept, Signed, verify
from bridge.evidence.sections import Opened

PROBLEMS_MAX: Final = 100
Section = Callable[[str], Iterator[Any]]
"""The values of a section, from its begin."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was looked at, and every problem as a sentence that names the part."""

    head: dict[str, Any]
    counts: dict[str, int]
    problems: tuple[str, ...]
    limits: tuple[str, ...]
    """What it could not show, though nothing is wrong."""


def verified(opened: Opened, section: Section, key: Verifier, anchors: Sequence[str] = ()) -> Verified:
    """Verify a file that `opened` has gone through. Does not raise on content.

    ``anchors`` are notes that were kept elsewhere; those of rows that the file does not reach say nothing.
    """
    problems = list(opened.problems)
    head: dict[str, Any] = {}
    limits: list[str] = []
    try:
        head = next(section("evidence"), {})
        report = _chain(head, section, key, anchors)
        problems += [f"{each.where}: {each.kind}: {each.what}" for each in report.findings]
        limits = report.limits() if report.commits else ["no commit of the chain is in this time"]
        if any(opened.counts.get(name) for name in ("checkpoint", "commit")) and report.unknown_keys:
            problems.append(f"checkpoints are signed by {', '.join(sorted(report.unknown_keys))} alone")
        problems += _consistency(section)
        problems += _approvals(section)
        problems += _access(section)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        # What a line holds is whoever's; the note has told already that it is not what was signed.
        problems.append(
            "a line does not say what one of its section says: the file is damaged, or is another"
        )
    return Verified(head, opened.counts, tuple(dict.fromkeys(problems))[:PROBLEMS_MAX], tuple(limits))


def _chain(head: dict[str, Any], section: Section, key: Verifier, anchors: Sequence[str]) -> Report:
    tables = (
        Covered("step", map(tuple, section("step")), step_entry, may_be_retired=True),
        Covered("action", map(tuple, section("action")), action_entry),
        Covered("file step", map(tuple, section("file")), file_step_entry),
        Covered("disclosure", map(tuple, section("disclosure")), disclosure_entry),
    )
    checkpoints = [
        Signed(int(each["size"]), str(each["note"]), bytes.fromhex(each["frontier"]))
        for each in section("checkpoint")
    ]
    commits = map(commit_of, section("commit"))
    retired = Ranges(read(str(head["retired"])))
    first, last = int(head["first"]), int(head["last"])
    within = [each for each in anchors if first - 1 <= _size(each) <= last]
    return verify(str(head["journal"]), commits, tables, checkpoints, retired, [key], within, first=first)


def _size(note: str) -> int:
    """Of how many rows an anchor is; -1 for what is none."""
    try:
        return _checkpoint(note).size
    except ValueError:
        return -1


def commit_as_json(kept: Kept) -> dict[str, Any]:
    """A row of the chain for a line."""
    commit = kept.commit
    return {
        "seq": commit.seq,
        "epoch": commit.epoch,
        "at_us": commit.at_us,
        "spans": [list(span) for span in (commit.steps, commit.actions, commit.files, commit.disclosures)],
        "root": commit.root.hex(),
        "configuration": commit.configuration,
        "retired": commit.retired,
        "note": commit.note,
        "previous": kept.previous.hex(),
        "hash": kept.hash.hex(),
        "leaves": kept.leaves.hex(),
    }


def commit_of(value: dict[str, Any]) -> Kept:
    """What `commit_as_json` gave. Raises ValueError, KeyError or TypeError where it is something else."""
    steps, actions, files, disclosures = (Span(int(first), int(size)) for first, size in value["spans"])
    commit = Commit(
        int(value["seq"]),
        int(value["epoch"]),
        int(value["at_us"]),
        steps,
        actions,
        files,
        disclosures,
        bytes.fromhex(value["root"]),
        str(value["configuration"]),
        str(value["retired"]),
        str(value["note"]),
    )
    return Kept(
        commit,
        bytes.fromhex(value["previous"]),
        bytes.fromhex(value["hash"]),
        bytes.fromhex(value["leaves"]),
    )


def _consistency(section: Section) -> Iterator[str]:
    """Each checkpoint goes on from the one before, by the proof between them."""
    found = {each["size"]: _checkpoint(each["note"]) for each in section("checkpoint")}
    proofs = {(each["from"], each["to"]): each["proof"] for each in section("consistency")}
    sizes = sorted(found)
    for first, second in pairwise(sizes):
        proof = proofs.get((first, second))
        if proof is None:
            yield f"checkpoint {second}: no proof that it goes on from checkpoint {first}"
            continue
        hashes = [base64.b64decode(each, validate=True) for each in proof]
        if not consistency_holds(first, second, found[first].root, found[second].root, hashes):
            yield f"checkpoint {second}: it does not go on from checkpoint {first}: the chain was forked"


def _checkpoint(note: str) -> Checkpoint:
    return checkpoint_of(Note.read(note))


def _approvals(section: Section) -> Iterator[str]:
    """Each statement is as it was signed and about a bundle that is here; and what was loaded is here."""
    bundles = {Bundle.of_text(each["manifest"]).digest: each for each in section("bundle")}
    for value in section("bundle"):
        if value["digest"] not in bundles:
            yield f"bundle {shown(str(value['digest']))}: its manifest is another one"
    for value in section("statement"):
        statement = Statement.of_json(value)
        where = f"statement of {statement.person} on bundle {shown(statement.bundle)}"
        if not statement.genuine:
            yield f"{where}: the signature does not fit"
        elif statement.bundle not in bundles:
            yield f"{where}: the bundle is not here"
        elif statement.does != "propose" and statement.person == bundles[statement.bundle]["author"]:
            yield f"{where}: an author cannot approve"
    yield from _loads(section, bundles)


def _loads(section: Section, bundles: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Each bundle that was loaded is here, and those had agreed who had to, by the persons of then."""
    here = {digest: Bundle.of_text(each["manifest"]) for digest, each in bundles.items()}
    by_name = {f"bundle {shown(digest)}": each for digest, each in here.items()}
    statements = [Statement.of_json(value) for value in section("statement")]
    for row in section("action"):
        if row[3] != "load":
            continue
        bundle = by_name.get(row[4])
        if bundle is None:
            yield f"action {row[0]}: {row[4]} was loaded, and is not here"
            continue
        people = here.get(str(bundles[bundle.digest]["people"]))
        if people is None or people.people is None:
            yield f"action {row[0]}: whom {row[4]} was judged by is not here"
            continue
        said = [
            each
            for each in statements
            if each.bundle == bundle.digest and each.at_us <= row[1] + CLOCKS_APART_MAX_US
        ]
        verdict = judge(bundle, here.get(bundle.base or ""), people.people, said, row[1])
        if not verdict.may_run:
            yield f"action {row[0]}: {row[4]} was loaded, and was not approved: {verdict.reasons[0]}"


def _access(section: Section) -> Iterator[str]:
    """The log of who saw content is exactly those actions."""
    logged = [tuple(each) for each in section("access")]
    seen = [tuple(row) for row in section("action") if row[3] in LOOKS]
    if logged != seen:
        yield "section access: it is not the actions by which somebody saw content"


def accesses(actions: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Of actions, as rows, those by which a person saw content."""
    return (row for row in actions if row[3] in LOOKS)
