"""What somebody who approves must see: the files of a folder beside those that were approved."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.approvals.admission import Ledger, NotAdmitted, Recorded, admit, changed_persons, line_of
from bridge.approvals.bundle import Bundle, shown
from bridge.approvals.judge import Needs, Verdict, authors_of, judge, needs_of
from bridge.approvals.lifecycle import State
from bridge.approvals.people import People
from bridge.approvals.words import differences, row_differences
from bridge.audit.notes import Signer
from bridge.catalog import STANDARD
from bridge.cli.reading import read
from bridge.config.approval_files import ApprovalFiles, as_bundled, content_of, read_approvals
from bridge.config.areas import bundle_of
from bridge.config.files import read_regular
from bridge.config.load import load, mapping_of
from bridge.config.settings import settings
from bridge.config.topology import Topology
from bridge.config.yaml_tree import read_tree_bytes
from bridge.errors import BridgeError, ConfigurationRefused, JournalRefused, JournalUnavailable
from bridge.journal.bundles import Known, known
from bridge.located import Mapping
from bridge.mapping.companions import Companion, pinned
from bridge.mapping.plan import Plan
from bridge.runtime.approving import ledger_of
from bridge.units import SecretRef

KEY_MAX_BYTES = 4096
NO_JOURNAL = Known("", {}, {})


class KeyRefused(BridgeError):
    """A private key cannot be used. The text names its place and never shows it."""


def now_us() -> int:
    """The time of this machine."""
    return time.time_ns() // 1000


def signer(place: str) -> Signer:
    """A person's private key: a file that nobody else may read, or a secret. Raises KeyRefused."""
    if place.startswith("secret://"):
        try:
            text = settings(os.environ).secrets.resolve(SecretRef.parse(place))
        except (ValueError, BridgeError) as wrong:
            raise KeyRefused(str(wrong)) from None
    else:
        text = _of_file(Path(place))
    try:
        return Signer.parse(text)
    except ValueError:
        raise KeyRefused(f"{place}: this is no private key; `bridge bundle key NAME` makes one") from None


def _of_file(path: Path) -> str:
    try:
        found = read_regular(path, KEY_MAX_BYTES)
    except OSError as error:
        raise KeyRefused(f"{path}: {error.strerror}; `bridge bundle key NAME` makes a key") from None
    if found is None:
        raise KeyRefused(f"{path}: this is no file")
    content, mode = found
    if mode & 0o077:
        raise KeyRefused(f"{path}: others can reach this key; take that away: chmod 600")
    return content.decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Gathered:
    """The files of a folder, what is known of approvals, and what these files are made from."""

    directory: Path
    files: ApprovalFiles
    ledger: Ledger
    journal: bool
    """Whether a journal could be read."""
    bundle: Bundle
    base: Bundle | None
    topology: Topology | None
    """None where the bundle is the file of persons."""

    @property
    def recorded(self) -> Recorded:
        """The bundle with what was signed about it."""
        return self.ledger.bundles.get(self.bundle.digest) or Recorded(self.bundle, ())

    @property
    def people(self) -> People:
        """The persons who must agree: for other persons those of before."""
        people = self.base.people if self.bundle.kind == "approvers" and self.base else self.files.people
        assert people is not None
        return people

    @property
    def needs(self) -> Needs:
        """Who must agree."""
        return needs_of(self.bundle, self.base, self.people)

    @property
    def verdict(self) -> Verdict:
        """What became of what was signed."""
        return judge(self.bundle, self.base, self.people, self.recorded.statements, now_us())

    @property
    def state(self) -> State:
        """Where it is in its life."""
        if (known_state := self.recorded.state) is not None:
            return known_state
        if not authors_of(self.bundle, self.recorded.statements, self.people):
            return "draft"
        return "approved" if self.verdict.may_run else "review"

    @property
    def author(self) -> str:
        """Who proposed it; empty for a draft."""
        return next(iter(authors_of(self.bundle, self.recorded.statements, self.people)), "")

    @property
    def refusal(self) -> str:
        """Why the node on this journal would not run by these files, though the persons of this folder have
        agreed; empty where it would."""
        if self.files.persons is None or not self.ledger.trusted or self.bundle.kind == "approvers":
            return ""
        found = admit(self.bundle, self.files.persons, self.ledger, now_us())
        return f"{found.path}: {found.text}" if isinstance(found, NotAdmitted) else ""

    def words_of(self, path: str) -> Iterator[str]:
        """What differs in one file, in words."""
        if self.bundle.kind == "approvers":
            now, was_people = self.bundle.people, None if self.base is None else self.base.people
            if now is not None and was_people is not None:
                yield from changed_persons(was_people, now)
            return
        was = None if self.base is None else self.base.files.get(path)
        before = None if was is None else content_of(self.directory, was)
        after = as_bundled(self.directory, path) if path in self.bundle.files else None
        if before is None or after is None:
            if was is not None and before is None:
                yield "as it was is not kept in approvals/files/"
            return
        if path.endswith(".csv"):
            yield from row_differences(before, after)
            return
        yield from differences(read_tree_bytes(before, path)[0], read_tree_bytes(after, path)[0])

    def plan_before(self, name: str) -> Plan | None:
        """A mapping as it was approved; None where it is new, or not kept, or not taken any more."""
        if self.topology is None or self.base is None:
            return None
        path = self.topology.paths[("mapping", name)]
        content = content_of(self.directory, self.base.files.get(path, ""))
        if content is None:
            return None
        companions: dict[str, Companion] = {}
        for beside, sha256 in self.base.files.items():
            if not beside.startswith(("mappings/tables/", "mappings/fragments/")):
                continue
            if (data := content_of(self.directory, sha256)) is not None:
                tree = None if beside.endswith(".csv") else read_tree_bytes(data, beside)[0]
                name_there = beside.removeprefix("mappings/")
                companions[name_there] = Companion(
                    beside, sha256, data, tree if isinstance(tree, Mapping) else None
                )
        kept, _ = pinned(content, read_tree_bytes(content, path)[0], companions)
        try:
            return mapping_of(path, kept, lambda digest: content_of(self.directory, digest))
        except ConfigurationRefused:
            return None

    def changed_mappings(self) -> list[str]:
        """The names of mappings that make something else than before, or are new."""
        if self.topology is None:
            return []
        changed = {*self.bundle.changes(self.base).paths}
        beside = {path.removeprefix("mappings/") for path in changed}
        found = []
        for name, plan in self.topology.plans.items():
            path = self.topology.paths[("mapping", name)]
            kept = next((file.content for file in self.topology.mapping_files if file.name == path), b"")
            if path in changed or any(f"# {each} sha256:".encode() in kept for each in beside):
                found.append(plan.name)
        return found


