"""The answer to a file that was taken, made of what the journal knows of it."""

from __future__ import annotations

from typing import Any

import click

from bridge.formats.hl7v2_batch_answer import batch_of_acknowledgements
from bridge.formats.x12 import X12Message
from bridge.formats.x12_answer import Groups, Taken, x12_answer
from bridge.journal.answering_files import MESSAGES_MAX_COUNT, messages_of_file
from bridge.journal.batches import BatchRow, newest_batches
from bridge.journal.taken_files import file_of_id
from bridge.message import Microseconds

BATCHES_MAX_COUNT = 10_000
_TA1_CODES = {"groups": "021", "control number": "001"}
"""X12 element I18, by what of an interchange differs: number of groups, control numbers."""


def answer_of(connection: Any, file_id: int, at_us: Microseconds) -> tuple[bytes, bool]:
    """The answer to a file, and whether all of it was taken. Raises ClickException where none can be made."""
    if file_of_id(connection, file_id) is None:
        raise click.ClickException(f"there is no file {file_id}; `bridge files list` shows those that are")
    messages = messages_of_file(connection, file_id)
    if not messages:
        raise click.ClickException(f"file {file_id} gave no message: there is nothing to answer")
    if len(messages) >= MESSAGES_MAX_COUNT:
        raise click.ClickException(f"file {file_id} has more than {MESSAGES_MAX_COUNT} messages")
    known = [(each.number, each.body, each.taken) for each in messages if each.body is not None]
    if len(known) < len(messages):
        raise click.ClickException(f"content of file {file_id} is gone (retention): nothing can be said")
    all_taken = all(taken for _, _, taken in known)
    if known[0][1].startswith(b"MSH"):
        pairs = [(body, taken) for _, body, taken in known]
        return batch_of_acknowledgements(pairs, control_id=f"FILE{file_id}", at_us=at_us), all_taken
    if not known[0][1].startswith(b"ISA"):
        raise click.ClickException("answers are made for HL7 v2 and X12; senders of rows expect none")
    rows = newest_batches(connection, file_id=file_id, limit=BATCHES_MAX_COUNT)
    differs = {row.first: row.report[0]["what"] for row in rows if row.kind == "transaction" and row.report}
    taken_ = [Taken(X12Message.read(body), taken, differs.get(number, "")) for number, body, taken in known]
    return x12_answer(taken_, _groups(rows), control_number=file_id, at_us=at_us), all_taken


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
