"""Where python-hl7 and our reader give other values for the same bytes, and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import hl7

import bridge.formats.hl7v2_tree  # noqa: F401 - it keeps python-hl7 from logging values
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_leaves import leaves, text_of

_TABLE: Final = r"""
bytes-around | bytes of a frame, or a byte order mark, around the message | refuses it, or reads them | reads what is between
line-ends | LF, CRLF, or several ways of ending a segment | one segment, or names that begin with LF | the segments
blank-lines | blank lines | segments without a name | no segments; the bytes are kept
encoding-characters | MSH-2 short, empty, long, with `#`, or with nothing behind it | refuses it, or parts elsewhere | the standard's for what is missing
blanks-at-the-end | blanks at the end of the message | cut off | kept: they may be data
names | a blank after a segment's name | a segment of another name | the segment; the blank is kept
refused-by-us | delimiters that are not five; nothing but MSH | splits at what it finds | refuses it and says why
null | the HL7 null `""` | two quotation marks, as text | NULL, told from text, also for what is below
escape .br | `\.br\` | a carriage return | a line feed
escape highlight | `\H\`, `\N\` | `_` | kept as typed
escape formatting | `\.sp2\`, `\.ce\` and others | blanks or carriage returns | kept as typed
escape local | `\Z01\`, `\C2842\`, `\M..\` | deleted | kept as typed
escape hexadecimal | `\XC3A9\`, UTF-8 in hexadecimal digits | a character for each byte | the characters that the bytes are
escape truncation | `\P\` with `#` in MSH-2 | deleted | the sign
escape unknown | `\QQ\`, `C:\MIME\file` | deleted, with the text in it | kept as typed
escape unpaired | `50\`, `\E\R\` | what follows is lost, or the sign is | kept as typed
"""  # noqa: E501 - rows of a table
EXPLAINED: Final[dict[str, tuple[str, str, str]]] = {
    cells[0]: (cells[1], cells[2], cells[3])
    for cells in (line.split(" | ") for line in _TABLE.strip().splitlines())
}
"""Each kind: what is sent, what python-hl7 makes of it, and what we make of it."""

Place = tuple[int, int, int, int, int]
"""Segment (from 0), field, repetition, component, subcomponent."""
_STANDARD: Final = ("F", "S", "T", "R", "E")


def differences(body: bytes) -> tuple[Counter[str], list[str]]:
    """The kinds of difference in one message, how often each; and what no kind explains."""
    message = Hl7Message.read(body)
    text = body.decode(message.encoding, "replace")
    if message.refused is not None:
        theirs, _ = _tree(text)
        return Counter(["refused-by-us"] if theirs else []), []
    ours = _our_raw(message)
    kinds: Counter[str] = Counter()
    tree, refused = None, ""
    for kind, stage in _stages(message, text):
        tree, refused = _tree(stage)
        if kind:
            kinds[kind] += 1
        if tree is not None and _same(tree, ours):
            return kinds + _values(message, hl7.parse(stage)), []
    places = sorted(set(ours.items()) ^ set((tree or {}).items()))[:3]
    return kinds, [f"structure: {refused} {places}"]


def _stages(message: Hl7Message, text: str) -> Iterator[tuple[str, str]]:
    """The text as it came, then with one thing after another put right; only what changes it is a stage."""
    parts = message.parts()
    lines = [line for _, line, _ in parts.lines]
    as_it_came = "".join(line + end for _, line, end in parts.lines)
    before = text
    yield "", before
    named = [line for line in lines if line.strip()]
    delimiters = message.delimiters
    signs = (delimiters.component, delimiters.repetition, delimiters.escape, delimiters.subcomponent)
    # Where nothing stands behind MSH-2, python-hl7 takes the next segment's name for delimiters too.
    rest = named[0][4 + len(message.segments[0].field(2)) :] or delimiters.field
    header = named[0][:4] + "".join(signs) + rest
    whole = [header, *named[1:]]
    bare = [_bare_name(line, delimiters.field) for line in whole]
    for kind, after in (
        ("bytes-around", as_it_came),
        ("line-ends", "\r".join(lines) + "\r"),
        ("blank-lines", "\r".join(named) + "\r"),
        ("encoding-characters", "\r".join(whole) + "\r"),
        ("names", "\r".join(bare) + "\r"),
        ("blanks-at-the-end", "\r".join(bare) + f"\rZZZ{delimiters.field}1"),
    ):
        if after.strip() != before.strip() or kind == "blanks-at-the-end":
            yield kind, after
        before = after


def _bare_name(line: str, separator: str) -> str:
    name, found, rest = line.partition(separator)
    return name.strip() + found + rest


def _same(theirs: dict[Place, str], ours: dict[Place, str]) -> bool:
    """But for a segment that was put behind the last one."""
    segments = max((place[0] for place in ours), default=0)
    return {place: raw for place, raw in theirs.items() if place[0] <= segments or place in ours} == ours


def _our_raw(message: Hl7Message) -> dict[Place, str]:
    """The names of segments as field 0, and each leaf as it was sent."""
    found: dict[Place, str] = {(segment.index, 0, 1, 1, 1): segment.name for segment in message.segments}
    for leaf in leaves(message):
        if leaf.segment in ("MSH", "BHS", "FHS") and leaf.field in (1, 2):
            continue
        if leaf.field:
            segment = message.segments[leaf.index]
            raw = segment.repetitions(leaf.field)[leaf.repetition - 1].split(message.delimiters.component)
            part = raw[leaf.component - 1].split(message.delimiters.subcomponent)[leaf.subcomponent - 1]
            found[leaf.index, leaf.field, leaf.repetition, leaf.component, leaf.subcomponent] = part
    return found


def _tree(text: str) -> tuple[dict[Place, str] | None, str]:
    try:
        parsed = hl7.parse(text)
    except (hl7.HL7Exception, AssertionError, LookupError, ValueError) as error:
        return None, type(error).__name__
    return dict(_their_leaves(parsed)), ""


def _their_leaves(parsed: Any) -> Iterator[tuple[Place, str]]:
    for index, segment in enumerate(parsed):
        name = str(segment[0])
        yield (index, 0, 1, 1, 1), name
        for number in range(1, len(segment)):
            if name in ("MSH", "BHS", "FHS") and number <= 2:
                continue
            for repetition, each in enumerate(_parts(segment[number]), 1):
                for component, part in enumerate(_parts(each), 1):
                    for subcomponent, leaf in enumerate(_parts(part), 1):
                        if str(leaf):
                            yield (index, number, repetition, component, subcomponent), str(leaf)


def _parts(node: Any) -> list[Any]:
    return list(node) if isinstance(node, hl7.Container) else [node]


def _values(message: Hl7Message, parsed: Any) -> Counter[str]:
    """What is said otherwise where the structure is the same: nulls and escapes."""
    kinds: Counter[str] = Counter()
    theirs = dict(_their_leaves(parsed))
    for leaf in leaves(message):
        at = (leaf.index, leaf.field, leaf.repetition, leaf.component, leaf.subcomponent)
        if at not in theirs or not leaf.field:
            continue
        raw, mine = theirs[at], text_of(message, leaf)
        try:
            other: str | None = parsed.unescape(raw)
        except ValueError:
            other = None
        if raw == '""':
            kinds["null"] += 1
        elif mine != other:
            kinds[escape_kind(raw, message.delimiters.escape)] += 1
    return kinds


_KINDS: Final[tuple[tuple[str, Callable[[str], bool]], ...]] = (
    ("escape .br", lambda inner: inner == ".br"),
    ("escape highlight", lambda inner: inner in ("H", "N")),
    ("escape formatting", lambda inner: re.fullmatch(r"\.[a-z]{2}[ +-]?\d*", inner) is not None),
    ("escape local", lambda inner: re.fullmatch(r"[CMZ][0-9A-Za-z]*", inner) is not None),
    ("escape hexadecimal", lambda inner: re.fullmatch(r"X[0-9A-Fa-f]*", inner) is not None),
    ("escape truncation", lambda inner: inner == "P"),
)


def page_table() -> str:
    """The kinds, as a Markdown table."""
    head = ["| what is sent | python-hl7 | the bridge |", "|---|---|---|"]
    escaped = ([cell.replace("|", "\\|") for cell in cells] for cells in EXPLAINED.values())
    return "\n".join([*head, *(f"| {' | '.join(cells)} |" for cells in escaped)])


def escape_kind(raw: str, mark: str) -> str:
    """Which escape of a value makes the difference; one that has only the standard's five has none."""
    pieces = raw.split(mark)
    if len(pieces) == 1:
        return "unexplained: no escape in it"
    if len(pieces) % 2 == 0:
        return "escape unpaired"
    for inner in pieces[1::2]:
        for kind, is_of in _KINDS:
            if is_of(inner):
                return kind
        if inner not in _STANDARD:
            return "escape unknown"
    return "unexplained: the standard's escapes"
