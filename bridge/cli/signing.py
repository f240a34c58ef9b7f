"""What persons sign about a bundle, and where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridge.approvals.bundle import APPROVERS_FILE, Bundle, shown
from bridge.approvals.judge import authors_of, judge, objection
from bridge.approvals.people import People
from bridge.approvals.statements import EMERGENCY_MAX_US, REASON_MAX_CHARACTERS, Does, Statement
from bridge.audit.notes import Signer
from bridge.cli import output as out
from bridge.cli.bundling import Gathered, known_to, name_of, now_us
from bridge.cli.reading import Said
from bridge.config.approval_files import read_approvals, write_bundle, write_statement
from bridge.errors import ConfigurationRefused
from bridge.runtime.approving import ledger_of

NO = 1
WRONG_USE = 2


def must_be_known(who: Signer, people: People) -> None:
    """Raise Said unless the persons who count have this one, with this key."""
    person = people.persons.get(who.name)
    if person is None:
        raise Said(f"{who.name} is nobody whom {APPROVERS_FILE} names", NO)
    if person.key != who.verifier.line:
        raise Said(
            f"this is not the key that {APPROVERS_FILE} has of {who.name}: it was replaced, there or here", NO
        )


def _statement(
    bundle: Bundle, author: str, who: Signer, does: Does, reason: str, at_us: int, ends_us: int | None = None
) -> Statement:
    if not reason.strip() or len(reason) > REASON_MAX_CHARACTERS:
        raise Said(f"say why, in at most {REASON_MAX_CHARACTERS} characters", WRONG_USE)
    return Statement(bundle.digest, author, who.name, does, at_us, ends_us, reason.strip(), "").sign(who)


def propose(directory: Path, bundle: Bundle, who: Signer, reason: str, at_us: int) -> list[str]:
    """Write a bundle as its author; the paths that were written."""
    statement = _statement(bundle, who.name, who, "propose", reason, at_us)
    try:
        return write_bundle(directory, bundle, statement)
    except ValueError as wrong:
        raise Said(str(wrong), NO) from None
    except OSError as error:
        raise Said(f"{error.filename}: {error.strerror}", 3) from None


def first_persons(found: Gathered, who: Signer, reason: str, at_us: int) -> list[str]:
    """Write the file of persons as a bundle where there is none yet: what later ones are made from."""
    persons = found.files.persons
    assert persons is not None
    kinds = {each.bundle.kind for each in found.ledger.bundles.values()}
    if found.bundle.kind == "approvers" or "approvers" in kinds:
        return []
    return propose(found.directory, persons, who, reason, at_us)


def approve(found: Gathered, who: Signer, reason: str, emergency_us: int | None = None) -> str:
    """Sign a bundle; the path of what was written.

    Raises Said with the reason where it would not count: its author, somebody whom the file of persons does
    not name or has with another key, of a wrong group, or a bundle that nobody has proposed.
    """
    must_be_known(who, found.people)
    author = found.author
    if not author:
        raise Said(
            f"nobody has proposed bundle {name_of(found.bundle)}: `bridge bundle propose` is the first step",
            NO,
        )
    at_us = now_us()
    ends_us = None if emergency_us is None else at_us + min(emergency_us, EMERGENCY_MAX_US)
    does: Does = "approve" if emergency_us is None else "emergency"
    statement = _statement(found.bundle, author, who, does, reason, at_us, ends_us)
    refused = objection(statement, found.bundle, author, found.people)
    if refused is None:
        with_it = (*found.recorded.statements, statement)
        verdict = judge(found.bundle, found.base, found.people, with_it, at_us)
        refused = next((each for each in verdict.refused if each.person == who.name), None)
    if refused is not None:
        raise Said(refused.text, NO)
    try:
        return write_statement(found.directory, statement)
    except OSError as error:
        raise Said(f"{error.filename}: {error.strerror}", 3) from None


def listed(directory: Path, journal_url: str | None) -> list[dict[str, Any]]:
    """A row for each bundle of a folder and of a journal, the newest first."""
    files = read_approvals(directory)
    if files.persons is None or files.people is None:
        raise ConfigurationRefused(files.problems)
    journal, _ = known_to(journal_url)
    ledger = ledger_of(files, journal)
    rows: list[tuple[int, dict[str, Any]]] = []
    for digest, each in ledger.bundles.items():
        before = ledger.bundles.get(each.bundle.base or "")
        people = files.people
        if each.bundle.kind == "approvers":
            people = (before or each).bundle.people or people
        base = None if before is None else before.bundle
        verdict = judge(each.bundle, base, people, each.statements, now_us())
        root = each.bundle.kind == "approvers" and base is None
        authors = authors_of(each.bundle, each.statements, people)
        state = each.state or ("approved" if verdict.may_run or root else "review" if authors else "draft")
        at_us = max((said.at_us for said in each.statements if said.does == "propose"), default=0)
        row = {
            "bundle": shown(digest),
            "of": "persons" if each.bundle.kind == "approvers" else each.bundle.environment,
            "state": state,
            "author": ", ".join(authors),
            "proposed": out.moment(at_us) if at_us else "",
            "by": verdict.words,
            "files": len(each.bundle.files),
        }
        rows.append((at_us, row))
    return [row for _, row in sorted(rows, key=lambda each: each[0], reverse=True)]
