"""`translate`: what the codes of a table become in the field of a rule."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import Any

from bridge.canonical.base import FieldType
from bridge.located import Mapping, Node, Scalar
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.convert import constant
from bridge.mapping.document import Entries, Report, open_mapping, texts_of
from bridge.mapping.syntax import Expression
from bridge.mapping.table_files import Row
from bridge.mapping.tables import Tables
from bridge.mapping.values import Type, ValueRefused


@dataclass(frozen=True, slots=True)
class CodeValues:
    """What a table's codes become in one field. ``sender`` and ``as_of`` say which rows count."""

    name: str
    rows: Dict[str, tuple[tuple[Row, Any], ...]]
    plain: bool
    sender: tuple[Expression, ...] = ()
    as_of: tuple[Expression, ...] = ()


def read_code_values(
    node: Node, field: FieldType, what: str, tables: Tables, scope: Scope, report: Report
) -> CodeValues | None:
    """What `translate` means; None where there is no such table. Notes values that the field cannot take."""
    told: Entries = {}
    named: Node | None = node
    if isinstance(node, Mapping):
        keys = ("table", "sender", "as_of")
        told = open_mapping(node, "translate", keys, report, required=("table",)) or {}
        named = told.get("table")
    table = None if named is None else tables.use(named, report)
    if table is None:
        return None
    trees: dict[str, tuple[Expression, ...]] = {}
    for name, needed, own, hint in (
        ("sender", table.by_sender, table.sender, "say sender: MSH-4.1"),
        ("as_of", table.dated, table.as_of, "say as_of: PV1-44, or another time"),
    ):
        texts = texts_of(told[name], f"translate: {name}", report) if name in told else own
        if needed and not texts:
            said = f"table {table.name!r} has rows for some only, by {name}"
            report.add(node.place, "E245", said, f"{hint}, in the table or in translate")
        trees[name] = tuple(_texts_only(texts, scope, report)) if needed else ()
    values = {code: tuple(_values(rows, field, what, report)) for code, rows in table.rows.items()}
    return CodeValues(table.name, values, table.plain, trees["sender"], trees["as_of"])


def _values(rows: Items[Row], field: FieldType, what: str, report: Report) -> Iterator[tuple[Row, Any]]:
    """The rows of one code with what the field makes of each."""
    for row in rows:
        try:
            yield row, constant(row.value.text, field)
        except ValueRefused as refused:
            said = f"{row.value.text!r} is not allowed in {what}"
            report.add(row.value.place, "E241", said, str(refused))


def _texts_only(texts: Items[Scalar], scope: Scope, report: Report) -> Iterator[Expression]:
    for text in texts:
        tree = read_expression(text, report)
        found = None if tree is None else check_expression(tree, text, scope, report)
        if tree is None or found is None:
            continue
        if found not in (Type.TEXT, Type.NOTHING):
            report.add(text.place, "E112", f"text is wanted here, and this gives {found.value}")
        yield tree
