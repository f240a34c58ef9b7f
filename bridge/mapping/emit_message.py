"""One entry of `emit:` that makes a message: what it is made from, and what is set, taken out and added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, cast

from bridge.canonical.base import FieldType, Tag
from bridge.formats.hl7v2 import Delimiters
from bridge.formats.hl7v2_delimiters import STANDARD, declared_delimiters
from bridge.formats.hl7v2_write import Unwritable, charset_written
from bridge.located import Mapping, Node, Place, Scalar
from bridge.mapping.document import Entries, Report, list_of, open_mapping, text_of, texts_of, word_of
from bridge.mapping.each import Each, Source, read_each
from bridge.mapping.lets import Lets, read_lets, unused_lets
from bridge.mapping.message_block import MESSAGE
from bridge.mapping.places import NamedPlace, known, overlapping, place_to_remove, place_to_set
from bridge.mapping.rules import Around, Rule, read_rule
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.tables import Tables
from bridge.mapping.when import read_when

KEYS: Final = (
    "message",
    "from",
    "when",
    "let",
    "set",
    "remove",
    "append",
    "repeat",
    "charset",
    "delimiters",
    "unwritable",
    "on_reject",
)
APPEND_KEYS: Final = ("segment", "after", "for_each", "when", "set", "then")
REPEAT_KEYS: Final = ("for_each", "when", "set", "remove")
_THEN_MAX_LEVELS: Final = 8
SOURCES: Final = ("copy", "new")
UNWRITABLE: Final = ("reject", "escape", "replace")
_FORMATS_LATER: Final = ("x12", "edifact", "fixed", "delimited", "json", "xml")
_LEAF: Final = FieldType("text", False, Tag.PHI, "A place of a message.")
_OF_RECORDS: Final = {
    "record": "write the record as another entry",
    "key": "order is kept by `order_by` of the channel",
    "operation": "a message says itself what it asks for",
}
_EVERY_MESSAGE_HAS: Final = (9, 10, 11, 12)


@dataclass(frozen=True, slots=True)
class Setting:
    """A place, and the rule that says what comes there."""

    named: NamedPlace
    rule: Rule


Reading = tuple[Path, tuple[Each, ...]]
"""A path, and the `for_each` that it is read in."""


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment that is added; with ``each`` one for each of what that names. ``then`` stand behind it."""

    name: Scalar
    after: str | None
    when: Expression | None
    when_paths: tuple[Path, ...]
    settings: tuple[Setting, ...]
    each: Each | None = None
    then: tuple[NewSegment, ...] = ()

    def reads(self, loops: tuple[Each, ...] = ()) -> Iterator[Reading]:
        """Every path that is read for it."""
        yield from _reads(self.each, self.when_paths, self.settings, loops)
        inner = loops if self.each is None else (*loops, self.each)
        for segment in self.then:
            yield from segment.reads(inner)


@dataclass(frozen=True, slots=True)
class Repeated:
    """What is set and taken out in each of what ``each`` names: segments, instances or repetitions."""

    each: Each
    when: Expression | None
    when_paths: tuple[Path, ...]
    settings: tuple[Setting, ...]
    removed: tuple[NamedPlace, ...]

    def reads(self) -> Iterator[Reading]:
        """Every path that is read for it."""
        return _reads(self.each, self.when_paths, self.settings, ())


def _reads(
    each: Each | None, when: tuple[Path, ...], settings: tuple[Setting, ...], loops: tuple[Each, ...]
) -> Iterator[Reading]:
    if each is not None:
        yield from ((path, loops) for path in (each.once,) if path is not None)
        loops = (*loops, each)
    yield from ((path, loops) for path in when)
    yield from ((path, loops) for setting in settings for path in setting.rule.all_paths)


