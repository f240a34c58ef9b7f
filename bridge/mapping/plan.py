"""A compiled mapping, and what it makes of one message. Pure: no clock, no files, no randomness."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from bridge.canonical.base import Tag
from bridge.canonical.quick import Check
from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.xml_tree import XmlReading
from bridge.mapping.build import Slots
from bridge.mapping.codes import CODES, HELD
from bridge.mapping.contexts import Context
from bridge.mapping.each import Each, contexts
from bridge.mapping.emit_json import JSON
from bridge.mapping.generate import MESSAGE_MAX_CHARACTERS, Quick
from bridge.mapping.groups import Groups
from bridge.mapping.heads import type_refused, version_refused
from bridge.mapping.hl7_fields import ONCE
from bridge.mapping.ignores import Ignored
from bridge.mapping.json_block import JsonBlock
from bridge.mapping.message_block import MESSAGE, MessageBlock
from bridge.mapping.messages import Message
from bridge.mapping.met_again import met_again
from bridge.mapping.reading import Reader, Reads, Run, Trace, Zone
from bridge.mapping.recorded import Recorded
from bridge.mapping.rules import Rule
from bridge.mapping.steps import Finish, RecordRejected, holds, rejected
from bridge.mapping.syntax import Path
from bridge.mapping.testcases import TestCase
from bridge.mapping.trace import listen, parted
from bridge.mapping.unfit import unfit
from bridge.mapping.values import ValueRefused, bounded_text
from bridge.message import EXT, NO_EXT, Issue, Lineage, MadeMessage, Mapped, Record


@dataclass(frozen=True, slots=True)
class Step:
    """One field: its name, what gives its value, and where its rule stands."""

    name: str
    finish: Finish
    rule: Rule

    @property
    def place(self) -> str:
        """Where the rule stands."""
        return str(self.rule.place)


@dataclass(frozen=True, slots=True)
class Block:
    """One entry of `emit` that makes a record, ready to run."""

    record: str
    validator: SchemaValidator
    check: Check | None
    when: Reader | None
    key: Step
    operation: Step
    steps: tuple[Step, ...]
    fail: bool
    each: Each | None = None
    ext: tuple[Step, ...] = ()
    adds: tuple[str, ...] = ()
    quick: Quick | None = None
    """The same, written out: `generated`."""

    @property
    def all_steps(self) -> tuple[Step, ...]:
        """The fields, those of the site's own among them."""
        return (*self.steps, *self.ext)


@dataclass(frozen=True, slots=True)
class Program:
    """All entries of a mapping, with the slots of their lets."""

    blocks: tuple[Block | MessageBlock | JsonBlock, ...]
    slots: Slots

    def run(self, run: Run, *, lineage: bool, quick: bool = False) -> Mapped:
        """The records and messages, with their lineage if asked for; failed where an entry says so.

        ``quick`` takes what is written out in the place of the closures.
        """
        records: list[Record] = []
        messages: list[MadeMessage] = []
        found: list[Lineage] = []
        failed = False
        origins: list[Lineage]
        run.local = self.slots.local
        for block in self.blocks:
            if quick and isinstance(block, Block) and block.quick is not None:
                failed |= _quick_records(block, block.quick, run, records)
                continue
            for context in _contexts(block, run):
                if context is not run.here:
                    run.enter(context)
                try:
                    if isinstance(block, MessageBlock | JsonBlock):
                        made = block.make(run, lineage=lineage)
                        messages += [] if made is None else [made]
                        continue
                    record, origins = _record(block, run, lineage=lineage)
                except RecordRejected:
                    failed = failed or block.fail
                    continue
                if record is not None:
                    records.append(record)
                    found.extend(origins)
        again = met_again(records)
        for kind in again.equal:
            run.issues.append(Issue("R007", kind, "key", CODES["R007"]))
        for kind in again.other:
            # One of the two would be gone, and nobody could see which: a person has to say what they are.
            run.issues.append(Issue("R009", kind, "key", CODES["R009"], self._key_source(kind)))
            failed = True
        for name in dict.fromkeys(segment.name for segment in run.top.orphans):
            run.issues.append(Issue("R006", "", "", CODES["R006"], name))
        if len([each for each in messages if each.format != JSON]) > 1:
            run.issues.append(Issue("R054", MESSAGE, "", CODES["R054"]))
            failed = True
        return Mapped(tuple(records), (), failed, tuple(found), tuple(messages))

    def _key_source(self, kind: str) -> str:
        """The paths of which the keys of one kind of record are made."""
        keys = (block.key.rule for block in self.blocks if isinstance(block, Block) and block.record == kind)
        return ", ".join(dict.fromkeys(path.text for rule in keys for path in rule.all_paths))


