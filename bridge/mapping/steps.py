"""A checked rule becomes a closure that gives the finished value, with the rule's policies built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.formats.hl7v2 import NULL
from bridge.mapping.build import Builder
from bridge.mapping.closures import noted
from bridge.mapping.code_values import CodeValues
from bridge.mapping.codes import CODES, HELD, OF_CODES
from bridge.mapping.convert import CONVERTERS, Converter
from bridge.mapping.each import contexts
from bridge.mapping.missed import missed
from bridge.mapping.reading import Reader, Run, Taken
from bridge.mapping.rules import Item, Rule
from bridge.mapping.times import day_of, has_offset
from bridge.mapping.values import Type, ValueRefused, bounded_text
from bridge.mapping.whats_there import whats_there
from bridge.message import Issue

Finish = Callable[[Run], Any]
"""Gives a value that can go into a record, NULL to delete, or None for nothing."""

CONSTANT: Final = Taken("constant")
DEFAULT: Final = Taken("default")
ROW: Final = Taken("row of a table")
ZONE: Final = Taken("time zone, since none was sent")
POLICY: Final = Taken("what the rule says of a code that is not in the table")
SOURCES_MAX_COUNT: Final = 4
"""Of the paths that an issue names: enough to find the place, few enough to read."""


class RecordRejected(Exception):
    """A rule's policy refuses the record. Its issue has been noted."""


def note(run: Run, code: str, record: str, rule: Rule, why: str = "", *, places: Sequence[str] = ()) -> None:
    """Note an issue of one rule. It names ``places``, or all that the rule reads; never values."""
    source = ", ".join((places or rule.sources)[:SOURCES_MAX_COUNT])
    text = f"{why or CODES[code]} (rule at {rule.place})"
    table = rule.table.name if rule.table is not None and code in OF_CODES else ""
    run.issues.append(Issue(code, record, rule.name, text, source, table))


def rejected(run: Run, refused: ValueRefused, record: str, rule: Rule) -> RecordRejected:
    """What to raise where a value was refused and no policy says otherwise. Notes the issue."""
    note(run, refused.code, record, rule, str(refused))
    return RecordRejected()


def holds(when: Reader | None, record: str, run: Run) -> bool:
    """Whether a condition holds; one that is not there always does. Raises RecordRejected."""
    try:
        return when is None or bool(when(run))
    except ValueRefused as refused:
        run.issues.append(Issue(refused.code, record, "when", str(refused)))
        raise RecordRejected from None


def build_step(rule: Rule, record: str, builder: Builder, *, in_list: bool = False) -> Finish:
    """The closure of a rule. It may raise RecordRejected, and ValueRefused where it takes text as it is.

    In a list, an entry without what it requires is left out, which is no issue.
    """
    builder.at = rule.place
    finish = _step(rule, record, builder, in_list=in_list)
    if not builder.traced:
        return finish
    return builder.branches.given(finish, rule.place, f"{record}.{rule.name}", is_rule=True)


def _step(rule: Rule, record: str, builder: Builder, *, in_list: bool) -> Finish:
    required = rule.required or (rule.field.required and not in_list)
    if rule.ref is not None:
        return _ref(rule, record, rule.ref, required=required)
    if rule.items is not None:
        return (
            _required(_list(rule, record, builder), rule, record, builder)
            if required
            else _list(rule, record, builder)
        )
    if rule.const is not None:
        value = rule.const
        return noted(lambda _run: value, CONSTANT) if builder.traced else lambda _run: value
    source = builder.key(rule.trees) if rule.field.kind == "ref" else builder.first_of(rule.trees)
    finish = source if _is_plain(rule) else _converted(source, rule, record, builder)
    if builder.traced and rule.table is not None:
        finish = _row_noted(finish, rule, builder)
    if rule.default is not None:
        finish = _defaulted(finish, rule.default)
        if builder.traced:
            finish = _default_noted(finish, rule, builder)
    return _required(finish, rule, record, builder) if required else finish


