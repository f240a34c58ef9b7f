"""A mapping as the sheet that analysts exchange: a line for each field, and where it comes from."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.cli.coverage import name_of, unmapped
from bridge.cli.coverage_page import Html, html_table, page
from bridge.cli.explain_value import rule_text
from bridge.cli.place_names import place_name
from bridge.config.load import mapping_to_change
from bridge.errors import ConfigurationRefused
from bridge.located import Mapping, Scalar
from bridge.located import Sequence as Items
from bridge.mapping.coverage import Coverage
from bridge.mapping.message_block import MESSAGE, MessageBlock
from bridge.mapping.messages import Message
from bridge.mapping.plan import Block, Plan
from bridge.mapping.rules import Item, Rule
from bridge.mapping.syntax import Member
from bridge.mapping.syntax import Path as SegmentPath

COLUMNS: Final = (
    "record", "field", "meaning", "comes from", "called", "rule", "without a value", "cannot be read",
    "not in the table", "tag", "samples", "line",
)  # fmt: skip
NOT_READ: Final = ("path", "called", "values", "because")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet begins a formula; a cell that does is text with an apostrophe before it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of one mapping, what it leaves out with the reason, and what of messages it does not read."""

    plan: Plan
    rows: tuple[tuple[str, ...], ...]
    ignored: tuple[tuple[str, str], ...]
    unmapped: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A rule by the path of the field that it sets, ``claims[].charged``, and what it is done for."""

    name: str
    rule: Rule
    meaning: str
    each: str = ""


def sheet_of(path: Path, messages: Iterable[Message]) -> Sheet:
    """The sheet of a mapping file, with how often each field is made of messages that it accepts.

    What is inside of a list or a part has its own lines.

    Raises ConfigurationRefused where the file has mistakes.
    """
    tree, compiled = mapping_to_change(path)
    plan = compiled(tree)
    if plan is None:
        raise ConfigurationRefused([])
    found = Coverage([plan])
    made, records = _counted(plan, messages, found)
    content = path.read_bytes()
    rows: list[tuple[str, ...]] = []
    for block, entry in zip(plan.program.blocks, _entries(tree), strict=True):
        record = MESSAGE if isinstance(block, MessageBlock) else block.record
        rows.append((record, "", _words(entry), *[""] * 7, _share(records[record], None), ""))
        if not isinstance(block, Block):
            for step in block.all_steps:
                told = _of_rule(Line(step.name, step.rule, ""), content, plan)
                rows.append((record, step.name, "", *told, "", str(step.rule.place.line)))
            continue
        for name, rule in ((step.name, step.rule) for step in (block.key, block.operation, *block.all_steps)):
            meaning = "" if rule is block.operation.rule else rule.field.description
            samples = _share(made[record, name], records[record])
            for line in _lines(Line(name, rule, meaning)):
                told = _of_rule(line, content, plan)
                of_field = samples if line.rule is rule else ""
                rows.append((record, line.name, line.meaning, *told, of_field, str(line.rule.place.line)))
    ignored = tuple((entry.text, entry.because) for entry in plan.ignores)
    places = tuple(
        (spot.path, name_of(spot, plan.format), str(tally.values), because)
        for spot, because, tally in unmapped(found)
    )
    return Sheet(plan, tuple(rows), ignored, places)


def as_markdown(sheet: Sheet) -> str:
    """For a page or a review."""
    lines = [f"# {_title(sheet)}", "", _about(sheet), "", *_markdown(COLUMNS, sheet.rows)]
    if sheet.ignored:
        lines += ["", "## Left out", "", *_markdown(("path", "because"), sheet.ignored)]
    if sheet.unmapped:
        lines += ["", "## Not read", "", *_markdown(NOT_READ, sheet.unmapped)]
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
    writer.writerows(
        [safe_cell(path), "", "not read", "", safe_cell(name), because, *[""] * 4, values, ""]
        for path, name, values, because in sheet.unmapped
    )
    return text.getvalue()


def as_html(sheet: Sheet) -> str:
    """One static page."""
    shown = COLUMNS.index("field")
    rows = ([_cell(cell, name=at == shown) for at, cell in enumerate(row)] for row in sheet.rows)
    body = [html_table(COLUMNS, rows)]
    if sheet.ignored:
        body += ["<h2>Left out</h2>", html_table(("path", "because"), sheet.ignored)]
    if sheet.unmapped:
        body += ["<h2>Not read</h2>", html_table(NOT_READ, sheet.unmapped, right=NOT_READ[2:3])]
    return page(_title(sheet), _about(sheet), body, wide=True)


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
        "unmapped": [dict(zip(NOT_READ, row, strict=True)) for row in sheet.unmapped],
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


def _cell(text: str, *, name: bool) -> str:
    """A cell with its lines; a long name may be broken between its parts."""
    from html import escape

    whole = escape(text).replace("\n", "<br>")
    return Html(whole.replace(".", ".<wbr>") if name else whole)


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


def _lines(line: Line) -> Iterator[Line]:
    """A rule, and those of what it is made of: of a list and a part of fields."""
    yield line
    names = [each.name for item in line.rule.items or () for each in item.rules]
    for item in line.rule.items or ():
        for rule in item.rules:
            # A list of texts has one rule without a name of its own, which its own line tells.
            if rule.name in line.rule.field.item:
                inside = f"{line.name}[]" if line.rule.field.kind == "records" else line.name
                told = _for_each(item) if names.count(rule.name) > 1 else ""
                yield from _lines(Line(f"{inside}.{rule.name}", rule, rule.field.description, told))


def _for_each(item: Item) -> str:
    return "" if item.each is None else f"for each {item.each.text}"


def _of_rule(line: Line, content: bytes, plan: Plan) -> tuple[str, ...]:
    rule = line.rule
    # What the lines below tell is not told twice.
    below = any(each.name in rule.field.item for item in rule.items or () for each in item.rules)
    read: Sequence[SegmentPath | Member]
    read = (*rule.paths, *rule.members) if below else (*rule.all_paths, *rule.all_members)
    paths = list(dict.fromkeys(path.text for path in read))
    if below:
        paths = list(dict.fromkeys(filter(None, map(_for_each, rule.items or ()))))
    names = list(dict.fromkeys(filter(None, (place_name(path, plan) for path in read))))
    without = "the record is rejected" if rule.required or rule.field.required else ""
    if line.name.count("."):
        without = without and "the entry is left out"
    if rule.default is not None:
        without = f"{rule.default}"
    given = f"the {rule.ref}" if rule.ref else f"always {rule.const}" if rule.const is not None else ""
    # An operation that nobody wrote has the place of its record.
    written = not (line.name == "operation" and rule.const is not None)
    text = rule_text(content, str(rule.place)).strip("\n") if written else ""
    return (
        given or "\n".join(filter(None, (line.each, *paths))),
        "\n".join(names),
        "" if below else text,
        without if written else "",
        rule.on_error if rule.trees else "",
        rule.unmapped if rule.table is not None else "",
        rule.tag.name,
    )


def _counted(
    plan: Plan, messages: Iterable[Message], found: Coverage
) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    made: Counter[tuple[str, str]] = Counter()
    records: Counter[str] = Counter()
    for message in messages:
        found.add(message)
        if message.refused is None and plan.accepts(message.message_type):
            for record in plan.run(message).records:
                records[record.record] += 1
                made.update((record.record, name) for name in ("key", "operation", *record.fields))
    return made, records


def _share(count: int, total: int | None) -> str:
    if total is None:
        return str(count) if count else ""
    return f"{count} of {total}" if total else ""