@dataclass(frozen=True, slots=True)
class Plan:
    """A mapping file, checked and compiled.

    ``records`` says which fields of which records it can set, ``tags`` how each is classified, ``adds`` which
    lists it only adds to, ``paths`` what it reads and ``ignores`` what it leaves out; ``makes_message`` tells
    that it can make one. ``versions`` empty: every version is taken. ``asks`` are the names at the top of
    a document that it reads, ``of_record`` the kind of record where it reads records, ``xml`` what of a
    document is one where it reads XML.
    """

    name: str
    version: str
    owner: str
    digest: str
    format: str
    accept: frozenset[str]
    versions: frozenset[str]
    on_no_record: str
    zone: Zone
    records: Mapping[str, frozenset[str]]
    tags: Mapping[tuple[str, str], Tag]
    adds: Mapping[str, frozenset[str]]
    paths: tuple[Path, ...]
    ignores: tuple[Ignored, ...]
    tests: tuple[TestCase, ...]
    reads: Reads
    groups: Groups
    makes_message: bool
    asks: frozenset[str]
    of_record: str
    xml: XmlReading
    program: Program
    traced: Program
    quick: bool = True
    """Whether what is written out may run in the place of the closures, which it equals."""

    def run(self, message: Message, *, lineage: bool = False) -> Mapped:
        """What the mapping makes of a message. Total: never raises on content. Equal messages, equal results.

        The lineage also names values of the message where that is one that notes them, `recorded`.
        A failed message has neither records nor messages, only the issues that say why.
        """
        if message.refused is not None:
            return _refused("R004", f"not readable: {message.refused.code}")
        if not self.accepts(message.message_type):
            return Mapped((), (type_refused(self.format, self.accept),), failed=True)
        if type(message) is Hl7Message and _is_part(message):
            return _refused("R008", CODES["R008"], "DSC-1")
        program = self.traced if lineage else self.program
        run = Run(message, self.reads, len(program.slots.bodies), self.zone)
        if isinstance(message, Recorded):
            listen(message, run)
        failed = self._version_refused(run) | _repeated(run)
        quick = type(message) is Hl7Message and len(message.raw) <= MESSAGE_MAX_CHARACTERS and not lineage
        made = program.run(run, lineage=lineage, quick=quick and self.quick)
        # Half of what a message says must not go before a code that the other half waits for.
        failed = failed or made.failed or any(issue.code == HELD for issue in run.issues)
        run.top.forget()
        if not made.records and not made.messages and self.on_no_record == "fail":
            run.issues.append(Issue("R001", "", "", CODES["R001"]))
            failed = True
        if failed:
            return Mapped((), tuple(run.issues), failed=True)
        return Mapped(
            made.records, tuple(run.issues), failed=False, lineage=made.lineage, messages=made.messages
        )

    def accepts(self, message_type: str) -> bool:
        """Whether it takes messages of this type, by itself or as one of all events of a code."""
        return message_type in self.accept or f"{message_type.partition('^')[0]}^*" in self.accept

    def _version_refused(self, run: Run) -> bool:
        """A version that the mapping does not declare fails; one that is not told at all is noted."""
        if not self.versions or (version := run.message.version) in self.versions:
            return False
        run.issues.append(version_refused(self.format, version, self.versions))
        return version != ""


def _is_part(message: Hl7Message) -> bool:
    """Whether a message goes on in another, or goes on with one (HL7 v2.5.1 §2.10.2): DSC that names the next
    one, unless that is a further answer to a query; ADD, which goes on with a segment; MSH-14."""
    raw = message.raw
    if b"DSC" in raw and (found := message.named("DSC")):
        return found[-1].value(1) is not None and found[-1].value(2) != "I"
    return b"ADD" in raw and bool(message.named("ADD"))