def _is_plain(rule: Rule) -> bool:
    """Whether a rule takes text as it is: most rules do, and need nothing around their source.

    A refused value then reaches the record's own loop, which also looks after the size of texts.
    """
    kind, policy = rule.field.kind, rule.on_error
    return (
        kind in ("text", "ref", "any")
        and rule.type is Type.TEXT
        and rule.table is None
        and policy == "reject"
    )


def _converted(source: Finish, rule: Rule, record: str, builder: Builder) -> Finish:
    finish, refuse = finish_of(rule, record), refusal_of(rule, record)
    if builder.traced and rule.field.kind in ("datetime", "date_or_datetime"):
        finish = _zone_noted(finish)
    code_of = None if rule.table is None else _code_finder(rule.table, builder)
    unmapped = unmapped_of(rule, record)

    def read(run: Run) -> Any:
        raw = None
        try:
            raw = source(run)
            if raw is None or raw is NULL:
                return raw
            if code_of is None:
                return finish(run, raw)
            code = code_of(run, raw)
        except ValueRefused as refused:
            return refuse(run, refused, raw)
        return unmapped(run, raw) if code is None else code

    return read


def _zone_noted(finish: Callable[[Run, Any], Any]) -> Callable[[Run, Any], Any]:
    """As ``finish``, and notes where a time was sent without its offset, and one was assumed."""

    def read(run: Run, raw: Any) -> Any:
        value = finish(run, raw)
        if isinstance(value, str) and "T" in value and not has_offset(raw):
            run.trace[ZONE] = None
        return value

    return read


def finish_of(rule: Rule, record: str) -> Callable[[Run, Any], Any]:
    """What makes the field's value of one that is there, with the rule's `on_error` built in."""
    # A table's values were made what the field takes when the file was loaded.
    convert: Converter = CONVERTERS[rule.field.kind, Type.TEXT if rule.table is not None else rule.type]
    refuse = refusal_of(rule, record)

    def finish(run: Run, raw: Any) -> Any:
        try:
            value = convert(run, raw)
        except ValueRefused as refused:
            return refuse(run, refused, raw)
        if run.noted:
            for noted in run.noted:
                note(run, noted, record, rule)
            run.noted.clear()
        return value

    return finish


def refusal_of(rule: Rule, record: str) -> Callable[[Run, ValueRefused, Any], Any]:
    """What becomes of a value that was refused, by the rule's `on_error`. Notes the issue."""
    on_error, default = rule.on_error, rule.default

    def refuse(run: Run, refused: ValueRefused, raw: Any) -> Any:
        note(run, refused.code, record, rule, str(refused))
        if on_error == "reject":
            raise RecordRejected from None
        if on_error == "keep_raw" and isinstance(raw, str) and refused.code != "R040":
            return raw
        return default if on_error == "default" else None

    return refuse


def _code_finder(table: CodeValues, builder: Builder) -> Callable[[Run, str], Any]:
    """What gives the value of a code, or None where the table has none for it."""
    if table.plain:
        values = {code: rows[0][1] for code, rows in table.rows.items() if rows}
        return lambda _run, code: values.get(code)
    sender = builder.first_of(table.sender) if table.sender else None
    as_of = builder.first_of(table.as_of) if table.as_of else None

    def find(run: Run, code: str) -> Any:
        rows = table.rows.get(code)
        if rows is None:
            return None
        told = None if sender is None else sender(run)
        day = day_of(None if as_of is None else as_of(run))
        name = told if isinstance(told, str) else ""
        holding = [(row, value) for row, value in rows if row.holds(name, day)]
        # A sender's own codes go before those for all, and a row with days before one without.
        holding.sort(key=lambda each: (each[0].sender == "", not each[0].dated))
        return holding[0][1] if holding else None

    return find


def unmapped_of(rule: Rule, record: str) -> Callable[[Run, Any], Any]:
    """What becomes of a code that the rule's table does not have."""

    def unmapped(run: Run, raw: Any) -> Any:
        note(run, HELD if rule.unmapped == "hold" else "R030", record, rule)
        if rule.unmapped in ("reject", "hold"):
            raise RecordRejected
        if rule.unmapped == "keep":
            return raw
        return rule.default if rule.unmapped == "default" else None

    return unmapped


