"""Code tables: those that stand in a mapping file, and those in files of their own."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Final

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.located import Mapping, Node, Place, Scalar, did_you_mean
from bridge.mapping.companions import Companions, is_table_file
from bridge.mapping.document import Report, open_mapping, text_of, texts_of
from bridge.mapping.hl7_codes import HL7_TABLES, TABLE_PREFIX
from bridge.mapping.table_files import Row, Rows, column_of, read_table_file

_LONG_KEYS: Final = ("file", "codes", "owner", "sender", "as_of")


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One table. ``sender`` and ``as_of`` are the expressions that say for whom and for which day."""

    name: str
    place: Place
    rows: Rows
    owner: str = ""
    sender: tuple[Scalar, ...] = ()
    as_of: tuple[Scalar, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether each code means one thing, for everybody and always."""
        return not self.by_sender and not self.dated

    @property
    def by_sender(self) -> bool:
        """Whether codes differ by sender."""
        return any(row.sender for rows in self.rows.values() for row in rows)

    @property
    def dated(self) -> bool:
        """Whether codes have days from which or until which they count."""
        return any(row.dated for rows in self.rows.values() for row in rows)


@dataclass(slots=True)
class Tables:
    """The tables by name, and which of them a rule uses."""

    found: Dict[str, CodeTable] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def use(self, node: Node | None, report: Report) -> CodeTable | None:
        """The table that a rule names; None, and a problem, where there is none of that name."""
        name = text_of(node, "translate", report)
        return None if name is None else self.named(name, report)

    def named(self, name: Scalar, report: Report) -> CodeTable | None:
        """The table of a name; None, and a problem, where there is none."""
        self.used.add(name.text)
        if name.text.startswith(TABLE_PREFIX) and not name.verbatim:
            codes = HL7_TABLES[name.text.removeprefix(TABLE_PREFIX)]
            rows: Rows = {code: (Row(Scalar(value, name.place)),) for code, value in codes.items()}
            return CodeTable(name.text, name.place, rows)
        if name.text not in self.found:
            hint = did_you_mean(name.text, self.found) or "tables stand under `tables:`"
            report.add(name.place, "E240", f"unknown table {name.text!r}", hint)
        return self.found.get(name.text)


def read_tables(node: Node | None, companions: Companions, report: Report) -> Tables:
    """The tables of a file."""
    tables: dict[str, CodeTable] = {}
    if node is None:
        return Tables(tables)
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "tables must be a mapping from names to tables")
        return Tables(tables)
    for key, value in node.entries:
        tables[key.text] = _table(key, value, companions, report)
    return Tables(tables)


def _table(key: Scalar, node: Node, companions: Companions, report: Report) -> CodeTable:
    what = f"table {key.text!r}"
    if isinstance(node, Scalar):
        return CodeTable(key.text, key.place, _of_file(node, what, companions, report))
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", f"{what} must be a mapping from codes to values")
        return CodeTable(key.text, key.place, {})
    codes = node.get("codes")
    if not isinstance(codes, Mapping) and node.key("file") is None:
        return CodeTable(key.text, key.place, _codes(node, what, report))
    opened = open_mapping(node, what, _LONG_KEYS, report) or {}
    rows: Rows = {}
    if isinstance(codes, Mapping):
        rows = _codes(codes, what, report)
        if "file" in opened:
            report.add(opened["file"].place, "E224", f"{what} has codes and a file", "delete one of the two")
    elif (file := text_of(opened.get("file"), f"{what}: file", report)) is not None:
        rows = _of_file(file, what, companions, report)
    owner = text_of(opened.get("owner"), f"{what}: owner", report)
    sender, as_of = (
        tuple(texts_of(opened[name], f"{what}: {name}", report)) if name in opened else ()
        for name in ("sender", "as_of")
    )
    table = CodeTable(key.text, key.place, rows, "" if owner is None else owner.text, sender, as_of)
    for name, has, said in (
        ("as_of", table.dated, "days from which they count"),
        ("sender", table.by_sender, "senders"),
    ):
        if name in opened and rows and not has:
            report.add(opened[name].place, "E224", f"{what}: its rows have no {said}", f"delete {name}")
    return table


def _of_file(file: Scalar, what: str, companions: Companions, report: Report) -> Rows:
    if not is_table_file(file.text):
        report.add(file.place, "E240", f"{what}: {file.text[:100]!r} names no table", "as in tables/sex.csv")
        return {}
    found = companions.get(file.text)
    if found is None:
        tables = [name for name in companions if is_table_file(name)]
        hint = did_you_mean(file.text, tables) or "tables are files of mappings/tables/"
        report.add(file.place, "E240", f"{what}: there is no {file.text}", hint)
        return {}
    if not found.digest:
        report.add(file.place, "E240", f"{what}: {file.text} cannot be read", f"see {found.shown}")
        return {}
    return read_table_file(found.content, found.shown, report) or {}


def _codes(node: Mapping, what: str, report: Report) -> Rows:
    if len(node.entries) > LIST_MAX_ITEMS:
        said = f"{what} has more than {LIST_MAX_ITEMS} codes"
        report.add(node.place, "E204", said, "put it into a file of its own: tables/NAME.csv")
        return {}
    entries = open_mapping(node, what, [key.text for key, _ in node.entries], report) or {}
    if not entries:
        report.add(node.place, "E204", f"{what} is empty")
    texts = {code: text_of(value, f"{what}: {code!r}", report) for code, value in entries.items()}
    return {code: (Row(text),) for code, text in texts.items() if text is not None}


def unused_tables(tables: Tables, node: Node | None, report: Report) -> None:
    """Warn of tables that no rule names."""
    if isinstance(node, Mapping):
        for key, _ in node.entries:
            if key.text not in tables.used:
                report.warn(
                    key.place, "E250", f"table {key.text!r} is never used", "delete it, or name it in a rule"
                )


def columns(table: CodeTable) -> frozenset[str]:
    """The columns that a table has beside its codes and values."""
    return column_of(table.rows) if table.rows else frozenset()
