"""Senders of files are told what was taken of them, and get back what was not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from charge_files import CSV, delimited, write_charges
from file_hospital import QUICK, drop, file_hospital, left_in, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from test_reload import change

from bridge.cli.demo import CHANNEL
from bridge.errors import JournalUnavailable
from bridge.journal.file_answers import PUT_ANSWER


def told(folder: Path, kind: str) -> dict[str, bytes]:
    where = folder / kind
    names = sorted(where.iterdir()) if where.is_dir() else []
    return {each.name: each.read_bytes() for each in names if not each.name.startswith(".")}


@asynccontextmanager
async def telling(folder: Path) -> AsyncIterator[tuple[Hospital, Path]]:
    incoming = folder / "incoming"
    for each in (incoming, folder / "answers", folder / "rejects"):
        each.mkdir(exist_ok=True)
    made = Hospital(folder)
    await made.open()
    write_charges(folder / "site", incoming, CSV)
    options = f"poll: 100ms, answers: {folder}/answers, rejects: {folder}/rejects"
    change(made, f"channels/{CHANNEL}.yaml", "poll: 100ms", options)
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


@in_reactor
async def test_rows_that_wait_for_a_person_go_back_as_a_file_and_a_receipt_says_what_was_taken(
    tmp_path: Path,
) -> None:
    async with telling(tmp_path) as (made, folder):
        drop(folder, "a.csv", delimited(3))
        drop(folder, "b.csv", delimited(3, bad=True))
        await until(lambda: len(told(tmp_path, "answers")) == 2, "both senders are told")
        assert entries(await made.settled()) == {"delivered": 6, "quarantined": 1}
        answers = told(tmp_path, "answers")
        assert list(answers) == ["a.csv.1.receipt.json", "b.csv.2.receipt.json"]
        receipts = [json.loads(each) for each in answers.values()]
        assert [(each["records"], each["taken"]) for each in receipts] == [(3, 3), (4, 3)]
        assert receipts[1]["rejected"] == [{"record": 4, "reason": "unreadable"}]
        rejects = told(tmp_path, "rejects")
        assert rejects.pop("b.2.rejects.csv") == b"H,20240103\nD,too,few\nT,1,0\n"
        [reasons] = rejects.values()
        [why] = json.loads(reasons)
        assert (why["record"], [each["source"] for each in why["issues"]]) == (4, ["line 5"])


@in_reactor
async def test_an_answer_that_a_crash_came_after_is_put_once(tmp_path: Path) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "rejects").mkdir()
    options = f"{QUICK}, answers: {tmp_path}/answers, rejects: {tmp_path}/rejects"
    async with file_hospital(tmp_path, options) as (made, folder):
        assert made.node is not None
        submit = made.node.journal.submit
        lost: list[object] = []

        def losing(work: object, item: object, **more: float) -> object:
            if work is PUT_ANSWER and not lost:
                lost.append(item)
                raise JournalUnavailable("the machine stops here")
            return submit(work, item, **more)  # type: ignore[arg-type]

        made.node.journal.submit = losing  # type: ignore[method-assign, assignment]
        drop(folder, "a.hl7", whole(some(2)))
        await until(lambda: bool(lost), "it is put, and that cannot be noted")
        drop(folder, "b.hl7", whole(some(2, first=2)))
        await until(lambda: len(told(tmp_path, "answers")) == 2, "both are put")
        await made.settled()
        answers = told(tmp_path, "answers")
        assert list(answers) == ["a.hl7.1.ack", "b.hl7.2.ack"]
        assert answers["a.hl7.1.ack"].count(b"MSA|AA|") == 2
        assert not told(tmp_path, "rejects")
        assert left_in(folder) == ["done/a.hl7", "done/b.hl7"]
