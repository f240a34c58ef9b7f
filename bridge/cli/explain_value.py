"""Why a field of a record is what it is: ``bridge explain MAPPING MESSAGE record.field``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.message_files import inputs_in
from bridge.cli.reading import ask, read
from bridge.cli.trees import bytes_of, with_lines
from bridge.dictionary.edi_names import element_name
from bridge.dictionary.hl7v2_names import Names
from bridge.formats.edi import EdiMessage
from bridge.formats.edifact import EdifactMessage
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.accounting import Accounting, account_by
from bridge.mapping.messages import Message, read_message
from bridge.mapping.plan import Block, Plan
from bridge.mapping.rules import Rule
from bridge.mapping.syntax import Path as Place
from bridge.message import Issue, Lineage, Record, SourceLeaf

RULE_MAX_LINES = 12
_FIELD = re.compile(r"(?P<record>[a-z_]+)(?:\((?P<number>[0-9]{1,5})\))?\.(?P<field>[a-z_0-9]+)")
_PLACE = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{1,2})[^-]*-(?P<field>\d+)(?:\(\d+\))?(?:\.(?P<below>[\d.]+))?"
)


@dataclass(frozen=True, slots=True)
class Told:
    """One field of one record, and what is known about where it came from."""

    record: Record
    number: int
    line: Lineage
    value: Any


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody wants to know: ``number`` None: of every record of this kind."""

    record: str
    number: int | None
    field: str


def asked_for(text: str, plan: Plan) -> Asked:
    """What ``record.field`` means. Raises BadParameter where the mapping has no such thing."""
    from bridge.located import did_you_mean

    match = _FIELD.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text[:60]!r}: write record.field, as in patient.birth_date")
    record, field = match["record"], match["field"]
    if record not in plan.records:
        hint = did_you_mean(record, plan.records) or f"it makes: {', '.join(sorted(plan.records))}"
        raise click.BadParameter(f"{plan.name} makes no {record}; {hint}")
    if field not in (ruled := plan.records[record]):
        hint = did_you_mean(field, ruled) or f"it has rules for: {', '.join(sorted(ruled))}"
        raise click.BadParameter(f"{plan.name} has no rule for {record}.{field}; {hint}")
    return Asked(record, None if match["number"] is None else int(match["number"]), field)


def told(found: Accounting, asked: Asked) -> Iterator[Told]:
    """The field in each record that is meant and has it."""
    (mapped,) = found.mapped
    records = [(record, lines) for record, lines in with_lines(mapped) if record.record == asked.record]
    for number, (record, lines) in enumerate(records, 1):
        if asked.number in (None, number) and asked.field in lines:
            value = record.key if asked.field == "key" else record.fields.get(asked.field)
            yield Told(record, number, lines[asked.field], value)


def issues_of(found: Accounting, asked: Asked) -> list[Issue]:
    """What the mapping noticed about the field, or about its record as a whole."""
    return [
        issue
        for mapped in found.mapped
        for issue in mapped.issues
        if issue.record == asked.record
        # An entry of a list is named with what it stands in: `claims(2).lines(1)`.
        and re.split(r"[(.]", issue.field)[0] in (asked.field, "", "key", "when")
    ]


def value_as_json(each: Told, message: Message, plan: Plan, *, reveal: bool) -> dict[str, Any]:
    """For a program; values only where they are to be shown."""
    line = each.line
    return {
        "record": each.record.record,
        "number": each.number,
        "field": line.field,
        "value": each.value if reveal else None,
        "rule": line.rule,
        "sources": line.sources,
        "leaves": [
            {
                "place": leaf.place,
                "name": name_of(leaf, message),
                "start": leaf.start,
                "size": leaf.size,
                "text": _text(leaf, message) if reveal else None,
            }
            for leaf in line.leaves
        ],
        "taken": line.taken,
        "tag": tag_of(plan, each),
        "mapping": plan.name,
        "version": plan.version,
        "digest": plan.digest,
    }