@dataclass(frozen=True, slots=True)
class EmitMessage:
    """One checked entry. ``codec`` and ``delimiters`` are None where they are the message's own."""

    place: Place
    copied: bool
    when: Expression | None
    when_text: Scalar | None
    when_paths: tuple[Path, ...]
    settings: tuple[Setting, ...]
    removed: tuple[NamedPlace, ...]
    appended: tuple[NewSegment, ...]
    repeated: tuple[Repeated, ...]
    codec: str | None
    delimiters: Delimiters | None
    unwritable: Unwritable
    fail: bool
    lets: Lets

    @property
    def record(self) -> str:
        """What stands in the place of a record's name."""
        return MESSAGE

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that the entry reads."""
        return tuple(path for path, _ in self.reads())

    def reads(self) -> Iterator[Reading]:
        """Every path that the entry reads, and where."""
        yield from _reads(None, self.when_paths, self.settings, ())
        for segment in self.appended:
            yield from segment.reads()
        for part in self.repeated:
            yield from part.reads()

    @property
    def segments(self) -> frozenset[str]:
        """The segments of which the first is set."""
        return frozenset(each.named.place.segment for each in self.settings) if self.copied else frozenset()


def read_message(
    node: Mapping, outer: Lets, tables: Tables, report: Report, source_of: Source
) -> EmitMessage | None:
    """One entry; None where it cannot be told what it makes."""
    key = node.key("message")
    assert key is not None
    for name, hint in _OF_RECORDS.items():
        if (odd := node.key(name)) is not None:
            report.add(odd.place, "E224", f"an entry that makes a message has no `{name}`", hint)
    node = Mapping(tuple(each for each in node.entries if each[0].text not in _OF_RECORDS), node.place)
    entries = open_mapping(node, "a message of emit", KEYS, report, required=("from",))
    if entries is None:
        return None
    word_of(entries.get("message"), "message", ("hl7v2",), report, later=_FORMATS_LATER)
    source = word_of(entries.get("from"), "from", SOURCES, report)
    if source == "copy" and source_of.form != "hl7v2":
        said = f"a copy is of a message of HL7 v2 that came, not of {source_of.form}"
        report.add(entries["from"].place, "E224", said, "from: new")
        return None
    lets = read_lets(entries.get("let"), outer, report)
    around = Around(MESSAGE, lets, tables, (), source_of)
    when_text, when, when_paths = read_when(entries.get("when"), lets, report)
    settings = _settings(entries.get("set"), around, report)
    removed = _removed(entries, source, report)
    appended = tuple(
        found
        for each in list_of(entries.get("append"), "append", report)
        if (found := _appended(each, around, report)) is not None
    )
    parts = [
        _repeated(each, around, source, report) for each in list_of(entries.get("repeat"), "repeat", report)
    ]
    repeated = tuple(each for each in parts if each is not None)
    codec = _codec(entries, source, report)
    delimiters = _delimiters(entries, source, report)
    unwritable = word_of(entries.get("unwritable"), "unwritable", UNWRITABLE, report) or "reject"
    fail = word_of(entries.get("on_reject"), "on_reject", ("skip", "fail_message"), report) == "fail_message"
    everywhere = [place for each in repeated for place in each.removed]
    _once((*settings, *(one for each in repeated for one in each.settings)), (*removed, *everywhere), report)
    if "charset" in entries:
        for each in settings:
            if each.named.place.segment == "MSH" and each.named.place.field == 18:
                said = "MSH-18 says the character set, which `charset` gives"
                report.add(each.named.key.place, "E222", said, "delete one of the two")
    if source == "new":
        _has_a_head(entries.get("set") or node, settings, report)
    unused_lets(entries.get("let"), lets, report)
    if source is None:
        return None
    return EmitMessage(
        key.place,
        source == "copy",
        when,
        when_text,
        when_paths,
        settings,
        removed,
        appended,
        repeated,
        codec,
        delimiters,
        cast(Unwritable, unwritable),
        fail,
        lets,
    )


def _settings(node: Node | None, around: Around, report: Report) -> tuple[Setting, ...]:
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "set must be a mapping from places to expressions", "PID-5.1: ...")
        return ()
    found: list[Setting] = []
    for key, value in node.entries:
        named = place_to_set(key, report)
        rule = read_rule(key, value, _LEAF, around, report)
        if named is not None and rule is not None:
            found.append(Setting(named, rule))
    return tuple(found)


def _removed(entries: Entries, source: str | None, report: Report) -> tuple[NamedPlace, ...]:
    node = entries.get("remove")
    if node is not None and source == "new":
        report.add(node.place, "E224", "a new message has nothing to take out", "leave `remove` out")
        return ()
    found = [
        place_to_remove(each, report) for each in ([] if node is None else texts_of(node, "remove", report))
    ]
    return tuple(each for each in found if each is not None)


def _appended(node: Node, around: Around, report: Report, level: int = 1) -> NewSegment | None:
    keys = APPEND_KEYS if level == 1 else tuple(key for key in APPEND_KEYS if key != "after")
    entries = open_mapping(node, "a new segment", keys, report, required=("segment", "set"))
    if entries is None:
        return None
    if level > _THEN_MAX_LEVELS:
        report.add(node.place, "E103", f"`then` stands inside of `then` more than {_THEN_MAX_LEVELS} times")
        return None
    each = None
    if "for_each" in entries:
        each = read_each(entries["for_each"], around.source, "append", report, loops=around.loops)
        if each is None:
            return None
        around = around.inside(MESSAGE, each)
    name = text_of(entries.get("segment"), "segment", report)
    after = text_of(entries.get("after"), "after", report)
    if after is not None and not known(after.text, after, report):
        after = None
    _, when, when_paths = read_when(entries.get("when"), around.lets, report, loops=around.loops)
    settings = _settings(entries.get("set"), around, report)
    _once(settings, (), report)
    then = tuple(
        found
        for inner in list_of(entries.get("then"), "then", report)
        if (found := _appended(inner, around, report, level + 1)) is not None
    )
    if name is None or not known(name.text, name, report):
        return None
    if name.text == "MSH":
        report.add(name.place, "E291", "MSH is the head of a message, and stands in it once")
        return None
    for named in (setting.named for setting in settings):
        if named.place.segment != name.text or not isinstance(named.place.repetition, int):
            hint = f"as in {name.text}-1, {name.text}-2.1"
            report.add(named.key.place, "E290", f"{named.text} is no place of a new {name.text}", hint)
    return NewSegment(name, None if after is None else after.text, when, when_paths, settings, each, then)


def _repeated(node: Node, around: Around, source: str | None, report: Report) -> Repeated | None:
    if source == "new":
        hint = "`append` takes `for_each`: a segment for each"
        report.add(node.place, "E224", "a new message has nothing yet that could be gone through", hint)
        return None
    entries = open_mapping(node, "an entry of repeat", REPEAT_KEYS, report, required=("for_each",))
    if entries is None or "for_each" not in entries:
        return None
    each = read_each(entries["for_each"], around.source, "repeat", report, loops=around.loops)
    if each is None:
        return None
    one_of_several = "(" in each.text.partition("-")[0]
    if each.kind not in ("group", "segment", "repetition") or each.last or one_of_several:
        hint = "a group of `source.groups`, a segment, or a field with repetitions"
        report.add(each.place, "E233", "repeat changes segments and repetitions of the message", hint)
        return None
    inner = around.inside(MESSAGE, each)
    _, when, when_paths = read_when(entries.get("when"), inner.lets, report, loops=inner.loops)
    settings = _settings(entries.get("set"), inner, report)
    removed = _removed(entries, source, report)
    if not settings and not removed:
        report.add(node.place, "E203", "an entry of repeat needs `set` or `remove`")
    for named in (*(setting.named for setting in settings), *removed):
        if not _is_within(named, each):
            said = f"{named.text} is not in what is gone through, {each.text}"
            report.add(named.key.place, "E290", said, "other places stand in `set` and `remove` of the entry")
    return Repeated(each, when, when_paths, settings, removed)


def _is_within(named: NamedPlace, each: Each) -> bool:
    """Whether a place is one of what is gone through, as far as the file can tell."""
    place = named.place
    if each.kind == "repetition":
        return f"{place.segment}-{place.field}" == each.current_of and place.repetition in (1, None)
    return each.kind == "group" or place.segment == each.name


def _codec(entries: Entries, source: str | None, report: Report) -> str | None:
    text = text_of(entries.get("charset"), "charset", report)
    if text is None:
        return "utf-8" if source == "new" else None
    codec = charset_written(text.text)
    if codec is None:
        hint = "ascii, utf-8, iso-8859-1 to -16 or windows-1250 to -1258"
        report.add(text.place, "E294", f"messages are not written in {text.text[:40]!r}", hint)
    return codec


def _delimiters(entries: Entries, source: str | None, report: Report) -> Delimiters | None:
    text = text_of(entries.get("delimiters"), "delimiters", report)
    if text is None:
        return STANDARD if source == "new" else None
    found = declared_delimiters(text.text[:1], text.text[1:]) if len(text.text) in (5, 6) else None
    if found is None or (len(text.text) == 6) != (found.truncation is not None):
        hint = "MSH-1 and MSH-2, five different signs: '|^~\\&'"
        report.add(text.place, "E294", "these delimiters cannot part a message", hint)
        return None
    return found


def _once(settings: tuple[Setting, ...], removed: tuple[NamedPlace, ...], report: Report) -> None:
    seen: list[NamedPlace] = []
    for each in (*(setting.named for setting in settings), *removed):
        if (other := next((one for one in seen if overlapping(one.place, each.place)), None)) is not None:
            said = f"{each.text} and {other.text} in line {other.key.place.line} are about one place"
            report.add(each.key.place, "E222", said, "delete one of the two")
        seen.append(each)


def _has_a_head(node: Node, settings: tuple[Setting, ...], report: Report) -> None:
    given = {each.named.place.field for each in settings if each.named.place.segment == "MSH"}
    missing = [f"MSH-{number}" for number in _EVERY_MESSAGE_HAS if number not in given]
    if missing:
        hint = "as in MSH-10: MSH-10, which keeps what a repeat is known by"
        report.add(node.place, "E293", f"a new message needs {', '.join(missing)}", hint)
