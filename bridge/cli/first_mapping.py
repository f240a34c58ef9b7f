"""A first mapping from sample messages: what is there, as rules; what a person must decide, as comments."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from bridge.cli import output as out
from bridge.cli.hl7_names import field_name
from bridge.cli.starts import STARTS, TABLES, Start
from bridge.cli.survey import Survey, places_read
from bridge.config.yaml_tree import INVISIBLE
from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Problem
from bridge.mapping.plan import Plan

TESTS_MAX_COUNT: Final = 20
"""Tests that are made, the fullest sample of each type first."""
LEFT_MAX_COUNT: Final = 60
"""Places without a rule that are listed."""
NOTED_MAX_COUNT: Final = 12
"""Kinds of issues of samples that are listed."""
SEEN_MAX_LINES: Final = 20
JSON_PLACES_MAX_COUNT: Final = 40
CODES_SHOWN_MAX_COUNT: Final = 8
ROUNDS_MAX_COUNT: Final = 40
_WIDTH: Final = 112
Trial = Callable[[str], tuple[Plan | None, Sequence[Problem]]]


def first_mapping(
    name: str,
    owner: str,
    found: Survey,
    trial: Trial,
    messages: Iterable[Hl7Message],
    samples: Iterable[Hl7Message],
) -> tuple[str, Plan | None]:
    """The text of a mapping file, and its plan. Of ``messages`` only what is noted is counted; ``samples``,
    of which tests are made, are test data of them: nobody in them is real.

    A rule that the language refuses becomes a comment, so that what is written always passes the check.
    """
    lines = _lines(name, owner, found)
    for _ in range(ROUNDS_MAX_COUNT):
        plan, problems = trial("\n".join(lines) + "\n")
        wrong = sorted({each.place.line for each in problems if each.severity == "error"})
        if not wrong:
            break
        for number in wrong:
            at = min(number, len(lines)) - 1
            said = next(each.text for each in problems if each.place.line == number)
            lines[at] = f"# TODO {said}: {lines[at].strip()}"
    if plan is None:
        return "\n".join(lines) + "\n", None
    tests = [line for each in tests_of(plan, samples) for line in each]
    noted = issues_of(plan, messages)
    noted = ["", *noted] if noted else []
    text = "\n".join([*lines, *noted, *(["", "tests:", *tests] if tests else [])]) + "\n"
    return text, trial(text)[0]


def _lines(name: str, owner: str, found: Survey) -> list[str]:
    starts = _chosen(found)
    types = ", ".join(f"{each} {count}" for each, count in sorted(found.types.items()))
    lines = [
        *_comment(f"A first mapping, made from {out.count(found.messages, 'sample message')} ({types})."),
        *_comment("What is marked TODO must be decided by a person who knows these senders."),
        *_seen(found),
        f"mapping: {name}",
        "version: 0.1.0",
        f"owner: {owner}",
        "target: canonical/1",
        "",
        "source:",
        "  format: hl7v2",
        f"  accept: [{', '.join(sorted(found.types))}]",
        "  timezone: Etc/UTC   # TODO: the zone of senders that give no offset",
    ]
    groups = dict(each for start in starts for each in start.groups)
    if groups:
        lines += ["  groups:", *(f"    {group}: {text}" for group, text in groups.items())]
    body = [line for start in starts for line in _record(start, found)] if starts else _document(found)
    text = "\n".join(body)
    tables = [table for table in TABLES if f"translate: {table}," in text]
    if tables:
        lines += ["", "tables:", *(line for table in tables for line in _table(table, found))]
    if any(start.record == "patient" for start in starts):
        lines += ["", "let:", *_patient(found)]
        if "order_number" in text:
            # A let that reads what a group has is read anew in each of its instances.
            lines += ["  order_number: [OBR-3.1, ORC-3.1, OBR-2.1, ORC-2.1]"]
    lines += ["", "emit:", *body, "", "ignore:"]
    lines += ['  - {path: "MSH-*", because: envelope}']
    read = "\n".join(lines)
    lines += [f"  - {{path: {segment}-1, because: set id}}" for segment in _set_ids(found, read)]
    lines += ["", *_left(found, "\n".join(lines))]
    return lines


def _seen(found: Survey) -> list[str]:
    lines = []
    if found.versions:
        lines += _comment(f"Versions: {_counts(found.versions)}.")
    if found.several:
        lines += _comment(f"Several times in one message: {_counts(found.several)}.")
    if found.repeated:
        places = {f"{segment}-{number}": count for (segment, number), count in found.repeated.items()}
        lines += _comment(f"With repetitions: {_counts(places)}.")
    for form, places_of in sorted(found.dates.items(), key=lambda each: -sum(each[1].values())):
        lines += _comment(f"Dates written as {form}: {_counts(places_of)}.")
    return lines[:SEEN_MAX_LINES]


def _chosen(found: Survey) -> list[Start]:
    chosen: list[Start] = []
    for start in STARTS:
        names = {each.record for each in chosen}
        if all(found.has(place) for place in start.needs) and set(start.after) <= names:
            chosen.append(start)
    return chosen


def _patient(found: Survey) -> list[str]:
    """How the patient is known: by the number of a type that nearly every message has, else the first."""
    kinds = found.seen("PID", 3, 5)
    shown = _counts(kinds) if kinds else "no type"
    lines = [*_comment(f"TODO: which number in PID-3 is the patient's? Seen in PID-3.5: {shown}.", "  ")]
    best = next((kind for kind in ("MR", "PI", "MRN") if kinds[kind] * 10 >= found.segments["PID"] * 9), "")
    number = f"PID-3(5={best})" if best else "PID-3"
    return [
        *lines,
        f"  patient_number: {number}.1",
        f"  authority: [{number}.4.1, MSH-4.1]",
        "  patient_key: join(':', authority, patient_number)",
    ]


def _record(start: Start, found: Survey) -> list[str]:
    lines = _comment(f"TODO: {start.asks}", "  ") if start.asks else []
    lines.append(f"  - record: {start.record}")
    if start.each:
        lines.append(f"    for_each: {start.each}")
    lines.append(f"    key: {start.key}")
    if start.when:
        lines.append(f"    when: {start.when}")
    if start.operation and any(event in TABLES["encounter_operation"][2] for event in _events(found)):
        lines.append(f"    operation: {start.operation}")
    lines.append("    set:")
    for name, rule in start.fields.items():
        if "encounter_status" in rule and not set(TABLES["encounter_status"][2]) & _events(found):
            continue
        if name.endswith("_npi") and found.has(rule):
            lines += _npi(name, rule, found)
        elif name in start.always or found.has(rule):
            if "ref: patient" in rule and start.record == "charge" and "PID" not in found.segments:
                continue
            lines.append(f"      {name}: {_quoted(rule)}")
    return lines


def _npi(name: str, rule: str, found: Survey) -> list[str]:
    """The number of a person, where it is said to be an NPI or looks like one in all messages."""
    ((segment, number),) = places_read(rule)
    for component in (13, 9):
        if found.seen(segment, number, component)["NPI"]:
            return [f"      {name}: {segment}-{number}({component}=NPI).1"]
    if (segment, number) not in found.no_npi:
        return [f"      {name}: {rule}"]
    said = f"TODO: {name}? {rule} has other numbers than NPIs, which are ten digits with a check digit."
    return _comment(said, "      ")


def _events(found: Survey) -> set[str]:
    return {each.partition("^")[2] for each in found.types}


def _quoted(rule: str) -> str:
    """An expression as YAML takes it: quoted where it holds what YAML would cut apart."""
    if rule[0] in '{["' or not any(sign in rule for sign in (": ", " #", "', '", "[", "{")):
        return rule
    return json.dumps(rule)


def _document(found: Survey) -> list[str]:
    """Where no record is known for these messages: a document with the places that they have."""
    lines = [
        *_comment(
            "TODO: which records are these about? `bridge records` lists them. Until then a document.", "  "
        ),
        "  - json: object",
        "    set:",
    ]
    seen: set[str] = set()
    places = [key for key in sorted(found.filled) if key[0] != "MSH" or key[1] in (9, 10)]
    for segment, number, component in places[:JSON_PLACES_MAX_COUNT]:
        name = f"{segment.lower()}_{number}_{component}"
        if name not in seen:
            seen.add(name)
            lines.append(f"      {name}: {segment}-{number}.{component}")
    return lines


def _table(table: str, found: Survey) -> list[str]:
    place, what, known = TABLES[table]
    segment, _, rest = place.partition("-")
    number, _, component = rest.partition(".")
    seen = found.seen(segment, int(number), int(component or 1))
    if place == "MSH-9.2":
        known = {code: meaning for code, meaning in known.items() if code in seen} or dict(
            [next(iter(known.items()))]
        )
    pairs = ", ".join(f"{_key(code)}: {meaning}" for code, meaning in known.items())
    lines = [f"  {table}: {{{pairs}}}   # {what}"]
    other = {code: count for code, count in seen.items() if code not in known}
    if other and place != "MSH-9.2":
        lines = [*_comment(f"TODO: what do these codes of {place} mean? {_counts(other)}", "  "), *lines]
    return lines


def _key(code: str) -> str:
    return f'"{code}"' if code in ("N", "Y", "no", "yes") else code


def _counts(seen: Any) -> str:
    most = sorted(dict(seen).items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{_shown(code)} {count}" for code, count in most[:CODES_SHOWN_MAX_COUNT])
    return shown + (
        f" and {len(most) - CODES_SHOWN_MAX_COUNT} more" if len(most) > CODES_SHOWN_MAX_COUNT else ""
    )


def _shown(code: str) -> str:
    """A code as a comment may show it; what is too long to be one may be anything, and is not shown."""
    return code if len(code) <= 12 and code.isprintable() else f"({len(code)} characters)"


def _set_ids(found: Survey, text: str) -> list[str]:
    read = places_read(text)
    names = (
        "PID",
        "PV1",
        "OBR",
        "OBX",
        "NTE",
        "DG1",
        "IN1",
        "FT1",
        "AL1",
        "NK1",
        "GT1",
        "TXA",
        "SPM",
        "PR1",
        "TQ1",
    )
    return [name for name in names if (name, 1, 1) in found.filled and (name, 1) not in read]


def _left(found: Survey, text: str) -> list[str]:
    """What the samples have and no rule reads, as a list to work down."""
    read = places_read(text)
    left: dict[tuple[str, int], int] = {}
    for (segment, number, _), count in found.filled.items():
        if segment != "MSH" and (segment, number) not in read:
            left[segment, number] = max(left.get((segment, number), 0), count)
    if not left:
        return []
    most = sorted(left.items(), key=lambda each: (-each[1], each[0]))
    lines = _comment(
        f"TODO: {len(left)} fields that the samples have and no rule reads, most often filled first. Each is "
        "worth a rule, or an entry of `ignore` with its reason; `bridge map coverage` counts them:"
    )
    for (segment, number), count in most[:LEFT_MAX_COUNT]:
        called = field_name(segment, number)
        lines.append(
            f"#   {segment}-{number}{f' {called}' if called else ''}, in {count} of {found.messages}"
        )
    if len(most) > LEFT_MAX_COUNT:
        lines.append(f"#   and {len(most) - LEFT_MAX_COUNT} more")
    return lines


def _comment(text: str, indent: str = "") -> list[str]:
    lines, here = [], f"{indent}#"
    for word in text.split():
        if len(here) + len(word) + 1 > _WIDTH:
            lines.append(here)
            here = f"{indent}#  "
        here += f" {word}"
    return [*lines, here]


def issues_of(plan: Plan, samples: Iterable[Hl7Message]) -> list[str]:
    """What the mapping notes of messages, most often first, for a person to decide about; as comments."""
    accepted = [
        message for message in samples if message.refused is None and plan.accepts(message.message_type)
    ]
    noted: Counter[tuple[str, str, str]] = Counter()
    for message in accepted:
        issues = plan.run(message).issues
        noted.update({(each.code, f"{each.record}.{each.field}", _plain(each.text)) for each in issues})
    if not noted:
        return []
    lines = _comment(
        "TODO: what this mapping notes of the samples; `bridge explain CODE` says what it means:"
    )
    for (code, place, text), times in noted.most_common(NOTED_MAX_COUNT):
        said = f"{code} {place.strip('.')}".strip()
        lines += _comment(f"  {said}, in {times} of {len(accepted)}: {text}")
    if len(noted) > NOTED_MAX_COUNT:
        lines.append(f"#   and {len(noted) - NOTED_MAX_COUNT} more")
    return lines


def _plain(text: str) -> str:
    """An issue's text without the place of its rule, which is not the same in each message."""
    return text.partition(" (rule")[0]


