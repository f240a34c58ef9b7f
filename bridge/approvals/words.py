"""What differs between two versions of a file, in words: keys with what they said and say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bridge.located import Mapping, Node, Scalar, Sequence

VALUE_MAX_CHARACTERS: Final = 80
ITEMS_TOLD_MAX: Final = 8


def differences(before: Node | None, after: Node | None, path: str = "") -> Iterator[str]:
    """A line for each key that says something else, is new, or is gone."""
    match before, after:
        case Mapping(), Mapping():
            yield from _of_keys(before, after, path)
        case Sequence(), Sequence():
            yield from _of_items(before, after, path)
        case Scalar(text=old), Scalar(text=new):
            if old != new:
                yield f"{path}: {_short(before)} → {_short(after)}"
        case None, None:
            return
        case None, _:
            yield f"{path}: new: {_short(after)}"
        case _, None:
            yield f"{path}: gone, was {_short(before)}"
        case _:
            yield f"{path}: {_short(before)} → {_short(after)}"


def _of_keys(before: Mapping, after: Mapping, path: str) -> Iterator[str]:
    for name in dict.fromkeys(key.text for key, _ in (*before.entries, *after.entries)):
        yield from differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)


def _of_items(before: Sequence, after: Sequence, path: str) -> Iterator[str]:
    old, new = _named(before), _named(after)
    if old is not None and new is not None:
        for name in dict.fromkeys((*old, *new)):
            yield from differences(old.get(name), new.get(name), f"{path}[{name}]")
        if sorted(old) == sorted(new) and list(old) != list(new):
            yield f"{path}: in another order"
        return
    texts = _texts(before), _texts(after)
    if None not in texts:
        was, now = (list(each or ()) for each in texts)
        more, less = [each for each in now if each not in was], [each for each in was if each not in now]
        if more:
            yield f"{path}: adds {_list(more)}"
        if less:
            yield f"{path}: drops {_list(less)}"
        if not more and not less and was != now:
            yield f"{path}: in another order"
        return
    items, others = before.items, after.items
    for number in range(max(len(items), len(others))):
        yield from differences(
            items[number] if number < len(items) else None,
            others[number] if number < len(others) else None,
            f"{path}[{number + 1}]",
        )


def _named(node: Sequence) -> dict[str, Node] | None:
    """Items by what their first key says, as `- route: patient` and `- test: an admission` do."""
    found: dict[str, Node] = {}
    for item in node.items:
        if not isinstance(item, Mapping) or not item.entries:
            return None
        value = item.entries[0][1]
        if not isinstance(value, Scalar) or value.text in found:
            return None
        found[value.text] = item
    return found


def _texts(node: Sequence) -> list[str] | None:
    found = [item.text for item in node.items if isinstance(item, Scalar)]
    return found if len(found) == len(node.items) else None


def _short(node: Node | None) -> str:
    match node:
        case Scalar(text=text):
            return _cut(" ".join(text.split())) or "''"
        case Mapping(entries=entries):
            return "{" + _list([key.text for key, _ in entries]) + "}"
        case Sequence(items=items):
            texts = _texts(node)
            return f"[{_list(texts)}]" if texts is not None else f"{len(items)} items"
        case None:
            return "nothing"


def _list(texts: list[str]) -> str:
    told = ", ".join(map(_cut, texts[:ITEMS_TOLD_MAX]))
    return told + (f" and {len(texts) - ITEMS_TOLD_MAX} more" if len(texts) > ITEMS_TOLD_MAX else "")


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_MAX_CHARACTERS else text[: VALUE_MAX_CHARACTERS - 1] + "…"


def row_differences(before: bytes, after: bytes) -> Iterator[str]:
    """The same for a code table: a line for each row that is new, gone, or translates otherwise."""
    old, new = _rows(before), _rows(after)
    for key in dict.fromkeys((*old, *new)):
        if key not in old:
            yield f"row {_cut(key)}: new: {_cut(new[key])}"
        elif key not in new:
            yield f"row {_cut(key)}: gone, was {_cut(old[key])}"
        elif old[key] != new[key]:
            yield f"row {_cut(key)}: {_cut(old[key])} → {_cut(new[key])}"


def _rows(content: bytes) -> dict[str, str]:
    rows: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        key, _, rest = line.partition(",")
        rows[key] = rest
    return rows