def print_value(each: Told, message: Message, plan: Plan, rule: str, *, reveal: bool) -> None:
    """For a person: value, rule, and each value of the message that was read for it."""
    line, record = each.line, each.record
    value = ("(delete)" if each.value is None else each.value) if reveal else masked(each.value)
    click.echo(out.plain(f"{record.record}.{line.field} = {value}"))
    facts = [
        ("record", f"{record.record} {record.key if reveal else masked(record.key)}, {record.operation}"),
        ("rule", f"{line.rule}{rule}"),
        ("reads", ", ".join(line.sources)),
        ("from the file", ", ".join(line.taken)),
        ("classified", tag_of(plan, each)),
        ("mapping", f"{plan.name} {plan.version}, {plan.digest}"),
    ]
    out.table("", ["", ""], [fact for fact in facts if fact[1]])
    if line.leaves:
        out.table(
            "read in the message, conditions among it",
            ["place", "", "bytes", "text"],
            (
                (
                    leaf.place,
                    name_of(leaf, message),
                    "" if leaf.start is None else bytes_of(leaf),
                    _text(leaf, message) if reveal else f"‹{leaf.size} bytes›",
                )
                for leaf in line.leaves
            ),
        )


def masked(value: object) -> str:
    """How long a value is, and nothing of it."""
    return "(delete)" if value is None else f"‹{len(str(value))} characters›"


def tag_of(plan: Plan, each: Told) -> str:
    """How the field is classified."""
    tag = plan.tags.get((each.record.record, each.line.field))
    return "" if tag is None else tag.name


def name_of(leaf: SourceLeaf, message: Message) -> str:
    """What the dictionary calls the place, in the message's version."""
    match = _PLACE.fullmatch(leaf.place)
    if match is None:
        return ""
    component, _, subcomponent = (match["below"] or "1").partition(".")
    if isinstance(message, EdiMessage):
        form, below = "edifact" if isinstance(message, EdifactMessage) else "x12", match["below"]
        return element_name(form, match["segment"], int(match["field"]), int(component) if below else None)
    if not isinstance(message, Hl7Message):
        return ""
    names = Names(message.version)
    return names.leaf(match["segment"], int(match["field"]), int(component), int(subcomponent or 1)).text


def _text(leaf: SourceLeaf, message: Message) -> str:
    if leaf.start is None or not isinstance(message, Hl7Message):
        return ""
    raw = message.raw[leaf.start : leaf.start + leaf.size].decode(message.encoding, "replace")
    return out.plain(raw)


def rule_text(content: bytes, rule: str) -> str:
    """The lines of a mapping file that are one rule: the one it begins in, and those set in deeper.

    Of a rule that stands between others within one line, what is its own.
    """
    _, line, column = rule.rsplit(":", 2)
    lines = content.decode("utf-8", "replace").splitlines()
    begin, deep = int(line) - 1, int(column) - 1
    if "{" in lines[begin][:deep]:
        return "\n" + _within_line(lines[begin][deep:])
    found = [lines[begin][deep:]]
    for following in lines[begin + 1 : begin + RULE_MAX_LINES]:
        if following.strip() and len(following) - len(following.lstrip()) <= deep:
            break
        found.append(following[deep:])
    return "\n" + "\n".join(found).rstrip()


def _within_line(text: str) -> str:
    """Up to the comma or bracket that ends it.

    >>> _within_line("group: {from: CAS-01, translate: g}, reason: CAS-02}")
    'group: {from: CAS-01, translate: g}'
    >>> _within_line("note: 'a, b', more: c")
    "note: 'a, b'"
    """
    opened, quote = 0, ""
    for at, each in enumerate(text):
        if quote:
            quote = "" if each == quote else quote
        elif each in "\"'":
            quote = each
        elif each in "([{":
            opened += 1
        elif each in ")]}" or (each == "," and not opened):
            if not opened:
                return text[:at].rstrip()
            opened -= 1
    return text.rstrip()


def explain_value(
    mapping: str, message: str, field: str, *, journal_url: str | None, reveal: bool, reason: str, output: str
) -> int:
    """Print why a field of a message's record is what it is; the exit status."""
    journaled = message.isdigit() and not Path(message).exists()
    if journaled:
        body = _journaled(int(message), journal_url, reveal=reveal, reason=reason)
        plan, content = _pinned(mapping, int(message), journal_url)
        found_in = read_message(plan.format, body, xml=plan.xml)
    else:
        plan, content = _of_file(Path(mapping))
        found_in, reveal = _in_file(message, plan), True
    asked = asked_for(field, plan)
    found = account_by(found_in, plan)
    all_told = list(told(found, asked))
    issues = issues_of(found, asked)
    if output == "json":
        rows = [value_as_json(each, found.message, plan, reveal=reveal) for each in all_told]
        out.json({"values": rows, "issues": [asdict(issue) for issue in issues]})
    else:
        for each in all_told:
            print_value(each, found.message, plan, rule_text(content, each.line.rule), reveal=reveal)
        if not all_told:
            click.echo(_why_not(found, asked, plan, issues))
        for issue in issues:
            click.echo("  ! " + " ".join(filter(None, (issue.code, issue.source))) + f": {issue.text}")
    return DONE if all_told else ANSWER_IS_NO