def known_to(journal_url: str | None) -> tuple[Known, bool]:
    """What a journal knows of approvals, and whether there is one that can be read."""
    try:
        return read(journal_url, known), True
    except (JournalRefused, JournalUnavailable):
        return NO_JOURNAL, False


def gather(
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    *,
    whole: bool = False,
    approvers: bool = False,
) -> Gathered:
    """Read all. Raises ConfigurationRefused where the files or the file of persons have mistakes."""
    files = read_approvals(directory)
    if files.persons is None:
        raise ConfigurationRefused(files.problems)
    journal, there = known_to(journal_url)
    ledger = ledger_of(files, journal)
    if approvers:
        base = None if whole else _persons_before(files.persons, ledger)
        bundle = replace(files.persons, base=None if base is None else base.digest)
        return Gathered(directory, files, ledger, there, bundle, base, None)
    topology = load(directory, STANDARD, environment=environment)
    now = bundle_of(topology)
    found = None if whole else _same(now, ledger)
    if found is not None:
        before = ledger.bundles.get(found.base or "")
        return Gathered(
            directory, files, ledger, there, found, None if before is None else before.bundle, topology
        )
    base = None if whole else _base(now, files.persons, ledger)
    bundle = bundle_of(topology, None if base is None else base.digest)
    return Gathered(directory, files, ledger, there, bundle, base, topology)


def _same(now: Bundle, ledger: Ledger) -> Bundle | None:
    """The bundle that is these files: one that ran, or the newest that goes back to what runs."""
    same = [
        each
        for each in ledger.bundles.values()
        if each.bundle.kind == "files" and each.bundle.same_content(now)
    ]
    for each in same:
        if each.state in ("active", "deprecated"):
            return each.bundle
    found = [each for each in same if line_of(each, ledger)]
    return max(found, key=_proposed_us).bundle if found else None


def _proposed_us(each: Recorded) -> int:
    return max((said.at_us for said in each.statements if said.does == "propose"), default=0)


def _base(now: Bundle, persons: Bundle, ledger: Ledger) -> Bundle | None:
    """What these files are made from: what runs, or without a journal the newest approved bundle."""
    active = ledger.active(now.environment)
    if active is not None:
        return active.bundle
    found: list[tuple[int, Bundle]] = []
    for each in ledger.bundles.values():
        if (each.bundle.kind, each.bundle.environment) != ("files", now.environment):
            continue
        if not isinstance(admit(each.bundle, persons, replace(ledger, trusted=""), now_us()), NotAdmitted):
            found.append((_proposed_us(each), each.bundle))
    return max(found, key=lambda each: each[0])[1] if found else None


def _persons_before(persons: Bundle, ledger: Ledger) -> Bundle | None:
    """The persons who count now: those that the journal took last, else the newest that were approved."""
    if (trusted := ledger.bundles.get(ledger.trusted)) is not None:
        return trusted.bundle
    tips: list[tuple[int, Bundle]] = []
    for each in ledger.bundles.values():
        if each.bundle.kind != "approvers" or each.bundle.same_content(persons):
            continue
        before = ledger.bundles.get(each.bundle.base or "")
        people = each.bundle.people if before is None else before.bundle.people
        if people is None:
            continue
        old = None if before is None else before.bundle
        if before is None or judge(each.bundle, old, people, each.statements, now_us()).approved:
            tips.append((_proposed_us(each), each.bundle))
    return max(tips, key=lambda each: each[0])[1] if tips else None


def as_json(found: Gathered) -> dict[str, Any]:
    """For a program: what differs, who must agree, who has."""
    changes, verdict = found.bundle.changes(found.base), found.verdict
    return {
        "bundle": found.bundle.digest,
        "kind": found.bundle.kind,
        "environment": found.bundle.environment,
        "base": found.bundle.base,
        "state": found.state,
        "author": found.author,
        "files": [
            {
                "path": path,
                "what": what,
                "areas": list(found.bundle.areas.get(path) or (found.base.areas[path] if found.base else ())),
                "changes": list(found.words_of(path)),
            }
            for what in ("added", "removed", "changed")
            for path in getattr(changes, what)
        ],
        "needs": {"groups": verdict.needs.groups, "persons": verdict.needs.persons},
        "approved_by": dict(verdict.by),
        "missing": verdict.missing,
        "does_not_count": [
            {"person": each.person, "code": each.code, "text": each.text} for each in verdict.refused
        ],
        "emergency_until_us": verdict.until_us,
    }


def name_of(bundle: Bundle) -> str:
    """A bundle for people."""
    of = "the file of persons" if bundle.kind == "approvers" else bundle.environment or "no environment"
    return f"{shown(bundle.digest)} ({of})"
