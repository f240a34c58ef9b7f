"""Which batches a day's table has a line for, and which amounts make that of their channel."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bridge.cli.reconcile import told_apart, without_parts
from bridge.formats.base import Share
from bridge.journal.batch_amounts import Amounts
from bridge.journal.batches import BatchRow
from bridge.journal.reconciling import Account

Made = tuple[int, int, int, bool]
"""A batch: of which file, its first and last message, and whether it has an amount."""
CASES: dict[str, tuple[list[Made], list[int], list[int]]] = {
    "a file of rows": ([(1, 1, 9, True)], [1], [1]),
    "all of a group is in its transactions": (
        [(1, 1, 1, True), (1, 2, 2, True), (1, 1, 2, False), (1, 1, 2, False)],
        [1, 2],
        [1, 2],
    ),
    "only the transaction that is wrong is a batch": (
        [(1, 2, 2, True), (1, 1, 9, False), (1, 1, 9, True)],
        [1, 2],
        [3],
    ),
    "two interchanges, the second with one wrong message": (
        [(1, 1, 2, True), (1, 4, 4, True), (1, 3, 5, True)],
        [1, 2, 3],
        [1, 3],
    ),
    "a file of two batches": ([(1, 1, 2, False), (1, 3, 3, False), (1, 1, 3, False)], [1, 2], []),
    "an empty batch": ([(1, 1, 0, False), (1, 1, 0, False)], [1, 2], []),
    "two files": ([(1, 1, 5, True), (2, 1, 5, True), (2, 1, 5, False)], [1, 2], [1, 2]),
}


def account(number: int, made: Made) -> Account:
    file_id, first, last, with_amount = made
    batch = BatchRow(
        number, "claims", file_id, "a.x12", "SPLIT", "", "", "group", "", "", first, last, {}, {}, "balanced",
        [], b"", 0,
    )  # fmt: skip
    amounts = {"amount": Amounts({"delivered": Share(Decimal(1))})} if with_amount else {}
    return Account("claims", batch, batch.messages, {"delivered": batch.messages}, amounts)


@pytest.mark.parametrize("name", CASES)
def test_each_message_is_told_with_the_smallest_batches_that_hold_all_and_adds_up_once(name: str) -> None:
    made, shown, added = CASES[name]
    accounts = [account(number, each) for number, each in enumerate(made, 1)]
    found = [each.batch.batch_id for each in told_apart(accounts) if each.batch is not None]
    assert found == shown
    parts = [each.batch.batch_id for each in without_parts(accounts) if each.batch is not None]
    assert sorted(parts) == added


def test_of_a_channel_there_is_always_a_line() -> None:
    whole = Account("claims", None, 3, {"delivered": 3})
    assert told_apart([whole]) == [whole]
    assert without_parts([whole]) == []
