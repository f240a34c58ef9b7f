"""COBOL copybooks as layouts: where each field of a record stands, and how its bytes are read. Pure.

What is taken: levels, PIC of X, A, 9, S, V and P and edited pictures, USAGE DISPLAY, COMP (COMP-4, COMP-5,
BINARY) and COMP-3 (PACKED-DECIMAL), SIGN, OCCURS with a count or, at the end of a record, DEPENDING ON, and
REDEFINES. Levels 66 and 88, FILLER and VALUE name no bytes of their own. What is not taken (COPY, COMP-1,
SYNC) is refused with its line: a layout that is nearly right reads every field after it wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from bridge.units import size_text

Usage = Literal["display", "binary", "packed", "edited"]

FIELDS_MAX_COUNT: Final = 5_000
DIGITS_MAX: Final = 38
RECORD_MAX_BYTES: Final = 32_768
_WORD: Final = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s']+?(?=\.?(?:\s|$))|\.(?=\s|$)")
_NAME: Final = re.compile(r"[A-Z0-9](?:[A-Z0-9_-]*[A-Z0-9])?")
_REPEATED: Final = re.compile(r"([A-Z0-9.,+$*/-])\((\d{1,5})\)")
_PICTURE: Final = re.compile(r"[AX9SVPZB0/,.+$*CRD-]+")
_USAGES: Final[dict[str, Usage]] = {
    "DISPLAY": "display",
    "COMP": "binary", "COMPUTATIONAL": "binary", "COMP-4": "binary", "COMPUTATIONAL-4": "binary",
    "COMP-5": "binary", "COMPUTATIONAL-5": "binary", "BINARY": "binary",
    "COMP-3": "packed", "COMPUTATIONAL-3": "packed", "PACKED-DECIMAL": "packed",
}  # fmt: skip
_NOT_TAKEN: Final = {
    "COPY": "write out what COPY brings in",
    "REPLACE": "write out what REPLACE makes",
    "SYNC": "write the bytes that SYNC leaves free as FILLER",
    "SYNCHRONIZED": "write the bytes that SYNCHRONIZED leaves free as FILLER",
    "COMP-1": "a binary fraction is no exact number", "COMP-2": "a binary fraction is no exact number",
    "COMPUTATIONAL-1": "a binary fraction is no exact number",
    "COMPUTATIONAL-2": "a binary fraction is no exact number",
    "COMP-6": "write COMP-3, or send COMP-3", "POINTER": "a pointer means nothing elsewhere",
    "INDEX": "an index means nothing elsewhere", "NATIONAL": "UTF-16 fields are not read",
}  # fmt: skip
_TAKES: Final = {
    "PIC": "picture", "PICTURE": "picture", "REDEFINES": "redefines", "OCCURS": "times", "TO": "times",
    "DEPENDING": "counted_by",
}  # fmt: skip
"""Words of which the next one says something."""
_SAYS_NO_BYTES: Final = frozenset({"VALUE", "VALUES", "ASCENDING", "DESCENDING", "INDEXED", "KEY"})
"""What follows these is nothing of places."""
_IDLE: Final = frozenset(
    {
        "SIGN", "IS", "USAGE", "TIMES", "CHARACTER", "RIGHT", "JUST", "JUSTIFIED", "BLANK", "WHEN", "ZERO",
        "ZEROS", "ZEROES",
    }
)  # fmt: skip
_BINARY_BYTES: Final = ((4, 2), (9, 4), (18, 8))
"""Digits up to which so many bytes are taken (COBOL's usual rule)."""


class CopybookRefused(ValueError):
    """A copybook that is none, or says what is not taken. The text names the line."""


@dataclass(frozen=True, slots=True)
class CopybookField:
    """One field of a record: its place, and how its bytes are read.

    ``decimals`` of its digits stand behind the decimal point; below 0, so many zeros follow them.
    ``redefines`` tells that other fields have the same bytes, of which only one may be meant.
    ``counted_by`` names the field that says how many there are, and ``occurrence`` which one this is.
    ``sign`` is trailing or leading, and separate where it has a byte of its own.
    """

    name: str
    start: int
    size: int
    usage: Usage = "display"
    numeric: bool = False
    digits: int = 0
    decimals: int = 0
    signed: bool = False
    sign: str = "trailing"
    redefines: bool = False
    counted_by: str = ""
    occurrence: int = 0

    @property
    def binary(self) -> bool:
        """Whether its bytes are no text."""
        return self.usage in ("binary", "packed")


@dataclass(slots=True)
class _Item:
    level: int
    name: str
    line: int
    picture: str = ""
    usage: Usage | None = None
    sign: str = ""
    times: int = 1
    counted_by: str = ""
    redefines: str = ""
    inside: list[_Item] = field(default_factory=list)
    start: int = 0
    size: int = 0


def read_copybook(text: str, record: str = "") -> tuple[CopybookField, ...]:
    """The fields of a record, in the order of its bytes. Raises CopybookRefused.

    ``record`` names one of several records (levels 01) that the text declares. A name becomes small letters
    with `_`, and an occurrence has its number behind it.

    >>> fields = read_copybook("01 R. 05 ACCT-NO PIC X(4). 05 AMT PIC S9(5)V99 COMP-3.")
    >>> [(each.name, each.start, each.size) for each in fields]
    [('acct_no', 0, 4), ('amt', 4, 4)]
    """
    records = _tree(list(_items(text)))
    wanted = [each for each in records if not record or each.name == record.upper()]
    if record and not wanted:
        raise CopybookRefused(f"no record {record.upper()} is declared at level 01")
    if len(wanted) > 1:
        names = ", ".join(each.name for each in wanted)
        raise CopybookRefused(f"several records are declared: say with `record` which one of {names}")
    if not wanted:
        raise CopybookRefused("nothing is declared: expected levels with names, as in `01 CHARGE.`")
    [top] = wanted
    _measure(top, None)
    if top.size > RECORD_MAX_BYTES:
        raise CopybookRefused(f"the record is longer than {size_text(RECORD_MAX_BYTES)}")
    found: list[CopybookField] = []
    _collect(top, 0, "", redefines=False, into=found, counted=("", 0))
    names_seen: set[str] = set()
    for each in found:
        if each.name in names_seen:
            raise CopybookRefused(f"two fields of the record are called {each.name}")
        names_seen.add(each.name)
    for each in found:
        if each.counted_by and each.counted_by not in names_seen:
            raise CopybookRefused(f"DEPENDING ON names {each.counted_by}, which the record does not have")
    return tuple(found)


def length_of(fields: Sequence[CopybookField]) -> int:
    """How long a record is, as far as its named fields reach."""
    return max((each.start + each.size for each in fields), default=0)


# Text to items.


def _sentences(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each sentence as words, with the line at which it begins."""
    words: list[str] = []
    began = 0
    for number, line in enumerate(text.splitlines(), 1):
        area = line.expandtabs()
        if re.match(r"(?:[0-9]{6}| {6})[ */D-]", area):
            if area[6] in "*/":
                continue
            area = area[7:72]
        if area.lstrip().startswith("*"):
            continue
        for word in _WORD.findall(area.partition("*>")[0].replace(";", " ").replace(", ", "  ").upper()):
            bare = word if word == "." or word[0] in "'\"" else word.rstrip(".")
            if bare and bare != ".":
                began = began or number
                words.append(bare)
            if (word == "." or (word[0] not in "'\"" and word.endswith("."))) and words:
                yield began, words
                words, began = [], 0
        if words and area.rstrip().endswith("."):
            yield began, words
            words, began = [], 0
    if words:
        raise CopybookRefused(f"line {began}: a sentence has no full stop at its end")


def _items(text: str) -> Iterator[_Item]:
    count = 0
    for line, words in _sentences(text):
        if not re.fullmatch(r"\d{1,2}", words[0]):
            reason = _NOT_TAKEN.get(words[0], "expected a level, as in 05")
            raise CopybookRefused(f"line {line}: {words[0]}: {reason}")
        level = int(words[0])
        if level in (66, 88):
            continue
        count += 1
        if count > FIELDS_MAX_COUNT:
            raise CopybookRefused(f"more than {FIELDS_MAX_COUNT} items are declared")
        yield _item(1 if level == 77 else level, line, words[1:])


def _item(level: int, line: int, words: list[str]) -> _Item:
    unnamed = not words or words[0] in ("PIC", "PICTURE", "REDEFINES", "OCCURS", "USAGE", *_USAGES)
    item = _Item(level, "FILLER" if unnamed else words[0], line)
    if not _NAME.fullmatch(item.name):
        raise CopybookRefused(f"line {line}: {item.name} is no name")
    rest = iter(words if unnamed else words[1:])
    for word in rest:
        if word in _SAYS_NO_BYTES:
            break
        if (takes := _TAKES.get(word)) is not None:
            said = _following(rest, line, word)
            setattr(item, takes, _number(said, line) if takes == "times" else said)
        elif word in ("LEADING", "TRAILING"):
            item.sign = word.lower()
        elif word == "SEPARATE":
            item.sign = f"{item.sign or 'trailing'} separate"
        elif word in _USAGES:
            item.usage = _USAGES[word]
        elif word not in _IDLE:
            raise CopybookRefused(
                f"line {line}: {word}: {_NOT_TAKEN.get(word, 'this word is not known here')}"
            )
    # USAGE may stand behind VALUE.
    item.usage = item.usage or next((_USAGES[word] for word in rest if word in _USAGES), None)
    return item


def _following(rest: Iterator[str], line: int, word: str) -> str:
    found = next(rest, "")
    if found in ("IS", "ON"):
        found = next(rest, "")
    if not found:
        raise CopybookRefused(f"line {line}: nothing follows {word}")
    return found


def _number(text: str, line: int) -> int:
    if not re.fullmatch(r"\d{1,5}", text) or not 0 <= int(text) <= FIELDS_MAX_COUNT:
        raise CopybookRefused(f"line {line}: expected how often, up to {FIELDS_MAX_COUNT}")
    return int(text)


# Items to places.


def _tree(items: list[_Item]) -> list[_Item]:
    """Items inside those of a lower level. Without level 01 all are fields of one record."""
    if items and items[0].level != 1:
        items = [_Item(0, "RECORD", items[0].line), *items]
    tops: list[_Item] = []
    open_: list[_Item] = []
    for item in items:
        while open_ and open_[-1].level >= item.level:
            open_.pop()
        if open_:
            if open_[-1].picture:
                raise CopybookRefused(f"line {item.line}: {item.name} stands inside a field that has a PIC")
            open_[-1].inside.append(item)
        else:
            tops.append(item)
        open_.append(item)
    return tops


def _measure(item: _Item, usage: Usage | None) -> None:
    """Say how long an item is, once, and where those inside it begin, from its own beginning."""
    item.usage = item.usage or usage
    if not item.inside:
        item.size = _shape(item).size
        return
    at = 0
    counted = ""
    begins: dict[str, int] = {}
    for each in item.inside:
        _measure(each, item.usage)
        if each.redefines:
            if each.redefines not in begins:
                raise CopybookRefused(f"line {each.line}: REDEFINES {each.redefines}, which is not before it")
            each.start = begins[each.redefines]
        else:
            if counted:
                text = "the place of what follows OCCURS DEPENDING ON moves"
                raise CopybookRefused(f"line {each.line}: {each.name}: {text}")
            each.start = at
        begins[each.name] = each.start
        at = max(at, each.start + each.size * each.times)
        counted = counted or each.counted_by
    item.size = at


def _shape(item: _Item) -> CopybookField:
    """An elementary item as a field at the beginning of nothing."""
    if not item.picture:
        raise CopybookRefused(f"line {item.line}: {item.name} has no PIC, and nothing stands inside it")
    picture = _REPEATED.sub(lambda found: found[1] * min(int(found[2]), RECORD_MAX_BYTES + 1), item.picture)
    if not _PICTURE.fullmatch(picture) or len(picture) > RECORD_MAX_BYTES:
        raise CopybookRefused(f"line {item.line}: {item.picture} is no PIC that can be read")
    picture = picture.replace("VP", "P")  # P before digits says where the point is
    if set(picture) <= set("AX9") and not set(picture) <= {"9"}:
        return CopybookField(item.name, 0, len(picture))
    if not re.fullmatch(r"S?P*9*(?:V9*)?P*", picture) or "9" not in picture:
        size = len(picture.replace("V", "").replace("P", ""))
        return CopybookField(item.name, 0, size, "edited")
    digits = picture.count("9")
    if digits > DIGITS_MAX:
        raise CopybookRefused(f"line {item.line}: more than {DIGITS_MAX} digits")
    decimals = picture.partition("V")[2].count("9")
    if "P" in picture:
        leading = picture.removeprefix("S").startswith("P")
        decimals = digits + picture.count("P") if leading else -picture.count("P")
    signed, usage = picture.startswith("S"), item.usage or "display"
    sizes = {"packed": digits // 2 + 1, "display": digits + item.sign.endswith("separate")}
    size = sizes.get(usage) or next((size for most, size in _BINARY_BYTES if digits <= most), 0)
    if not size:
        raise CopybookRefused(f"line {item.line}: {item.name} has more digits than a binary number may")
    sign = item.sign or "trailing"
    return CopybookField(item.name, 0, size, usage, True, digits, decimals, signed, sign)


def _collect(
    item: _Item,
    at: int,
    suffix: str,
    *,
    redefines: bool,
    into: list[CopybookField],
    counted: tuple[str, int],
) -> None:
    redefines = redefines or bool(item.redefines)
    for number in range(1, item.times + 1):
        named = f"{suffix}_{number}" if item.times > 1 or item.counted_by else suffix
        here = at + (number - 1) * item.size
        by = (field_name(item.counted_by), number) if item.counted_by else counted
        shared = {each.redefines for each in item.inside if each.redefines}
        for each in item.inside:
            _collect(
                each,
                here + each.start,
                named,
                redefines=redefines or each.name in shared,
                into=into,
                counted=by,
            )
        if not item.inside and item.name != "FILLER":
            if len(into) >= FIELDS_MAX_COUNT:
                raise CopybookRefused(f"the record has more than {FIELDS_MAX_COUNT} fields")
            into.append(
                replace(
                    _shape(item),
                    name=field_name(item.name) + named,
                    start=here,
                    redefines=redefines,
                    counted_by=by[0],
                    occurrence=by[1],
                )
            )


def field_name(name: str) -> str:
    """A name of COBOL as a column.

    >>> field_name("ACCT-NO")
    'acct_no'
    """
    return name.lower().replace("-", "_")