def _why_not(found: Accounting, asked: Asked, plan: Plan, issues: Sequence[Issue]) -> str:
    (mapped,) = found.mapped
    if mapped.failed:
        codes = ", ".join(dict.fromkeys(issue.code for issue in mapped.issues))
        return f"the message fails in {plan.name} ({codes}), so there is no {asked.record}"
    made = [each for each in mapped.records if each.record == asked.record]
    if asked.number is not None and asked.number > len(made):
        return (
            f"there are {out.count(len(made), 'record')} of kind {asked.record}, and no number {asked.number}"
        )
    if not made:
        return f"{plan.name} makes no {asked.record} of it: its `when` does not hold, or it was rejected"
    said = f"the {asked.record} has no {asked.field}"
    if any(re.split(r"[(.]", issue.field)[0] == asked.field for issue in issues):
        return f"{said}. What was noted of it:"
    reads = [rule for each in _blocks(plan, asked.record) for rule in _rules(each, asked.field)]
    there = {path.text for rule in reads for path in rule.all_paths if _was_read(path, found)}
    if there or any(rule.all_members for rule in reads):
        places = f" ({', '.join(sorted(there))})" if there else ""
        return f"{said}: its rule gives nothing of what it reads{places}"
    return f"{said}: what its rule reads is not in the message"


def _blocks(plan: Plan, record: str) -> list[Block]:
    return [each for each in plan.program.blocks if isinstance(each, Block) and each.record == record]


def _rules(block: Block, field: str) -> list[Rule]:
    return [step.rule for step in (*block.all_steps, block.key, block.operation) if step.name == field]


def _was_read(path: Place, found: Accounting) -> bool:
    """Whether the message has something where a path reads."""
    return any(
        each.status == "used"
        and (each.leaf.segment, each.leaf.field) == (path.segment, path.field)
        and (path.whole or (each.leaf.component or 1) == (path.component or 1))
        for each in found.values
    )


def _in_file(message: str, plan: Plan) -> Message:
    name, said, number = message.rpartition("#")
    if not said or (Path(message).exists() and not Path(name).exists()):
        name, number = message, "1"  # a file whose own name has the sign in it
    if not (number.isascii() and number.isdigit()):
        raise click.BadParameter(f"{message}: expected the number of a message behind #, as in {name}#2")
    found = [each for _, each in inputs_in((Path(name),), plan)]
    wanted = int(number)
    if not 0 < wanted <= len(found):
        kind = "HL7 v2 message" if plan.format == "hl7v2" else f"input of {plan.format}"
        raise click.BadParameter(f"{name}: it has {out.count(len(found), kind)}")
    return found[wanted - 1]


def _of_file(path: Path) -> tuple[Plan, bytes]:
    from bridge.config.load import load_mapping

    return load_mapping(path, test=False), path.read_bytes()


def _journaled(number: int, journal_url: str | None, *, reveal: bool, reason: str) -> bytes:
    """A message of the journal. A look at its values is asked of the node, which writes it down."""
    from bridge.journal.resolutions import body_of

    if reveal:
        return str(ask(journal_url, "reveal", message=number, reason=reason)["body"] or "").encode("latin-1")
    body: bytes | None = read(journal_url, body_of, number)
    if body is None:
        raise click.BadParameter(f"no message {number} in this journal; `bridge messages` lists them")
    return body


def _pinned(mapping: str, number: int, journal_url: str | None) -> tuple[Plan, bytes]:
    """A mapping of this name as it was when the message was mapped; or a file, where one is named."""
    from bridge.config.load import mapping_of
    from bridge.journal.files import content_of, used_by

    if mapping.endswith(".yaml"):
        return _of_file(Path(mapping))
    kept = read(journal_url, used_by, number)
    for file in kept:
        plan = mapping_of(file.name, file.content, lambda digest: read(journal_url, content_of, digest))
        if plan.name == mapping:
            return plan, file.content
    names = ", ".join(Path(file.name).stem for file in kept) or "none"
    raise click.BadParameter(f"message {number} was not mapped by {mapping!r}; by: {names}")
