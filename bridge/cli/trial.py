"""A mapping file that is not on disk yet, tried."""

from __future__ import annotations

from bridge.config.yaml_tree import read_tree_bytes
from bridge.located import Mapping, Problem
from bridge.mapping.compile import compile_mapping
from bridge.mapping.plan import Plan


def trial(text: str) -> tuple[Plan | None, list[Problem]]:
    """What a mapping file comes to, and what the language says of it."""
    tree, problems = read_tree_bytes(text.encode(), "mapping.yaml")
    if not isinstance(tree, Mapping):
        return None, list(problems)
    plan, found = compile_mapping(tree, digest="0" * 64)
    return plan, [*problems, *found]
