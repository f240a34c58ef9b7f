"""A mapping file as text: what was converted, and as a comment what was not, with its script and place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from bridge.migration.mirth.documents import Document, Spot
from bridge.migration.mirth.expressions import Expr
from bridge.migration.mirth.js_scope import Record
from bridge.migration.mirth.json_text import json_set
from bridge.migration.mirth.model import Channel, Element
from bridge.migration.mirth.outcomes import Outcome
from bridge.migration.mirth.secrets import blanked
from bridge.migration.mirth.text import comment, item, one_line, scalar, verbatim
from bridge.migration.mirth.walk import Walk

OWNER = "to-be-named"
COPY = ["  - message: hl7v2", "    from: copy"]


@dataclass(slots=True)
class Written:
    """A file under way. ``origins`` tells of a line which element it comes from, by XPath.

    ``sets`` are the places that a mapping sets, ``gone`` what it takes out, ``fixed`` the segments that it
    adds. ``rest`` stands at the end. ``reads`` is its format, ``makes`` `message`, `json`, or nothing;
    ``changes`` whether anything is in it, or is to be, beside a copy.
    """

    lines: list[str] = field(default_factory=list)
    origins: dict[int, str] = field(default_factory=dict)
    sets: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    fixed: list[str] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)
    reads: str = "hl7v2"
    makes: str = "message"
    changes: bool = True

    def add(self, *lines: str, origin: str = "") -> None:
        """Further lines."""
        for line in lines:
            self.lines.append(line)
            if origin:
                self.origins[len(self.lines)] = origin

    @property
    def text(self) -> str:
        """The whole file."""
        return "\n".join([*self.lines, *self.rest]).rstrip() + "\n"


def mapping_text(
    name: str,
    channel: Channel,
    where: str,
    walk: Walk,
    accept: Sequence[str],
    rest: Sequence[Outcome],
    notes: Iterable[str],
    source_format: str,
) -> Written:
    """A mapping file. ``rest`` are the elements that stand in it as comments."""
    file = Written()
    version = f", version {channel.version}" if channel.version else ""
    file.add(*comment(f"From the channel {channel.name!r}{version}: {where}."))
    for note in dict.fromkeys(notes):
        file.add(*comment(note))
    left = [each for each in rest if each.word == "manual"]
    if left:
        number = len(left)
        file.add(
            *comment(
                f"NOT FINISHED: {number} of its elements {'is' if number == 1 else 'are'} still to be "
                "written; each is marked TODO below."
            )
        )
    file.add(f"mapping: {name}", "version: 0.1.0", f"owner: {OWNER}", "target: canonical/1", "")
    _source(file, accept, source_format)
    _lets(file, walk)
    file.add("emit:")
    document = walk.scope.documents["tmp"]
    if isinstance(document.made, Record):
        _json(file, document.made, walk.marks.get("json"))
    elif walk.scope.json and not document.changed:
        _json_of_maps(file, walk)
    elif document.kind != "HL7V2" or (walk.lets and not document.changed and not left):
        _entries(file, walk, document)
    elif document.base == "copy":
        file.add(*COPY)
        _sets(file, walk, document)
        _removed(file, walk, document)
        _added(file, walk, document)
    else:
        file.add("  - message: hl7v2")
        _new(file, walk, document)
    file.changes = bool(left or walk.lets) or file.lines[-2:] != COPY
    todo = Written()
    for number, each in enumerate(left, start=1):
        _todo(todo, each, number, len(left))
    file.rest = todo.lines
    return file


def _source(file: Written, accept: Sequence[str], source_format: str) -> None:
    file.reads = source_format
    file.add("source:", f"  format: {source_format}")
    if source_format in ("hl7v2", "x12"):
        file.add(f"  accept: [{', '.join(map(item, accept))}]")
    file.add("")


def _json(file: Written, made: Record, element: Element | None) -> None:
    origin = "" if element is None else element.xpath
    file.makes = "json"
    file.add("  - json: object", origin=origin)
    lines = json_set(made, "      ")
    file.add("    set:" if lines else "    set: {}", *lines, origin=origin)


def _json_of_maps(file: Written, walk: Walk) -> None:
    """JSON that scripts put into a map, from where the template of a connector takes it."""
    entries = walk.scope.json
    for name in entries:
        file.add(*comment(f"The old engine had it in a map, as {one_line(name, 60)!r}.", "  "))
    if len(entries) == 1:
        ((name, made),) = entries.items()
        _json(file, made, walk.marks.get(f"json {name}"))
    else:
        _json(file, Record(dict(entries)), walk.marks.get(f"json {next(iter(entries))}"))


def _entries(file: Written, walk: Walk, document: Document) -> None:
    """Of a message that is not made anew: the entries of maps, which connectors take for what they send."""
    if document.base != "copy":
        kind = document.kind or "something else"
        file.add(*comment(f"The old engine made {kind} of it; no mapping does yet.", "    "))
    if not walk.lets or (file.reads == "hl7v2" and document.kind != "HL7V2"):
        file.makes = ""
        file.add(*COPY)
        return
    file.makes = "json"
    file.add(*comment("The entries of maps, by the names that the old engine knew them by.", "  "))
    file.add("  - json: object", "    set:")
    for each in {each.key: each for each in walk.lets}.values():
        file.add(f"      {scalar(each.key)}: {each.name}", origin=each.element.xpath)


def _lets(file: Written, walk: Walk) -> None:
    if not walk.lets:
        return
    file.add("let:")
    for each in walk.lets:
        for note in sorted(each.value.notes):
            file.add(*comment(note, "  "))
        file.add(f"  {each.name}: {scalar(each.value.text)}", origin=each.element.xpath)
    file.add("")


def _sets(file: Written, walk: Walk, document: Document) -> None:
    if document.writes:
        file.add("    set:")
    for spot, value in document.writes.items():
        _rule(file, walk, spot, value, "      ")


def _rule(file: Written, walk: Walk, spot: Spot, value: Expr, indent: str) -> None:
    element = walk.marks.get(f"set {spot.place()}")
    # Of a new segment only one is named at a time, and a test looks at the first of a name.
    place = replace(spot, segment_number=0).place()
    file.sets += [] if spot.where or spot.segment_number > 1 else [place]
    for note in sorted(value.notes):
        file.add(*comment(note, indent))
    file.add(f"{indent}{scalar(place)}: {_value(value)}", origin="" if element is None else element.xpath)


def _value(value: Expr) -> str:
    if value.constant is not None and isinstance(value.constant, str) and value.constant:
        return f"{{const: {item(value.constant)}}}"
    return "'null'" if value.text == "null" else scalar(value.text)


def _removed(file: Written, walk: Walk, document: Document) -> None:
    if not document.removed:
        return
    file.add("    remove:")
    for name in document.removed:
        element = walk.marks.get(f"remove {name}")
        file.gone.append(name)
        file.add(f"      - {scalar(name)}", origin="" if element is None else element.xpath)


def _added(file: Written, walk: Walk, document: Document) -> None:
    written = [each for each in document.in_order() if each.writes]
    if written:
        file.add("    append:")
    for each in written:
        element = walk.marks.get(f"append {each.number}")
        origin = "" if element is None else element.xpath
        file.add(f"      - segment: {each.segment}", origin=origin)
        file.fixed.append(each.segment)
        if each.after:
            file.add(f"        after: {each.after}", origin=origin)
        if each.when is not None:
            file.add(f"        when: {scalar(each.when.text)}", origin=origin)
        file.add("        set:", origin=origin)
        for spot, value in each.writes.items():
            file.sets += [] if each.when is not None else [spot.place()]
            file.add(f"          {scalar(spot.place())}: {_value(value)}", origin=origin)


def _new(file: Written, walk: Walk, document: Document) -> None:
    """A message that is made anew: its header is set, every other segment is added."""
    file.add("    from: new")
    file.add(*comment("What is fixed here stood in the outbound template.", "    "))
    header = {spot: value for spot, value in document.writes.items() if spot.segment == "MSH"}
    for number in (9, 10, 11, 12) if file.reads == "hl7v2" else ():
        if not any(spot.field == number for spot in header):
            file.add(*comment(f"MSH-{number} was not set: it is that of the message that came.", "    "))
            header[Spot("MSH", field=number, component=1)] = Expr(
                f"MSH-{number}.1", f"MSH-{number}.1", "text"
            )
    # What is set is all in segments that it has, each with the places that are set in it.
    places = {each: sorted(document.writes_of(*each)) for each in document.segments if each[0] != "MSH"}
    if empty := [name for (name, _), spots in places.items() if not spots]:
        said = f"Nothing is in {', '.join(dict.fromkeys(empty))}, which the old engine sent all the same."
        file.add(*comment(said, "    "))
    file.add("    set:")
    for spot in sorted(header):
        _rule(file, walk, spot, header[spot], "      ")
    if any(places.values()):
        file.add("    append:")
    for (name, _), spots in places.items():
        if spots:
            file.fixed.append(name)
            file.add(f"      - segment: {name}", "        set:")
        for spot in spots:
            _rule(file, walk, spot, document.writes[spot], "          ")


def _todo(file: Written, outcome: Outcome, number: int, of: int) -> None:
    element = outcome.element
    file.add(
        "",
        *comment(f"TODO {number} of {of}: {element.kind} {one_line(element.name, 80)!r} ({element.where})"),
    )
    file.add(*comment(f"  at {element.xpath}"))
    line = f" (line {outcome.line} of the script)" if outcome.line > 1 else ""
    file.add(*comment(f"  not converted: {outcome.reason}{line}"))
    shown = [
        (label, element.fields.get(key, ""))
        for label, key in (
            ("sets", "messageSegment"),
            ("variable", "variable"),
            ("from", "mapping"),
            ("default", "defaultValue"),
            ("field", "field"),
            ("condition", "condition"),
            ("script file", "scriptPath"),
            ("target", "target"),
        )
    ]
    for label, text in shown:
        if text.strip():
            file.add(*comment(f"  {label}: {one_line(blanked(text), 300)}"))
    if element.values:
        file.add(*comment(f"  values: {one_line(blanked(', '.join(element.values)), 300)}"))
    script = element.script or element.fields.get("template", "")
    if script.strip():
        file.add("#   as it was:", *verbatim(blanked(script)))
    file.add(
        *comment("  Once it is written, this test says whether it does what it did; it fails until then:")
    )
    what = one_line(element.name or element.kind, 60).replace('"', "'")
    file.add(
        "# tests:",
        f'#   - name: "{what}: as the old engine does it"',
        "#     input: |",
        "#       MSH|^~\\&|a message that came to the old engine",
    )
    file.add('#     expect: {message: {PID-5.1: "what the old engine made of it"}, issues: []}')
