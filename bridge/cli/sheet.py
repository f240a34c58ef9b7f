"""A mapping as the sheet that analysts exchange: a line for each field, and where it comes from."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.cli.coverage_page import Html, html_table, page
from bridge.cli.explain_value import rule_text
from bridge.config.load import mapping_to_change
from bridge.dictionary.hl7v2_names import Names
from bridge.errors import ConfigurationRefused
from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Mapping, Scalar
from bridge.located import Sequence as Items
from bridge.mapping.plan import Block, Plan
from bridge.mapping.rules import Rule
from bridge.mapping.syntax import Path as Hl7Path

COLUMNS: Final = (
    "record", "field", "meaning", "comes from", "called", "rule", "without a value", "cannot be read",
    "not in the table", "tag", "samples", "line",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet begins a formula; a cell that does is text with an apostrophe before it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of one mapping, and what it leaves out with the reason."""

    plan: Plan
    rows: tuple[tuple[str, ...], ...]
    ignored: tuple[tuple[str, str], ...]


def sheet_of(path: Path, messages: Iterable[Hl7Message]) -> Sheet:
    """The sheet of a mapping file, with how often each field is made of messages that it accepts.

    Raises ConfigurationRefused where the file has mistakes.
    """
    tree, compiled = mapping_to_change(path)
    plan = compiled(tree)
    if plan is None:
        raise ConfigurationRefused([])
    made, records = _counted(plan, messages)
    content = path.read_bytes()
    rows: list[tuple[str, ...]] = []
    for block, entry in zip(plan.program.blocks, _entries(tree), strict=True):
        if not isinstance(block, Block):
            rows += [
                ("message", step.name, "", *_of_rule(step.rule, content), "", str(step.rule.place.line))
                for step in block.all_steps
            ]
            continue
        condition = _words(entry)
        rows.append((block.record, "", condition, *[""] * 7, _share(records[block.record], None), ""))
        for step in (block.key, block.operation, *block.all_steps):
            meaning = "" if step is block.operation else step.rule.field.description
            samples = _share(made[block.record, step.name], records[block.record])
            told = _of_rule(step.rule, content)
            rows.append((block.record, step.name, meaning, *told, samples, str(step.rule.place.line)))
    ignored = tuple((entry.text, entry.because) for entry in plan.ignores)
    return Sheet(plan, tuple(rows), ignored)


def as_markdown(sheet: Sheet) -> str:
    """For a page or a review."""
    lines = [f"# {_title(sheet)}", "", _about(sheet), "", *_markdown(COLUMNS, sheet.rows)]
    if sheet.ignored:
        lines += ["", "## Left out", "", *_markdown(("path", "because"), sheet.ignored)]
    return "\n".join(lines) + "\n"


def as_csv(sheet: Sheet) -> str:
    """For a spreadsheet; no cell is a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(cell) for cell in row] for row in sheet.rows)
    writer.writerows(
        [safe_cell(path), "", "left out", *[""] * 2, safe_cell(because), *[""] * 6]
        for path, because in sheet.ignored
    )
    return text.getvalue()


def as_html(sheet: Sheet) -> str:
    """One static page."""
    body = [html_table(COLUMNS, ([_cell(cell) for cell in row] for row in sheet.rows))]
    if sheet.ignored:
        body += ["<h2>Left out</h2>", html_table(("path", "because"), sheet.ignored)]
    return page(_title(sheet), _about(sheet), body)


def as_json(sheet: Sheet) -> dict[str, Any]:
    """For a program."""
    return {
        "mapping": sheet.plan.name,
        "version": sheet.plan.version,
        "owner": sheet.plan.owner,
        "digest": sheet.plan.digest,
        "accept": sorted(sheet.plan.accept),
        "rows": [dict(zip(COLUMNS, row, strict=True)) for row in sheet.rows],
        "ignored": [{"path": path, "because": because} for path, because in sheet.ignored],
    }


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> safe_cell("=1+1"), safe_cell("PID-5.1")
    ("'=1+1", 'PID-5.1')
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def _title(sheet: Sheet) -> str:
    return f"{sheet.plan.name} {sheet.plan.version}"


def _about(sheet: Sheet) -> str:
    return f"{sheet.plan.owner}; takes {', '.join(sorted(sheet.plan.accept))}; {sheet.plan.digest}"


def _cell(text: str) -> str:
    from html import escape

    return Html(escape(text).replace("\n", "<br>"))


def _markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        cells = (cell.replace("|", "\\|").replace("\n", "<br>") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _entries(tree: Mapping) -> tuple[Any, ...]:
    emit = tree.get("emit")
    return emit.items if isinstance(emit, Items) else ()


def _words(entry: Any) -> str:
    """For what, and when, an entry makes its record."""
    told = []
    for name, word in (("for_each", "for each"), ("when", "when")):
        value = entry.get(name) if isinstance(entry, Mapping) else None
        if isinstance(value, Scalar):
            told.append(f"{word} {value.text}")
    return ", ".join(told)


def _of_rule(rule: Rule, content: bytes) -> tuple[str, ...]:
    paths = list(dict.fromkeys(path.text for path in rule.all_paths))
    names = list(dict.fromkeys(filter(None, (_name(path) for path in rule.all_paths))))
    without = "the record is rejected" if rule.required or rule.field.required else ""
    if rule.default is not None:
        without = f"{rule.default}"
    read = bool(rule.trees)
    return (
        f"the {rule.ref}"
        if rule.ref
        else f"always {rule.const}"
        if rule.const is not None
        else "\n".join(paths),
        "\n".join(names),
        rule_text(content, str(rule.place)).strip("\n"),
        without,
        rule.on_error if read else "",
        rule.unmapped if rule.table is not None else "",
        rule.tag.name,
    )


def _name(path: Hl7Path) -> str:
    found = Names("").leaf(path.segment, path.field, path.component or 1, path.subcomponent or 1)
    return found.text if found.known else ""


def _counted(plan: Plan, messages: Iterable[Hl7Message]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    made: Counter[tuple[str, str]] = Counter()
    records: Counter[str] = Counter()
    for message in messages:
        if message.refused is None and message.message_type in plan.accept:
            for record in plan.run(message).records:
                records[record.record] += 1
                made.update((record.record, name) for name in ("key", "operation", *record.fields))
    return made, records


def _share(count: int, total: int | None) -> str:
    if total is None:
        return str(count) if count else ""
    return f"{count} of {total}" if total else ""