def tests_of(plan: Plan, samples: Iterable[Hl7Message]) -> list[list[str]]:
    """A test for the fullest sample of each type, and what the mapping makes of it now."""
    best: dict[str, tuple[tuple[int, int], Hl7Message, Any]] = {}
    for sample in samples:
        if not plan.accepts(sample.message_type):
            continue
        message = _visible(sample)
        mapped = plan.run(message)
        fields = {(each.record, name) for each in mapped.records for name in each.fields}
        # Of samples that tell the same, the shortest is the one that a person reads.
        size = (len(fields) + len(mapped.messages), -len(message.segments))
        if message.message_type not in best or size > best[message.message_type][0]:
            best[message.message_type] = (size, message, mapped)
    found = []
    for kind, (_, message, mapped) in sorted(best.items())[:TESTS_MAX_COUNT]:
        lines = [f"  - name: {kind}, as it was made from a sample", "    input: |"]
        lines += [f"      {segment.serialise()}" for segment in message.segments]
        found.append([*lines, "    expect:", *_expected(mapped)])
    return found


def _visible(message: Hl7Message) -> Hl7Message:
    """A message as a file can hold it, which has no character that cannot be seen."""
    lines = [segment.serialise() for segment in message.segments]
    if not any(map(INVISIBLE.search, lines)):
        return message
    text = "".join(f"{INVISIBLE.sub('?', line)}\r" for line in lines)
    return Hl7Message.read(text.encode(message.encoding))


def _expected(mapped: Any) -> list[str]:
    lines: list[str] = []
    kinds = list(dict.fromkeys(each.record for each in mapped.records))
    for kind in kinds:
        records = [each for each in mapped.records if each.record == kind]
        lines.append(f"      {kind}:")
        for each in records:
            lines.append(f"        - key: {json.dumps(each.key)}")
            lines += [
                f"          {name}: {_value(value)}"
                for name, value in each.fields.items()
                if value is not None
            ]
    for made in mapped.messages:
        lines.append(f"      json: {made.body.decode()}")
    if mapped.failed:
        lines.append("      failed: true")
    if not mapped.issues:
        lines.append("      issues: []")
    if not lines:
        lines.append("      failed: false")
    return lines


def _value(value: Any) -> str:
    return json.dumps(value, default=str)
