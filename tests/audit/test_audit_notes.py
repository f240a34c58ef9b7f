"""Signed notes and checkpoints: as others write and read them, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.audit.canonical import canonical
from bridge.audit.checkpoints import Checkpoint, notes_in, origin_of, read_origin
from bridge.audit.details import of_attempt, of_delivery, of_receipt
from bridge.audit.entries import (
    Commit,
    Span,
    action_entry,
    disclosure_entry,
    entry_hash,
    file_step_entry,
    step_entry,
)
from bridge.audit.merkle import leaf_hash
from bridge.audit.notes import Note, Signer, Verifier
from bridge.audit.ranges import Ranges, read, written

# The example of golang.org/x/mod/sumdb/note, whose words these are: a key, a note, and its signature.
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_program_is_read_and_verified() -> None:
    verifier = Verifier.parse(GO_VERIFIER)
    assert verifier.line == GO_VERIFIER
    assert Note.read(GO_NOTE).signed_by([verifier]) == [verifier]


SIGNER = Signer("hospital-north/bridge", bytes(range(32)))


def test_a_note_is_read_as_it_was_signed() -> None:
    text = Checkpoint(origin_of(SIGNER.name, "3f0a91cc", 2), 17, bytes(32)).text
    note = Note.read(SIGNER.sign(text))
    assert note.text == text
    assert note.signed_by([SIGNER.verifier]) == [SIGNER.verifier]
    assert note.signed_by([Verifier.parse(GO_VERIFIER)]) == []
    assert Signer.parse(SIGNER.line) == SIGNER
    assert SIGNER.seed.hex() not in repr(SIGNER)
    assert read_origin(Checkpoint.read(text).origin) == ("hospital-north/bridge", "3f0a91cc", 2)


@given(st.data())
def test_a_note_with_another_letter_is_not_signed(data: st.DataObject) -> None:
    note = SIGNER.sign(Checkpoint("a/b/1", 17, bytes(32)).text)
    at = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.sampled_from("abcXYZ09+/=\n —").filter(lambda each: each != note[at]))
    changed = note[:at] + other + note[at + 1 :]
    with suppress(ValueError):
        assert Note.read(changed).signed_by([SIGNER.verifier]) == []


@pytest.mark.parametrize(
    "line", ["", "a+b", "a b+00000000+AQ==", GO_VERIFIER[:-2] + "XX", GO_VERIFIER.replace("c74f", "c740")]
)
def test_a_key_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"(?s).+"):
        Verifier.parse(line)


@pytest.mark.parametrize(
    "text",
    [
        "a\n1\nAAAA\n",
        "a\n01\n" + "A" * 43 + "=\n",
        "a\n-1\n" + "A" * 43 + "=\n",
        "a\n1\n",
        "",
        "a\n\n1\n" + "A" * 43 + "=\n",
    ],
)
def test_a_checkpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Checkpoint.read(text)


def test_notes_are_found_in_files_and_in_logs() -> None:
    notes = [SIGNER.sign(Checkpoint("a/b/1", size, bytes(32)).text) for size in (1, 2, 3)]
    assert list(notes_in("".join(notes))) == notes
    assert list(notes_in("\n".join(notes))) == notes
    log = "\n".join(
        f"<110>1 2026-01-01T00:00:00Z host bridge - audit - {json.dumps({'checkpoint': note})} rest"
        for note in notes
    )
    assert list(notes_in("some other line\n" + log + '\n{"checkpoint": 3}\n{"checkpoint": ')) == notes
    assert list(notes_in("nothing\n\nof this\n")) == []


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS, TIMES = st.integers(0, 1 << 40), st.integers(0, 1 << 52)


@given(IDS, IDS, st.none() | IDS, st.none() | TEXTS, TEXTS, TIMES, TEXTS, TEXTS, TEXTS)
def test_what_is_hashed_is_the_canonical_json_of_the_row(  # noqa: PLR0917
    id_: int,
    message: int,
    delivery: int | None,
    before: str | None,
    to: str,
    at: int,
    actor: str,
    reason: str,
    detail: str,
) -> None:
    known = {"a": detail} if detail else None
    text = canonical(known) if known else ""
    assert step_entry(id_, message, delivery, before, to, at, actor, reason, text) == canonical(
        {"id": id_, "kind": "step", "message": message, "delivery": delivery, "from": before, "to": to,
         "at": at, "actor": actor, "reason": reason, "detail": known}
    )  # fmt: skip
    assert of_delivery(to, actor, reason, detail, "d", "c", "v", "p", "x") == canonical(
        {"route": to, "api": actor, "operation": reason, "mapping": detail, "mapping_digest": "d",
         "contract": "c", "verdicts": "v", "payload": "p", "patient": "x"}
    )  # fmt: skip
    assert of_receipt(to, actor, "p", b"t") == canonical(
        {"channel": to, "type": actor, "payload": "p", "trace": "74"}
    )
    assert of_attempt(3, delivery, to, actor) == canonical(
        {"attempt": 3, "status": delivery, "verdict": to, "verdicts": actor}
    )
    assert file_step_entry(id_, message, before, to, at, actor, reason) == canonical(
        {"id": id_, "kind": "file", "file": message, "from": before, "to": to, "at": at, "actor": actor,
         "reason": reason}
    )  # fmt: skip
    assert action_entry(id_, at, actor, to, reason, detail) == canonical(
        {
            "id": id_,
            "kind": "action",
            "at": at,
            "actor": actor,
            "action": to,
            "object": reason,
            "reason": detail,
        }
    )
    assert disclosure_entry(id_, at, to, message, id_, actor, reason, detail, to, reason) == canonical(
        {"id": id_, "kind": "disclosure", "at": at, "patient": to, "message": message, "delivery": id_,
         "api": actor, "operation": reason, "mapping": detail, "mapping_digest": to, "outcome": reason}
    )  # fmt: skip
    commit = Commit(id_, 1, at, Span(1, 2), Span(), Span(3, 4), Span(), bytes(32), actor, reason, detail)
    assert commit.entry(to, b"before") == b"before" + canonical(
        {"seq": id_, "epoch": 1, "at": at, "steps": [1, 2], "actions": [0, 0], "files": [3, 4],
         "disclosures": [0, 0],
         "root": "00" * 32, "configuration": actor, "retired": reason, "note": detail, "journal": to}
    ).encode()  # fmt: skip


def test_a_text_counts_as_either_database_keeps_it() -> None:
    written_as, kept_as = (action_entry(1, 2, "user:x", "hold", "key", f"a{nul}b") for nul in "\0\ufffd")
    assert written_as != kept_as
    assert entry_hash(written_as) == entry_hash(kept_as) == leaf_hash(kept_as.encode())


@pytest.mark.parametrize("value", [1.5, {"é": 1}, 1 << 53, {1: 2}, b"x", [set()]])
def test_a_value_without_one_text_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"(?s).+"):
        canonical(value)


@given(st.sets(st.integers(0, 300)))
def test_ids_are_read_as_they_were_written(ids: set[int]) -> None:
    ranges = Ranges(read(written(ids)))
    assert {each for each in range(310) if each in ranges} == ids
    assert len(ranges) == len(ids)
