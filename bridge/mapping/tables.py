"""Code tables that stand in a mapping file."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.located import Mapping, Node, Scalar, did_you_mean
from bridge.mapping.document import Report, open_mapping, text_of


@dataclass(slots=True)
class Tables:
    """The tables by name, each from code to value, and which of them a rule uses."""

    found: Dict[str, Dict[str, Scalar]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def use(self, node: Node | None, report: Report) -> Dict[str, Scalar] | None:
        """The table that a rule names; None, and a problem, where there is none of that name."""
        name = text_of(node, "translate", report)
        if name is None:
            return None
        self.used.add(name.text)
        if name.text not in self.found:
            hint = did_you_mean(name.text, self.found) or "tables stand under `tables:`"
            report.add(name.place, "E240", f"unknown table {name.text!r}", hint)
        return self.found.get(name.text)


def read_tables(node: Node | None, report: Report) -> Tables:
    """The tables of a file."""
    tables: dict[str, Dict[str, Scalar]] = {}
    if node is None:
        return Tables(tables)
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "tables must be a mapping from names to tables")
        return Tables(tables)
    for key, value in node.entries:
        tables[key.text] = {}
        if isinstance(value, Scalar):
            report.add(
                value.place, "E190", f"table {key.text!r}: tables in files of their own are not built yet"
            )
        elif isinstance(value, Mapping):
            tables[key.text] = _table(value, f"table {key.text!r}", report)
        else:
            report.add(value.place, "E204", f"table {key.text!r} must be a mapping from codes to values")
    return Tables(tables)


def _table(node: Mapping, what: str, report: Report) -> dict[str, Scalar]:
    if len(node.entries) > LIST_MAX_ITEMS:
        report.add(node.place, "E204", f"{what} has more than {LIST_MAX_ITEMS} codes")
        return {}
    entries = open_mapping(node, what, [key.text for key, _ in node.entries], report) or {}
    if not entries:
        report.add(node.place, "E204", f"{what} is empty")
    texts = {code: text_of(value, f"{what}: {code!r}", report) for code, value in entries.items()}
    return {code: text for code, text in texts.items() if text is not None}


def unused_tables(tables: Tables, node: Node | None, report: Report) -> None:
    """Warn of tables that no rule names."""
    if isinstance(node, Mapping):
        for key, _ in node.entries:
            if key.text not in tables.used:
                report.warn(
                    key.place, "E250", f"table {key.text!r} is never used", "delete it, or name it in a rule"
                )
