"""Days of rows whose columns the first line of a file says: looked for among those that mappings declare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bridge.config.crosscheck import Site
from bridge.config.validate import select
from bridge.formats.base import NamesColumns
from bridge.located import Mapping, Problem, Scalar, Sequence
from bridge.mapping.keys import compile_key

_DAYS = (("business_date", "of"), ("late", "by"))


def check_day_columns(site: Site) -> Iterator[Problem]:
    """A day that is read from a column that no mapping of the channel declares. A file may have more columns
    than a mapping reads, so that is a warning; of columns that the channel itself names it is a mistake, and
    was told as its file was read."""
    declared = {
        entry.name.text: frozenset(_columns(entry.tree))
        for entry in site.mappings
        if entry.name is not None and entry.tree is not None
    }
    for channel in site.channels:
        read, tree = channel.value, channel.tree
        if read is None or tree is None or not isinstance(read.format.options, NamesColumns):
            continue
        used = [
            declared.get(mapping.text, frozenset())
            for _, _, mapping in select(tree, ("routes", "*", "mapping"))
            if isinstance(mapping, Scalar)
        ]
        if "item" in read.format.options.columns_of or not used or not all(used):
            continue
        known = frozenset[str]().union(*used)
        for path in _DAYS:
            for _, _, node in select(tree, ("batches", *path)):
                if isinstance(node, Scalar) and node.text:
                    names = {"item": known, "root": known}
                    _, problems = compile_key(node, read.format.component.name, names)
                    yield from (replace(each, severity="warning") for each in problems)


def _columns(mapping: Mapping) -> Iterator[str]:
    source = mapping.get("source")
    columns = source.get("columns") if isinstance(source, Mapping) else None
    for each in columns.items if isinstance(columns, Sequence) else ():
        if isinstance(each, Scalar):
            yield each.text
