"""What the sender of a file is told: an answer in the file's own form, and what was not taken of it.

Of X12 the answer is an interchange with a 999 for each group and TA1 where it was asked for, of EDIFACT a
CONTRL for each interchange, of HL7 v2 a batch of acknowledgements, of all else a receipt in JSON. It holds
numbers and codes, and no content. What was not taken is the sender's own content, and goes back to nobody
else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from bridge.formats.base import Format, Opened, Rejected
from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_answer import Answered, contrl
from bridge.formats.hl7v2_batch_answer import batch_of_acknowledgements
from bridge.formats.x12 import X12Message
from bridge.formats.x12_answer import Groups, Taken, x12_answer
from bridge.formats.x12_guide import Finding, Unchecked, findings
from bridge.journal.answering_files import MESSAGES_MAX_COUNT, FileMessage, messages_of_file
from bridge.journal.batches import BatchRow, newest_batches
from bridge.journal.taken_files import file_of_id
from bridge.message import Microseconds

BATCHES_MAX_COUNT: Final = 10_000
EXPLAINED_MAX_BYTES: Final = 1024**2
"""To find again what a guide does not allow takes 5 s for so much."""
ENDINGS: Final = {b"BHS": ".ack", b"ISA": ".999", b"UNB": ".contrl"}
"""What an answer's name ends with, by how it begins."""
GUIDE: Final = "guide"
HELD_BY_GUIDE: Final = f"not-strict: {GUIDE} "
NAME_MAX_CHARACTERS: Final = 150
_TA1_CODES = {"groups": "021", "control number": "001"}
"""X12 element I18, by what of an interchange differs: number of groups, control numbers."""


class NoAnswer(Exception):
    """No answer can be made; the text says why."""


