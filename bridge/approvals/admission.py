"""Which approved bundle a set of files is, or why it is none: what a node asks before it runs by files.

Persons first: the file of persons counts as it was when the journal last took it, and another one only once
those of before have agreed to it, so that who can write files cannot put a key of their own beside them. The
first one is taken as it is, and the journal says so.

Then the files. A bundle that this journal's node ran by is judged by the persons of that time, so that a step
back needs nobody's signature at night and somebody who has left takes no approval away. A new one must go
back to the one that runs, by bundles that are all approved, or have been made from nothing, with everybody's
word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bridge.approvals.bundle import APPROVERS_FILE, Bundle, shown
from bridge.approvals.judge import Verdict, authors_of, judge, objection
from bridge.approvals.lifecycle import State
from bridge.approvals.people import People
from bridge.approvals.statements import Statement
from bridge.message import Microseconds

LINE_MAX_BUNDLES: Final = 2000
"""So far back a line is followed."""
PATHS_TOLD_MAX: Final = 10
_RAN: Final = ("active", "deprecated")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A bundle, what was signed about it, and what a journal knows of it: no ``state`` where it does not.

    ``people`` is the digest of the bundle of persons by which it was let in.
    """

    bundle: Bundle
    statements: tuple[Statement, ...]
    state: State | None = None
    people: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """All bundles by digest, from the folder and from the journal; ``trusted`` is the digest of the bundle of
    persons that the journal took last, empty for none."""

    bundles: Mapping[str, Recorded]
    trusted: str = ""

    def active(self, environment: str) -> Recorded | None:
        """What runs, or ran last."""
        return next(
            (
                each
                for each in self.bundles.values()
                if each.state == "active"
                and (each.bundle.kind, each.bundle.environment) == ("files", environment)
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """These files may run: as which bundle, by whose word, and what it was made from, where that is new.

    ``people`` are the persons who count, with what was said of them where they are new.
    """

    bundle: Bundle
    author: str
    verdict: Verdict
    people: Bundle
    people_author: str
    people_said: tuple[Statement, ...]
    line: tuple[tuple[Bundle, str], ...] = ()
    """Each with its author."""


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """These files may not run. ``text`` says why in one sentence about ``path``; ``more`` are further
    reasons, each with the file that it is about."""

    path: str
    text: str
    more: tuple[tuple[str, str], ...] = field(default=())


def admit(files: Bundle, persons: Bundle, ledger: Ledger, now_us: Microseconds) -> Admitted | NotAdmitted:
    """Whether files may run. ``files`` and ``persons`` are what stands in the folder; their ``base`` does
    not matter. Does not raise."""
    trusted = _persons(persons, ledger, now_us)
    if isinstance(trusted, NotAdmitted):
        return trusted
    people, people_author, people_said = trusted
    refusals: list[NotAdmitted] = []
    for each in _candidates(files, ledger):
        found = _judged(each, people, ledger, now_us)
        if isinstance(found, NotAdmitted):
            refusals.append(found)
            continue
        verdict, author, line = found
        return Admitted(each.bundle, author, verdict, people, people_author, people_said, line)
    return refusals[0] if refusals else _differs(files, ledger)


_Persons = tuple[Bundle, str, tuple[Statement, ...]]


def _persons(wanted: Bundle, ledger: Ledger, now_us: Microseconds) -> _Persons | NotAdmitted:
    trusted = ledger.bundles.get(ledger.trusted)
    if trusted is None or trusted.bundle.people is None:
        return wanted, "", ()
    if wanted.people is not None and trusted.bundle.people.as_json() == wanted.people.as_json():
        return trusted.bundle, "", ()
    reasons: list[str] = []
    for each in ledger.bundles.values():
        if each.bundle.kind != "approvers" or not each.bundle.same_content(wanted):
            continue
        if each.bundle.base != trusted.bundle.digest:
            reasons.append("it was proposed beside other persons than those who count now: propose it again")
            continue
        verdict = judge(each.bundle, trusted.bundle, trusted.bundle.people, each.statements, now_us)
        if verdict.approved:
            author = authors_of(each.bundle, each.statements, trusted.bundle.people)[0]
            return each.bundle, author, counted(each, author, trusted.bundle.people)
        reasons += verdict.reasons
    assert wanted.people is not None
    words = "; ".join(changed_persons(trusted.bundle.people, wanted.people))
    text = f"this is not the file of persons that was approved ({shown(trusted.bundle.digest)}): {words}"
    if not reasons:
        reasons = ["nobody has proposed it: `bridge bundle propose --approvers` does"]
    return NotAdmitted(APPROVERS_FILE, text, tuple((APPROVERS_FILE, each) for each in dict.fromkeys(reasons)))


def counted(each: Recorded, author: str, people: People) -> tuple[Statement, ...]:
    """The statements on a bundle that count; others are nothing to be kept."""
    return tuple(said for said in each.statements if objection(said, each.bundle, author, people) is None)


def changed_persons(before: People, after: People) -> Iterator[str]:
    """What differs between two files of persons, in words."""
    for name in sorted(before.persons.keys() | after.persons.keys()):
        old, new = before.persons.get(name), after.persons.get(name)
        if old is None:
            yield f"{name} is new"
        elif new is None:
            yield f"{name} is gone"
        elif old.key != new.key:
            yield f"the key of {name} was replaced"
        elif set(old.groups) != set(new.groups):
            yield f"{name} is of {', '.join(new.groups) or 'no group'} now"
    rules = {name: value for name, value in before.as_json().items() if name != "persons"}
    now = after.as_json()
    yield from (f"`{name}` says something else" for name in rules if rules[name] != now[name])


def _candidates(files: Bundle, ledger: Ledger) -> list[Recorded]:
    """The bundles that are these files, those first that ran already."""
    active = ledger.active(files.environment)
    base = None if active is None else active.bundle.digest

    def rank(each: Recorded) -> tuple[bool, ...]:
        return (
            each.state != "active",
            each.state not in _RAN,
            each.bundle.base != base,
            each.state == "retired",
        )

    found = [
        each
        for each in ledger.bundles.values()
        if each.bundle.kind == "files" and each.bundle.same_content(files)
    ]
    return sorted(found, key=rank)


_Judged = tuple[Verdict, str, tuple[tuple[Bundle, str], ...]]


def _judged(wanted: Recorded, persons: Bundle, ledger: Ledger, now_us: Microseconds) -> _Judged | NotAdmitted:
    digest = wanted.bundle.digest
    place = _place(wanted, ledger)
    if wanted.state == "retired":
        return NotAdmitted(
            place, f"these files are bundle {shown(digest)}, which was retired: it never runs again"
        )
    if wanted.state in _RAN:
        return _again(wanted, persons, ledger, now_us, place)
    line = line_of(wanted, ledger)
    if not line:
        active = ledger.active(wanted.bundle.environment)
        text = f"these files are bundle {shown(digest)}, "
        if active is None:
            text += "and what it was made from is not in approvals/: propose it again with --whole"
        else:
            text += f"which was not made from what runs, {shown(active.bundle.digest)}: propose them again"
        return NotAdmitted(place, text)
    assert persons.people is not None
    judged = []
    for each in line:
        base = ledger.bundles.get(each.bundle.base or "")
        before = None if base is None else base.bundle
        verdict = judge(each.bundle, before, persons.people, each.statements, now_us)
        if not verdict.may_run or (each is not wanted and not verdict.approved):
            return _refused(each, before, verdict)
        judged.append((each.bundle, next(iter(authors_of(each.bundle, each.statements, persons.people)), "")))
    return verdict, judged[-1][1], tuple(judged[:-1])


def _again(
    wanted: Recorded, persons: Bundle, ledger: Ledger, now_us: Microseconds, place: str
) -> _Judged | NotAdmitted:
    """What ran already: by the persons of then, and, as a review may come later, by those of now."""
    base = ledger.bundles.get(wanted.bundle.base or "")
    before = None if base is None else base.bundle
    then = ledger.bundles.get(wanted.people)
    verdict = None
    for people in (None if then is None else then.bundle.people, persons.people):
        if people is None:
            continue
        verdict = judge(wanted.bundle, before, people, wanted.statements, now_us)
        if verdict.may_run:
            return verdict, next(iter(authors_of(wanted.bundle, wanted.statements, people)), ""), ()
    if verdict is None:
        return NotAdmitted(place, f"nobody knows by whose word bundle {shown(wanted.bundle.digest)} ran")
    return _refused(wanted, before, verdict)


def line_of(wanted: Recorded, ledger: Ledger) -> list[Recorded]:
    """A bundle behind all that it was made from since what runs, the first one first.

    Empty where it does not go back to what runs, or without such to a bundle that was made from nothing.
    """
    active = ledger.active(wanted.bundle.environment)
    end = None if active is None else active.bundle.digest
    line = [wanted]
    while (base := line[0].bundle.base) != end:
        if base is None:
            # Made from nothing, it stands by itself: everybody has agreed to all of it.
            return line if len(line) == 1 else []
        found = ledger.bundles.get(base)
        if found is None or len(line) >= LINE_MAX_BUNDLES:
            return []
        line.insert(0, found)
    return line


def _refused(each: Recorded, before: Bundle | None, verdict: Verdict) -> NotAdmitted:
    paths = each.bundle.changes(before).paths
    first, *rest = verdict.reasons
    path = paths[0] if paths else APPROVERS_FILE
    told = ", ".join(paths[1:PATHS_TOLD_MAX])
    text = f"bundle {shown(each.bundle.digest)} is not approved: {first}"
    if told:
        text += f" (it also changes {told}{' and others' if len(paths) > PATHS_TOLD_MAX else ''})"
    return NotAdmitted(path, text, tuple((path, reason) for reason in rest))


def _place(wanted: Recorded, ledger: Ledger) -> str:
    base = ledger.bundles.get(wanted.bundle.base or "")
    changed = wanted.bundle.changes(None if base is None else base.bundle).paths
    return next(iter(changed or wanted.bundle.files), APPROVERS_FILE)


def _differs(files: Bundle, ledger: Ledger) -> NotAdmitted:
    """No bundle is these files: what differs from the one that comes nearest."""
    same = [
        each
        for each in ledger.bundles.values()
        if (each.bundle.kind, each.bundle.environment) == ("files", files.environment)
    ]
    if not same:
        path = next(iter(files.files), APPROVERS_FILE)
        return NotAdmitted(
            path, "no files were ever approved here: `bridge bundle propose` is the first step"
        )
    active = ledger.active(files.environment)
    nearest = min(same, key=lambda each: (len(files.changes(each.bundle).paths), each is not active))
    changes = files.changes(nearest.bundle)
    said = [
        *((path, "this file is not as it was approved") for path in changes.changed),
        *((path, "nobody has approved this file") for path in changes.added),
        *((path, "this file was approved, and is not there") for path in changes.removed),
    ] or [(next(iter(files.files)), "these files reach other APIs than when they were approved")]
    (path, text), *more = said
    of = f"{text}: it differs from bundle {shown(nearest.bundle.digest)}"
    return NotAdmitted(path, of, tuple(more[:PATHS_TOLD_MAX]))
