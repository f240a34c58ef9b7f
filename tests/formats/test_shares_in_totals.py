"""What messages add to the totals of their batch, together, is what was found in their file."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from typing import Any

import pytest

from bridge.catalog import STANDARD
from bridge.cli.generated_entry import FIRST_DAY
from bridge.cli.generated_files import lines_of
from bridge.config.components import configure
from bridge.config.yaml_tree import read_tree
from bridge.formats.base import Share, SharesInTotals

FIXED = """
rows: {rows}
detail: {{says: D, fields: {{account: 2-11, amount: 33-41}}}}
header: {{says: H, fields: {{day: 2-9}}}}
trailer: {{says: T, fields: {{count: 2-8, total: 9-20}}}}
totals:
  - {{trailer: count}}
  - {{trailer: total, of: sum, column: amount, decimals: 2}}
  - {{trailer: accounts, of: hash, column: account, digits: 4}}
"""
STOCK = """
trailer: {first: TRL, columns: [type, rows, cost]}
totals: [{trailer: rows}, {trailer: cost, of: sum, column: cost}]
"""
CASES: dict[str, tuple[str, str, str, bytes]] = {
    "fixed": ("fixed", FIXED.format(rows=1), "charges", b""),
    "fixed, seven rows a message": ("fixed", FIXED.format(rows=7), "charges", b""),
    "fixed, with a torn row": ("fixed", FIXED.format(rows=1), "charges", b"X is no row\n"),
    "csv": ("delimited", STOCK, "consumption", b""),
    "csv, with a torn row": ("delimited", STOCK, "consumption", b"USE,1\n"),
    "payments": ("x12", "{}", "835", b""),
    "invoices": ("edifact", "{}", "invoic", b""),
}


def configured(kind: str, options: str) -> Any:
    """A format as a channel file has it."""
    component, tree = STANDARD.find("format", kind), read_tree(options, "options")[0]
    assert component is not None
    assert component.build is not None
    assert tree is not None
    made, problems = configure(component, tree)
    assert problems == []
    assert made is not None
    return component.build(made.options)


@pytest.mark.parametrize("name", CASES)
def test_what_messages_add_is_what_was_found(name: str) -> None:
    kind, options, made, torn = CASES[name]
    reads: Any = configured(kind, options)
    adds: SharesInTotals = reads
    assert isinstance(adds, SharesInTotals)
    [*before, last] = lines_of(made, 3, 250, FIRST_DAY)
    splitter = reads.splitter(1_000_000)
    pieces = [*splitter.feed(b"".join([*before, torn, last])), *splitter.end()]
    summed = 0
    for batch in splitter.batches:
        bodies = [piece.body for piece in pieces[batch.first - 1 : batch.last]]
        shares = [adds.shares(body) for body in bodies]
        for total in {total for each in shares for total in each if total in batch.found}:
            together = reduce(Share.plus, (each[total] for each in shares if total in each))
            assert together.amount == Decimal(batch.found[total]), total
            summed += 1
    assert summed >= 1


@pytest.mark.parametrize("kind", ["fixed", "delimited", "x12", "edifact"])
@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[1]", b'{"rows": []}', b'{"bad": "x", "row": "y"}', b"ISA*"]
)
def test_of_what_is_no_message_nothing_is_added(kind: str, body: bytes) -> None:
    options = {"fixed": FIXED.format(rows=1), "delimited": STOCK, "x12": "{}", "edifact": "{}"}[kind]
    reads: Any = configured(kind, options)
    assert all(not share.amount for share in reads.shares(body).values())