@dataclass(frozen=True, slots=True)
class Told:
    """One file for a sender."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answering:
    """What is told of a file, and how many of its records were taken and were not."""

    answer: Told | None
    rejects: tuple[Told, ...]
    taken: int
    rejected: int


def answer_of(connection: Any, file_id: int, at_us: Microseconds) -> tuple[bytes, bool]:
    """The answer to a file, and whether all of it was taken. Raises NoAnswer."""
    messages = _messages(connection, file_id)
    content = _answer(connection, file_id, messages, at_us)
    return content, all(each.taken for each in messages)


def _messages(connection: Any, file_id: int) -> list[FileMessage]:
    if file_of_id(connection, file_id) is None:
        raise NoAnswer(f"there is no file {file_id}; `bridge files list` shows those that are")
    messages = messages_of_file(connection, file_id)
    if not messages:
        raise NoAnswer(f"file {file_id} gave no message: there is nothing to answer")
    if len(messages) >= MESSAGES_MAX_COUNT:
        raise NoAnswer(f"file {file_id} has more than {MESSAGES_MAX_COUNT} messages")
    if any(each.body is None for each in messages):
        raise NoAnswer(f"content of file {file_id} is gone (retention): nothing can be said")
    return messages


def _answer(connection: Any, file_id: int, messages: list[FileMessage], at_us: Microseconds) -> bytes:
    known = [(each.number, each.body, each.taken) for each in messages if each.body is not None]
    rows = newest_batches(connection, file_id=file_id, limit=BATCHES_MAX_COUNT)
    if known[0][1].startswith(b"MSH"):
        pairs = [(body, taken) for _, body, taken in known]
        return batch_of_acknowledgements(pairs, control_id=f"FILE{file_id}", at_us=at_us)
    if known[0][1].startswith(b"ISA"):
        differs = {
            row.first: row.report[0]["what"] for row in rows if row.kind == "transaction" and row.report
        }
        explained = _explained(messages)
        taken_ = [
            Taken(X12Message.read(body), taken, differs.get(number, ""), explained.get(number, ()))
            for number, body, taken in known
        ]
        return x12_answer(taken_, _groups(rows), control_number=file_id, at_us=at_us)
    if known[0][1].startswith((b"UNA", b"UNB")):
        differs = {row.first: row.report[0]["what"] for row in rows if row.kind == "message" and row.report}
        answered = [
            Answered(EdifactMessage.read(body), taken, differs.get(number, ""))
            for number, body, taken in known
        ]
        return contrl(answered, reference=file_id, at_us=at_us)
    return _receipt(connection, file_id, messages, rows)


def _explained(messages: list[FileMessage]) -> dict[int, tuple[Finding, ...]]:
    """What its guide does not allow, of each transaction that was not taken for it or noted; the first ones,
    `EXPLAINED_MAX_BYTES` in all. Nothing where the library is not there."""
    found, size = {}, 0
    for each in messages:
        if not (each.reason.startswith(HELD_BY_GUIDE) or GUIDE in each.tolerated.split()) or not each.body:
            continue
        size += len(each.body)
        if size > EXPLAINED_MAX_BYTES:
            break
        with suppress(Unchecked, ValueError):
            found[each.number] = findings(each.body)
    return found


def _receipt(connection: Any, file_id: int, messages: list[FileMessage], rows: list[BatchRow]) -> bytes:
    file = file_of_id(connection, file_id)
    assert file is not None
    said = {
        "file": file.name,
        "number": file_id,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256.hex(),
        "business_date": file.business_date,
        "records": len(messages),
        "taken": sum(each.taken for each in messages),
        "rejected": [{"record": each.number, "reason": _code(each)} for each in messages if not each.taken],
        "totals": [{"declared": dict(row.declared), "found": dict(row.found)} for row in rows],
    }
    return json.dumps(said, indent=2).encode() + b"\n"


def _code(message: FileMessage) -> str:
    """Why a message was not taken: a word, without what may stand behind it."""
    return message.reason.partition(":")[0]


def _groups(rows: list[BatchRow]) -> Groups:
    declared = {
        row.control_id: int(row.declared["transactions"])
        for row in rows
        if row.kind == "group" and row.declared.get("transactions", "").isdecimal()
    }
    wrong = {
        row.control_id: _TA1_CODES.get(row.report[0]["what"], "024")
        for row in rows
        if row.kind == "interchange" and row.report
    }
    return Groups(declared, wrong)


def answering(
    connection: Any,
    file_id: int,
    at_us: Microseconds,
    format_: Format,
    opened: Callable[[str], Opened],
) -> Answering:
    """All that is told of a file. ``opened`` gives what came, by the entry of an archive. Raises NoAnswer."""
    file = file_of_id(connection, file_id)
    messages = _messages(connection, file_id)
    assert file is not None
    answer = _answer(connection, file_id, messages, at_us)
    ending = next((name for begins, name in ENDINGS.items() if answer.startswith(begins)), ".receipt.json")
    told: list[Told] = []
    entries = dict.fromkeys(each.entry for each in messages if not each.taken)
    for count, entry in enumerate(entries, 1):
        # Numbers go through all entries of an archive; its own begin anew.
        before = min(each.number for each in messages if each.entry == entry) - 1
        rejected = [
            Rejected(each.number - before, each.body or b"")
            for each in messages
            if each.entry == entry and not each.taken
        ]
        mark = f"{file_id}.rejects" if len(entries) == 1 else f"{file_id}.rejects{count}"
        name = _named(entry or file.name, mark)
        told.append(Told(name, format_.rejects(rejected, partial(opened, entry))))
        why = [
            {
                "record": each.number - before,
                "reason": each.reason,
                "issues": json.loads(each.issues) if each.issues else [],
            }
            for each in messages
            if each.entry == entry and not each.taken
        ]
        told.append(Told(f"{name}.reasons.json", json.dumps(why, indent=2).encode() + b"\n"))
    taken = sum(each.taken for each in messages)
    return Answering(
        Told(f"{_last(file.name)}.{file_id}{ending}", answer), tuple(told), taken, len(messages) - taken
    )


def _last(name: str) -> str:
    return name.rpartition("/")[2][:NAME_MAX_CHARACTERS]


def _named(name: str, mark: str) -> str:
    """A name with a mark before its ending.

    >>> _named("a/charges.txt", "7.rejects"), _named("charges", "7.rejects")
    ('charges.7.rejects.txt', 'charges.7.rejects')
    """
    stem, dot, ending = _last(name).rpartition(".")
    return f"{stem}.{mark}{dot}{ending}" if stem else f"{ending}.{mark}"