def _contexts(block: Block | MessageBlock | JsonBlock, run: Run) -> Iterable[Context]:
    """Where the entry is made: in the message as a whole, or in each of what it is made for."""
    if isinstance(block, MessageBlock) or block.each is None:
        return (run.top,)
    run.enter(run.top)
    try:
        return list(contexts(block.each, run))
    except ValueRefused as refused:
        run.issues.append(Issue(refused.code, block.record, "for_each", str(refused)))
        return ()


def _refused(code: str, text: str, source: str = "") -> Mapped:
    return Mapped((), (Issue(code, "", "", text, source),), failed=True)


def _repeated(run: Run) -> bool:
    """Note segments of which only the first is read; whether one of them is somebody else's."""
    for name in sorted(run.repeated):
        run.issues.append(Issue("R005", "", "", CODES["R005"], name))
    return not ONCE.isdisjoint(run.repeated)


def _record(block: Block, run: Run, *, lineage: bool) -> tuple[Record | None, list[Lineage]]:
    """The record of one entry; None where its condition does not hold. Raises RecordRejected."""
    if not holds(block.when, block.record, run):
        return None, []
    run.trace = {}
    key = _value(block, block.key, run)
    key_trace, run.trace = run.trace, {}
    operation = _value(block, block.operation, run)
    fields, traces = _fields(block, block.steps, run, lineage=lineage)
    own, own_traces = _fields(block, block.ext, run, lineage=lineage) if block.ext else ({}, {})
    _validate(block, run, key, fields)
    run.here.made(block.record, key, key_trace)
    record = Record(block.record, key, operation, fields, _ext(own), _adds(block, fields))
    if not lineage:
        return record, []
    traces |= {**own_traces, "key": key_trace}
    origins = [
        Lineage(block.record, key, step.name, step.place, *parted(traces[step.name]))
        for step in (block.key, *block.all_steps)
        if step.name in fields or step.name in own or step is block.key
    ]
    return record, origins


def _quick_records(block: Block, quick: Quick, run: Run, records: list[Record]) -> bool:
    """Add the records of one entry by what is written out; whether one that is rejected fails it all."""
    name, check, ext, failed = block.record, block.check, NO_EXT, False
    for made in quick(run, _contexts(block, run)):
        if made is None:
            failed = failed or block.fail
            continue
        context, key, operation, fields = made
        try:
            if block.ext:
                ext = _ext(_fields(block, block.ext, run, lineage=False)[0])
            if check is None or not check(key, fields):
                _validate(block, run, key, fields)
        except RecordRejected:
            failed = failed or block.fail
            continue
        context.made(name, key)
        adds = _adds(block, fields) if block.adds else ()
        records.append(Record(name, key, operation, fields, ext, adds))  # type: ignore[arg-type]
    return failed


def _adds(block: Block, fields: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in block.adds if fields.get(name) is not None)


def _ext(own: dict[str, Any]) -> Mapping[str, str | None]:
    return {name.removeprefix(EXT): value for name, value in own.items()} if own else NO_EXT


def _value(block: Block, step: Step, run: Run) -> Any:
    try:
        return step.finish(run)
    except ValueRefused as refused:
        raise rejected(run, refused, block.record, step.rule) from None


def _fields(
    block: Block, steps: tuple[Step, ...], run: Run, *, lineage: bool
) -> tuple[dict[str, Any], dict[str, Trace]]:
    """The fields that have a value, and what each came from. Raises RecordRejected."""
    fields: dict[str, Any] = {}
    traces: dict[str, Trace] = {}
    current = block.key
    try:
        # One try around all of them: it costs nothing while nothing is refused.
        for current in steps:
            if lineage:
                run.trace = traces[current.name] = {}
            value = current.finish(run)
            if isinstance(value, str):
                fields[current.name] = bounded_text(value)
            elif value is not None:
                fields[current.name] = None if value is NULL else value
    except ValueRefused as refused:
        raise rejected(run, refused, block.record, current.rule) from None
    return fields, traces


def _validate(block: Block, run: Run, key: str, fields: dict[str, Any]) -> None:
    try:
        block.validator.validate_python({"key": key, **fields})
    except ValidationError as refused:
        rules = [step.rule for step in (block.key, *block.all_steps)]
        run.issues += unfit(block.record, rules, refused)
        raise RecordRejected from None
