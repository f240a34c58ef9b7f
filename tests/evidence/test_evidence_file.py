"""A file of evidence verifies by itself, and not with any byte of it changed."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from signed_bundles import NOW_US, bundle, people, proposed, said, signer_of

from bridge.approvals.bundle import Bundle
from bridge.audit.checkpoints import Checkpoint, origin_of
from bridge.audit.entries import GENESIS, Commit, Span, action_entry, entry_hash, step_entry
from bridge.audit.merkle import Frontier, Tree, root
from bridge.audit.notes import Signer, Verifier
from bridge.audit.verifying import Kept
from bridge.evidence.sections import SECTIONS, opened, values, written
from bridge.evidence.verifying import Verified, accesses, commit_as_json, verified

KEY = signer_of("north")
JOURNAL = "3f0a91cc"
COMMITS = 40
FIRST = 8
"""The evidence begins behind the checkpoint of so many commits."""
FILES = bundle(encounter="one")
PERSONS = Bundle.of_people(people(), None)
Part = tuple[str, Any]


def made() -> dict[str, list[Any]]:
    """The parts of a file by section: commits with a step and now and then an action."""
    head, tree, hashes = GENESIS, Frontier(), []
    parts: dict[str, list[Any]] = {name: [] for name in SECTIONS}
    actions = 0
    for seq in range(1, COMMITS + 1):
        step = (seq, seq, None, None, "RECEIVED", seq, "bridge", "", "{}")
        rows = [step_entry(*step)]
        span = Span()
        if seq % 5 == 0:
            actions += 1
            what = ("load", f"bundle {FILES.digest[:12]}") if seq % 10 else ("reveal", f"message {seq}")
            action = (actions, NOW_US + seq, "user:anna", *what, "a reason")
            rows.append(action_entry(*action))
            span = Span(actions, 1)
            if seq > FIRST:
                parts["action"].append(list(action))
        leaves = [entry_hash(each) for each in rows]
        commit = Commit(seq, 1, seq, Span(seq, 1), span, Span(), Span(), root(leaves), "c" * 64, "", "")
        hashed = commit.hash(JOURNAL, head)
        if seq > FIRST:
            parts["commit"].append(commit_as_json(Kept(commit, head, hashed, b"".join(leaves))))
            parts["step"].append(list(step))
        head, tree = hashed, tree.appended((hashed,))
        hashes.append(hashed)
        if seq in (FIRST, 24, COMMITS):
            note = KEY.sign(Checkpoint(origin_of("north", JOURNAL, 1), seq, tree.root).text)
            parts["checkpoint"].append({"size": seq, "note": note, "frontier": tree.to_bytes().hex()})
    whole = Tree(hashes)
    for first, second in ((FIRST, 24), (24, COMMITS)):
        proof = [base64.b64encode(each).decode() for each in whole.consistency_proof(first, second)]
        parts["consistency"].append({"from": first, "to": second, "proof": proof})
    about = {"journal": JOURNAL, "retired": "", "first": FIRST + 1, "last": COMMITS}
    parts["evidence"] = [{**about, "from_us": 0, "to_us": COMMITS}]
    parts["bundle"] = [
        {"digest": each.digest, "author": "alice", "people": PERSONS.digest, "manifest": each.text}
        for each in (FILES, PERSONS)
    ]
    parts["statement"] = [each.as_json() for each in (proposed(FILES), said(FILES, "bob"))]
    parts["version"] = [{"name": "mappings/adt.yaml", "digest": "d" * 64}]
    parts["verdicts"] = [{"api": "ehr", "verdicts": "lcmn", "count": 32}]
    parts["access"] = list(map(list, accesses(map(tuple, parts["action"]))))
    return parts


def in_order(parts: dict[str, list[Any]]) -> Iterator[Part]:
    for name, found in parts.items():
        for value in found:
            yield name, value


def file_of(parts: dict[str, list[Any]], signer: Signer = KEY) -> bytes:
    return b"".join(written(in_order(parts), signer))


def look(content: bytes, key: Verifier = KEY.verifier, anchors: Sequence[str] = ()) -> Verified:
    found = opened(io.BytesIO(content), key)

    def section(name: str) -> Iterator[Any]:
        lines = io.BytesIO(content)
        lines.seek(found.offsets.get(name, len(content)))
        return values(lines, name)

    return verified(found, section, key, anchors)


CONTENT = file_of(made())


def test_a_file_verifies_by_itself() -> None:
    found = look(CONTENT)
    assert found.problems == ()
    assert found.counts["commit"] == COMMITS - FIRST
    assert found.head["journal"] == JOURNAL


def test_any_flipped_byte_fails_and_the_part_is_named() -> None:
    chance = random.Random(7)
    places = {*chance.sample(range(len(CONTENT)), 2000), 0, 1, len(CONTENT) - 1, len(CONTENT) - 2}
    # Each byte of the note at the end too, where the signature itself stands.
    places |= set(range(CONTENT.index(b"bridge evidence 1"), len(CONTENT)))
    for place in sorted(places):
        changed = bytearray(CONTENT)
        changed[place] ^= 1 << chance.randrange(8)
        assert opened(io.BytesIO(changed), KEY.verifier).problems, f"byte {place}"
    at = CONTENT.index(b'{"verdicts"') + 30
    changed = bytearray(CONTENT)
    changed[at] ^= 1
    assert "section verdicts is not what was signed" in look(bytes(changed)).problems


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) // 2, len(CONTENT) - 1])
def test_a_file_that_was_cut_off_fails(size: int) -> None:
    assert look(CONTENT[:size]).problems


def test_more_at_its_end_or_in_it_fails() -> None:
    lines = CONTENT.splitlines(keepends=True)
    for changed in (
        CONTENT + b"\n",
        CONTENT + CONTENT,
        b"".join([lines[0], lines[0], *lines[1:]]),
        b"".join([*lines[1:]]),
        b"".join([lines[1], lines[0], *lines[2:]]),
    ):
        assert look(changed).problems


def test_another_key_is_not_believed() -> None:
    assert look(CONTENT, signer_of("south").verifier).problems
    other = signer_of("north", "another")
    assert look(CONTENT, other.verifier).problems
    assert look(file_of(made(), other), other.verifier).problems  # whose checkpoints are another's


def test_no_line_that_is_nonsense_is_more_than_a_problem() -> None:
    for wrong in (b"{}\n", b'{"evidence":\n', b'{"commit":[]}\n', b'{"evidence":[1]}\n', b"\xff\n", b""):
        assert look(wrong + CONTENT.partition(b"\n")[2]).problems
        assert look(wrong).problems


def without(name: str, number: int) -> Callable[[dict[str, list[Any]]], None]:
    return lambda parts: parts[name].pop(number)


def with_value(name: str, number: int, key: Any, value: Any) -> Callable[[dict[str, list[Any]]], None]:
    def change(parts: dict[str, list[Any]]) -> None:
        parts[name][number][key] = value

    return change


LIES: dict[str, tuple[Callable[[dict[str, list[Any]]], None], str]] = {
    "a step that says something else": (with_value("step", 3, 4, "DELIVERED"), "step 12: altered"),
    "an action by somebody else": (with_value("action", 1, 2, "user:bert"), "action 3: altered"),
    "a step left out": (without("step", 5), "step 14: missing"),
    "an action left out": (without("action", 0), "action 2: missing"),
    "a commit left out": (without("commit", 4), "commit 13"),
    "a look left out of the log": (without("access", 0), "section access"),
    "a proof left out": (without("consistency", 0), "no proof that it goes on from checkpoint 8"),
    "a bundle left out": (without("bundle", 0), "was loaded, and is not here"),
    "an approval left out": (without("statement", 1), "was not approved: somebody of clinical must agree"),
    "persons left out": (without("bundle", 1), "whom bundle"),
    "an approval by somebody else": (with_value("statement", 1, "person", "carol"), "statement of carol"),
    "a checkpoint of another tree": (
        lambda parts: parts["checkpoint"].__setitem__(
            1,
            {
                **parts["checkpoint"][1],
                "note": KEY.sign(Checkpoint(origin_of("north", JOURNAL, 1), 24, bytes(32)).text),
            },
        ),
        "checkpoint 24",
    ),
}


@pytest.mark.parametrize("case", LIES)
def test_whoever_signs_cannot_put_something_else_into_the_chain(case: str) -> None:
    change, text = LIES[case]
    parts = made()
    change(parts)
    problems = look(file_of(parts)).problems
    assert any(text in each for each in problems), problems


def test_anchors_show_a_chain_that_was_written_anew_by_who_has_the_key() -> None:
    def anchor(size: int, root: bytes) -> str:
        return KEY.sign(Checkpoint(origin_of("north", JOURNAL, 1), size, root).text)

    right = made()["checkpoint"][1]["note"]
    found = look(CONTENT, anchors=[right])
    assert found.problems == ()
    assert not any("commits 1 to 24 are in no anchor" in each for each in found.limits)
    forked = look(CONTENT, anchors=[anchor(24, bytes(32))]).problems
    assert any("not those that anchor 24 was signed over" in each for each in forked), forked
    # What is of another time says nothing about this one.
    assert look(CONTENT, anchors=[anchor(COMMITS + 5, bytes(32)), "no note"]).problems == ()


def test_parts_in_another_order_are_not_written() -> None:
    with pytest.raises(ValueError, match="evidence comes too late"):
        list(written([("step", []), ("evidence", {})], KEY))
