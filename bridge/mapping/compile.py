"""From the located tree of a mapping file to a plan, or to every mistake in it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from bridge import located
from bridge.canonical.base import Tag
from bridge.canonical.quick import quick_check
from bridge.located import Problem
from bridge.mapping.build import Builder, Slots
from bridge.mapping.check import ANY_VERSION, Beyond, Declared, FieldOf
from bridge.mapping.companions import Companions
from bridge.mapping.contexts import Arrangement
from bridge.mapping.document import Report, list_of, open_mapping
from bridge.mapping.each import Source
from bridge.mapping.emit import Emit, note_passed_over, passed_over, read_emit
from bridge.mapping.emit_json import EmitJson, read_json
from bridge.mapping.emit_message import EmitMessage, NewSegment, Repeated, Setting, read_message
from bridge.mapping.fragments import expanded
from bridge.mapping.generate import generated
from bridge.mapping.groups import Groups
from bridge.mapping.head import read_head
from bridge.mapping.hl7_fields import ONCE
from bridge.mapping.ignores import read_ignores
from bridge.mapping.json_block import JsonBlock, build_json
from bridge.mapping.lets import Lets, read_lets, unused_lets
from bridge.mapping.message_block import AddedSegment, MessageBlock, PlaceStep, Removal, RepeatedPart
from bridge.mapping.places import NamedPlace
from bridge.mapping.plan import Block, Plan, Program, Step
from bridge.mapping.reading import Reads
from bridge.mapping.rules import Rule
from bridge.mapping.steps import build_step
from bridge.mapping.syntax import Path
from bridge.mapping.tables import Tables, read_tables, unused_tables
from bridge.mapping.testcases import read_tests

NO_COMPANIONS: Final[Companions] = MappingProxyType({})
AnyEmit = Emit | EmitMessage | EmitJson
_REQUIRED: Final = ("mapping", "version", "owner", "target", "source", "emit")
_KEYS: Final = (*_REQUIRED, "tables", "let", "ignore", "tests", "on_no_record")


def compile_mapping(
    tree: located.Mapping,
    *,
    digest: str,
    companions: Companions = NO_COMPANIONS,
    field_of: FieldOf = ANY_VERSION.field_of,
    beyond: Beyond = ANY_VERSION.beyond,
) -> tuple[Plan | None, list[Problem]]:
    """The plan of a mapping file, and its problems. No plan where one of them is an error.

    ``digest`` names the content of the file and of its ``companions`` (`pinned`); the plan carries it to
    everything that it makes. ``field_of`` tells of fields of HL7 v2, for the versions that the file declares,
    and ``beyond`` of what no version has.
    """
    report = Report()
    tree = expanded(tree, companions, report)
    top = open_mapping(tree, "a mapping file", _KEYS, report, required=_REQUIRED)
    if top is None:
        return None, list(report)
    head = read_head(top, report)
    if not head.form:
        return None, sorted(report, key=lambda problem: problem.place)  # of no format is anything else right
    tables = read_tables(top.get("tables"), companions, report)
    lets = read_lets(
        top.get("let"),
        Lets(
            tables=tables,
            form=head.source.form,
            names=head.source.names,
            asked=head.source.asked,
            declared=Declared(head.versions, field_of, beyond) if head.form == "hl7v2" else ANY_VERSION,
            once=ONCE - {name for group in head.source.groups.values() for name in group.held},
        ),
        report,
    )
    emits = _read_emits(top.get("emit"), lets, tables, report, head.source)
    unused_tables(tables, top.get("tables"), report)
    unused_lets(top.get("let"), lets, report)
    # Lets that are used are in the paths of the rules that use them.
    paths = (*head.paths, *(path for emit in emits for path in emit.paths))
    ignores = read_ignores(top.get("ignore"), paths, report)
    emitted = frozenset(emit.record for emit in emits)
    tests = () if _emit_unclear(report) else read_tests(top.get("tests"), emitted, head, report)
    if report.refused:
        # What could not be read may be what uses them.
        report.drop("E250", "E251")
    report[:] = dict.fromkeys(report)
    report.sort(key=lambda problem: problem.place)
    if report.refused:
        return None, list(report)
    quick = head.form == "hl7v2"
    plan = Plan(
        name=head.name,
        version=head.version,
        owner=head.owner,
        digest=digest,
        format=head.form,
        accept=head.accept,
        versions=head.versions,
        on_no_record=head.on_no_record,
        zone=head.zone,
        records=_fields_set(emits),
        tags=_tags(emits),
        adds=_adds(emits),
        paths=paths,
        ignores=ignores,
        tests=tests,
        reads=_reads(emits, paths, head.source),
        groups=head.source.groups,
        asks=frozenset(head.source.asked),
        of_record=head.of_record,
        xml=head.xml,
        makes_message=any(not isinstance(emit, Emit) for emit in emits),
        program=_program(emits, lets, tables, head.source.groups, traced=False, quick=quick),
        traced=_program(emits, lets, tables, head.source.groups, traced=True, quick=False),
    )
    return plan, list(report)


def _read_emits(
    node: located.Node | None, lets: Lets, tables: Tables, report: Report, source: Source
) -> list[AnyEmit]:
    emits: list[AnyEmit] = []
    earlier: list[str] = []
    always: set[str] = set()
    seen: set[tuple[str, str]] = set()
    items = list_of(node, "emit", report)
    if isinstance(node, located.Sequence) and not items:
        report.add(node.place, "E204", "emit must not be empty")
    for item in items:
        emit: AnyEmit | None
        if isinstance(item, located.Mapping) and item.key("message") is not None:
            emit = read_message(item, lets, tables, report, source)
        elif isinstance(item, located.Mapping) and item.key("json") is not None:
            emit = read_json(item, lets, tables, report, source)
        else:
            emit = read_emit(item, lets, tables, earlier, report, source)
        if emit is None:
            # Its name still counts, so that references to it are no mistakes of their own.
            entry = item.get("record") if isinstance(item, located.Mapping) else None
            earlier += [entry.text] if isinstance(entry, located.Scalar) else []
            continue
        when = "" if emit.when_text is None else emit.when_text.text
        again = emit.record in always or (emit.record in earlier and not when) or (emit.record, when) in seen
        # Of documents a call may take several.
        if again and not isinstance(emit, EmitJson):
            text = f"two entries can make the same {emit.record}"
            report.add(emit.place, "E222", text, "give each a `when` that excludes the other")
        if not when:
            always.add(emit.record)
        seen.add((emit.record, when))
        earlier.append(emit.record)
        emits.append(emit)
    return emits


def _emit_unclear(report: Report) -> bool:
    """Whether it could not be told which records are made: then tests that name them prove nothing."""
    return any(problem.code in ("E210", "E211") for problem in report)


def _fields_set(emits: list[AnyEmit]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for emit in emits:
        if not isinstance(emit, Emit):
            continue
        names = frozenset(rule.name for rule in emit.all_rules) | {"key"}
        found[emit.record] = found.get(emit.record, frozenset()) | names
    return found


def _adds(emits: list[AnyEmit]) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for emit in emits:
        if isinstance(emit, Emit) and emit.adds:
            found[emit.record] = found.get(emit.record, frozenset()) | {*emit.adds}
    return found


def _tags(emits: list[AnyEmit]) -> dict[tuple[str, str], Tag]:
    found: dict[tuple[str, str], Tag] = {}
    for emit in emits:
        if not isinstance(emit, Emit):
            continue
        for rule in (emit.key, *emit.all_rules):
            at = (emit.record, rule.name)
            found[at] = max(found.get(at, rule.tag), rule.tag, key=lambda tag: tag.rank)
    return found


def _reads(emits: list[AnyEmit], paths: tuple[Path, ...], source: Source) -> Reads:
    # MSH is looked at even where no rule reads it: a second one means a second message.
    once = {"MSH"}
    by_group: dict[str, set[str]] = {}
    for emit in emits:
        if isinstance(emit, EmitMessage):
            once |= emit.segments
            for path, loops in emit.reads():
                note_passed_over(path, loops, source.groups, once, by_group)
        elif isinstance(emit, Emit):
            passed_over(emit, source.groups, once, by_group)
    names = frozenset(path.segment for path in paths) | once
    arrangement = Arrangement(source.groups) if source.groups else None
    # Of several lines of one text nothing is passed over: they are alike in all but the text.
    alike = {name: {group.anchor} for name, group in source.groups.items() if group.lines is not None}
    kept = {group: frozenset(names - alike.get(group, set())) for group, names in by_group.items()}
    return Reads(names, frozenset(once), kept, arrangement)


def _program(
    emits: list[AnyEmit], lets: Lets, tables: Tables, groups: Groups, *, traced: bool, quick: bool
) -> Program:
    slots = Slots(tables.found)
    outer: dict[str, int] = {}
    _place_lets(lets, outer, slots, groups, traced=traced)
    blocks = (_block(emit, outer, slots, groups, traced=traced, quick=quick) for emit in emits)
    return Program(tuple(blocks), slots)


def _place_lets(lets: Lets, names: dict[str, int], slots: Slots, groups: Groups, *, traced: bool) -> None:
    """Give each let a slot. They stand in an order in which each uses only those before it."""
    for name, let in lets.found.items():
        if name not in names:
            builder = Builder(slots, names, traced=traced, loops=lets.loops)
            builder.at = let.key.place
            body = builder.first_of(let.trees)
            names[name] = slots.add(body, let.trees, changes_with=let.changes_with(groups))
            slots.places[names[name]] = let.key.place


def _block(
    emit: AnyEmit, outer: dict[str, int], slots: Slots, groups: Groups, *, traced: bool, quick: bool
) -> Block | MessageBlock | JsonBlock:
    names = dict(outer)
    _place_lets(emit.lets, names, slots, groups, traced=traced)
    loops = () if isinstance(emit, EmitMessage) else emit.loops
    builder = Builder(slots, names, traced=traced, loops=loops)
    if isinstance(emit, EmitMessage):
        return _message_block(emit, builder)
    if isinstance(emit, EmitJson):
        return build_json(emit, builder)

    def step(rule: Rule) -> Step:
        return Step(rule.name, build_step(rule, emit.record, builder), rule)

    return Block(
        record=emit.record,
        validator=emit.model.__pydantic_validator__,  # type: ignore[arg-type]
        check=quick_check(emit.model, [rule.name for rule in emit.rules]),
        when=None if emit.when is None else builder.condition(emit.when, emit.place),
        key=step(emit.key),
        operation=step(emit.operation),
        steps=tuple(map(step, emit.rules)),
        ext=tuple(map(step, emit.ext)),
        adds=emit.adds,
        fail=emit.fail,
        each=emit.each,
        quick=None if traced or not quick else generated(emit, emit.lets, builder, groups),
    )


def _message_block(emit: EmitMessage, builder: Builder) -> MessageBlock:
    def steps(settings: tuple[Setting, ...], inside: Builder = builder) -> tuple[PlaceStep, ...]:
        return tuple(
            PlaceStep(
                each.named.text, each.named.place, build_step(each.rule, emit.record, inside), each.rule
            )
            for each in settings
        )

    def added(segment: NewSegment, around: Builder) -> AddedSegment:
        inside = around if segment.each is None else around.inside(segment.each)
        return AddedSegment(
            segment.name.text,
            segment.after,
            str(segment.name.place),
            None if segment.when is None else inside.condition(segment.when, segment.name.place),
            steps(segment.settings, inside),
            segment.each,
            tuple(added(each, inside) for each in segment.then),
        )

    def repeated(part: Repeated) -> RepeatedPart:
        inside = builder.inside(part.each)
        return RepeatedPart(
            part.each,
            None if part.when is None else inside.condition(part.when, part.each.place),
            steps(part.settings, inside),
            removals(part.removed),
        )

    def removals(removed: tuple[NamedPlace, ...]) -> tuple[Removal, ...]:
        return tuple(Removal(each.text, each.place, str(each.key.place)) for each in removed)

    return MessageBlock(
        copied=emit.copied,
        when=None if emit.when is None else builder.condition(emit.when, emit.place),
        steps=steps(emit.settings),
        removals=removals(emit.removed),
        added=tuple(added(each, builder) for each in emit.appended),
        repeated=tuple(map(repeated, emit.repeated)),
        codec=emit.codec,
        delimiters=emit.delimiters,
        unwritable=emit.unwritable,
        fail=emit.fail,
        rule=str(emit.place),
    )