def _defaulted(finish: Finish, default: Any) -> Finish:
    def read(run: Run) -> Any:
        value = finish(run)
        if value is not None:
            return value
        run.trace[DEFAULT] = None
        return default

    return read


def _default_noted(finish: Finish, rule: Rule, builder: Builder) -> Finish:
    number, branches = builder.branches.add(rule.place, f"{rule.name}: the default"), builder.branches

    def read(run: Run) -> Any:
        before = run.trace.pop(DEFAULT, False)
        value = finish(run)
        if DEFAULT in run.trace:
            branches.note(number)
        elif before is None:
            run.trace[DEFAULT] = None
        return value

    return read


def _row_noted(finish: Finish, rule: Rule, builder: Builder) -> Finish:
    """As ``finish``, and notes that the value stands in a table where it was found there."""
    branches = builder.branches
    kept = rule.unmapped not in ("reject", "hold")
    number = branches.add(rule.place, f"{rule.name}: a code that is not in the table") if kept else -1

    def read(run: Run) -> Any:
        issues = len(run.issues)
        value = finish(run)
        if kept and len(run.issues) > issues:
            branches.note(number)
        if value is not None and value is not NULL:
            run.trace[ROW if len(run.issues) == issues else POLICY] = None
        return value

    return read


def missing(rule: Rule, record: str, builder: Builder) -> Callable[[Run], None]:
    """What refuses a record for a value that must be there. Notes the issue."""
    find = missed(rule.trees, builder)

    def refuse(run: Run) -> None:
        told = whats_there(rule.all_paths, run)
        why = "A required value is missing, or the sender asks to delete it"
        note(run, "R010", record, rule, f"{why}: {told}" if told else why, places=find(run))
        raise RecordRejected

    return refuse


def _required(finish: Finish, rule: Rule, record: str, builder: Builder) -> Finish:
    refuse = missing(rule, record, builder)

    def read(run: Run) -> Any:
        value = finish(run)
        if value is None or value is NULL:
            refuse(run)
        return value

    return read


def _ref(rule: Rule, record: str, name: str, *, required: bool) -> Finish:
    def read(run: Run) -> Any:
        key, trace = run.here.key_of(name)
        if key is None:
            note(run, "R900", record, rule, f"The {name} that it refers to was not made")
            if required:
                raise RecordRejected
            return None
        run.trace.update(trace)
        return key

    return read


def _list(rule: Rule, record: str, builder: Builder) -> Finish:
    texts, one = rule.field.kind == "texts", rule.field.kind == "part"
    items = [_item(item, record, builder) for item in rule.items or ()]

    def read(run: Run) -> Any:
        found: list[Any] = []
        for add in items:
            add(run, found)
        if texts:
            found = [entry[rule.name] for entry in found]
        return (found[0] if one else found) if found else None

    return read


def _item(item: Item, record: str, builder: Builder) -> Callable[[Run, list[Any]], None]:
    """What adds an entry to a list, or one for each of what the item goes through."""
    each = item.each
    inner = builder if each is None else builder.inside(each)
    steps = [
        (rule.name, build_step(rule, record, inner, in_list=True), rule.field.required) for rule in item.rules
    ]

    def add(run: Run, found: list[Any]) -> None:
        entry: dict[str, Any] = {}
        for name, step, required in steps:
            value = step(run)
            if value is not None and value is not NULL:
                entry[name] = bounded_text(value) if isinstance(value, str) else value
            elif required:
                return
        if entry:
            found.append(entry)

    if each is None:
        return add
    when = None if item.when is None else inner.condition(item.when, each.place)

    def add_each(run: Run, found: list[Any]) -> None:
        here = run.here
        try:
            for context in contexts(each, run):
                run.enter(context)
                if when is None or when(run):
                    add(run, found)
                if len(found) > LIST_MAX_ITEMS:
                    raise ValueRefused("R040", f"a list would have more than {LIST_MAX_ITEMS} items")
        finally:
            run.enter(here)

    return add_each
