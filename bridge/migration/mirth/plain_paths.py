"""Paths of E4X into messages that are not HL7 v2: rows of files, JSON, X12."""

from __future__ import annotations

import re
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import WHOLE_FIELD, Document, Pointer
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.forms import X12_KINDS

EVERY_ROW: Final = (
    "of several rows the old engine gave this value of all, one behind the other; here of the first"
)
BLANKS: Final = "blanks before it go as well, where the old engine took away those behind it"
_ROW: Final = re.compile(r"row([1-9]\d{0,3})?")
_ELEMENT: Final = re.compile(r"([A-Z][A-Z0-9]{1,2})\.(\d{2})(?:\.(\d{1,2}))?")


def value_of(pointer: Pointer, document: Document, at: int) -> Expr:
    """What stands there: ``$.name``, ``$.orders(2).code``, ``CLP-01``. Raises NotConverted."""
    names = pointer.names
    if document.kind == "DELIMITED":
        return _cell(names, document, at)
    if document.kind == "JSON" and not names[0].startswith("["):
        return ex.path("$" + "".join(_dollar(each) for each in names))
    if document.kind in X12_KINDS and document.base == "copy":
        return _element(names, at)
    raise NotConverted(f"a path into {document.kind or 'a message'} that is deeper than a row", at)


def _cell(names: tuple[str, ...], document: Document, at: int) -> Expr:
    """``msg['row'][1]['column1']``, from row 0; ``msg['row2']['column1']`` where rows are numbered."""
    found = _ROW.fullmatch(names[0])
    indexed = len(names) == 3
    if found is None or len(names) not in (2, 3) or names[-1].startswith("["):
        raise NotConverted("a path into DELIMITED that is deeper than a row", at)
    if indexed and not re.fullmatch(r"\[\d+\]", names[1]):
        raise NotConverted("each row of a file", at)
    cell = ex.path("$" + _dollar(names[-1]))
    if document.fixed:
        cell = ex.call("trim", cell).noted(BLANKS)
    if found[1] is None and not indexed:
        return cell if document.split else cell.noted(EVERY_ROW)
    row = int(names[1][1:-1]) if indexed else 0
    row += int(found[1] or 1) - 1
    if row != document.first_row or (found[1] is not None and names[1] not in ("[0]", names[-1])):
        raise NotConverted("another row of a file than the one that the channel's steps begin with", at)
    return cell


def _element(names: tuple[str, ...], at: int) -> Expr:
    """``msg['CLP'][0]['CLP.01']['CLP.01.1']``: an element of a segment, or its component."""
    segment, *rest = names
    number = int(rest.pop(0)[1:-1]) + 1 if rest and re.fullmatch(r"\[\d+\]", rest[0]) else 1
    parts = [_ELEMENT.fullmatch(each) for each in rest]
    last = parts[-1] if parts else None
    if (
        last is None
        or not all(each is not None and each[1] == segment and each[2] == last[2] for each in parts)
        or [each is not None and each[3] is not None for each in parts] not in ([False], [False, True])
    ):
        raise NotConverted("a path into X12 that is no element of a segment", at)
    place = f"{segment}({number})" if number > 1 else segment
    found = ex.path(f"{place}-{last[2]}" + (f".{int(last[3])}" if last[3] else ".1"))
    return found if last[3] else found.noted(WHOLE_FIELD)


def _dollar(name: str) -> str:
    if name.startswith("["):
        return f"({int(name[1:-1]) + 1})"
    if name.replace("_", "").isalnum() and name.isascii() and not name[0].isdigit():
        return f".{name}"
    if any(sign in name for sign in '"\\]'):
        raise NotConverted(f"the name {name[:40]!r}")
    return f'["{name}"]'
