"""Two ways through a script put together: what each did, under the condition that leads there."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import WHOLE_FIELD, Added, Document
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.field_parts import is_parted, of_one_part
from bridge.migration.mirth.js_scope import Record, Scope, Value
from bridge.migration.mirth.js_values import Values

CUT: Final = "where it is not set, its first subcomponent stays, and the others do not"
Segments = tuple[tuple[str, int], ...]


def merge(values: Values, condition: Expr, yes: Scope, no: Scope) -> None:
    """Go on in the scope of ``values`` as ``yes`` did where the condition holds, else as ``no`` did."""
    scope = values.scope
    for kind in ("variables", "maps"):
        ours: dict[str, Value] = getattr(yes, kind)
        theirs: dict[str, Value] = getattr(no, kind)
        merged: dict[str, Value] = {}
        for name in (*ours, *(each for each in theirs if each not in ours)):
            one, other = ours.get(name, ex.NOTHING), theirs.get(name, ex.NOTHING)
            try:
                merged[name] = one if one is other else values.choose(condition, one, other, 0)
            except NotConverted as refused:
                if kind == "maps":
                    scope.lost[name] = refused.reason
        setattr(scope, kind, merged)
    known = len(scope.puts)
    for name in dict.fromkeys(each for each, _ in (*yes.puts[known:], *no.puts[known:])):
        value = scope.maps.get(name)
        if isinstance(value, Expr):
            scope.puts.append((name, value))
    # `msg` and `tmp` may be one document.
    for root, document in {id(each): (root, each) for root, each in scope.documents.items()}.values():
        ours_made, theirs_made = yes.documents[root], no.documents[root]
        merged_document = _merged(document, condition, ours_made, theirs_made)
        document.made = _one_made(values, condition, ours_made.made, theirs_made.made)
        document.writes = merged_document.writes
        document.removed = merged_document.removed
        document.added = merged_document.added
        document.segments = merged_document.segments
    scope.destinations += [
        *yes.destinations[len(scope.destinations) :],
        *no.destinations[len(scope.destinations) :],
    ]
    if yes.json != no.json:
        raise NotConverted("JSON that is put into a map under a condition")
    scope.json = yes.json
    scope.shared = yes.shared | no.shared
    scope.lost.update({**yes.lost, **no.lost})
    scope.notes |= yes.notes | no.notes
    scope.logged = scope.logged or yes.logged or no.logged


def _one_made(values: Values, condition: Expr, yes: object, no: object) -> object:
    if isinstance(yes, Record) and isinstance(no, Record):
        return values.choose(condition, yes, no, 0)
    if yes != no:
        raise NotConverted("a message that becomes JSON under a condition")
    return yes


def _merged(before: Document, condition: Expr, yes: Document, no: Document) -> Document:
    made = before.copy()
    for spot in (*yes.writes, *(each for each in no.writes if each not in yes.writes)):
        untouched = before.base == "copy" and not (spot in yes.writes and spot in no.writes)
        if spot in before.writes and yes.writes.get(spot) == no.writes.get(spot) == before.writes[spot]:
            continue
        if untouched and not spot.component and not of_one_part(spot):
            raise NotConverted(f"a whole field, {spot.place()}, is set under a condition")
        value = ex.choose(condition, yes.read(spot), no.read(spot))
        if untouched:
            value = replace(value, notes=value.notes - {WHOLE_FIELD})
        made.writes[spot] = value.noted(CUT) if untouched and is_parted(spot) else value
    for name in dict.fromkeys((*yes.removed, *no.removed)):
        if name in before.removed or (name in yes.removed and name in no.removed):
            made.removed[name] = yes.removed[name]
        else:
            raise NotConverted(f"{name} is taken out under a condition")
    known = {each.number for each in before.added}
    made.added = []
    for document, holds in ((yes, condition), (no, ex.negate(condition))):
        for each in document.added:
            if each.number not in known:
                when = holds if each.when is None else ex.both([holds, each.when])
                made.added.append(_renumbered(each, len(known) + len(made.added) + 1, len(known), when))
    for one, other in zip(yes.added[: len(known)], no.added[: len(known)], strict=True):
        writes = {
            spot: ex.choose(condition, one.writes.get(spot, ex.NOTHING), other.writes.get(spot, ex.NOTHING))
            for spot in dict.fromkeys((*one.writes, *other.writes))
        }
        made.added.insert(one.number - 1, replace(one, writes=writes))
    made.segments = _one_order(before.segments, yes.segments, no.segments)
    return made


def _renumbered(one: Added, number: int, known: int, when: Expr) -> Added:
    """A segment that one of two ways has added, beside those of the other."""
    behind = one.behind + number - one.number if one.behind > known else one.behind
    writes = {replace(spot, added=number): value for spot, value in one.writes.items()}
    return replace(one, number=number, behind=behind, when=when, writes=writes)


def _one_order(before: Segments, yes: Segments, no: Segments) -> Segments:
    """The segments of a new message, behind two ways of which one at most has changed them."""
    if yes != no and before not in (yes, no):
        raise NotConverted("segments that are added to a new message in two ways")
    return no if yes == before else yes
