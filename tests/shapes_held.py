"""Whether what a command printed as JSON is as its published schema says, with no name that it leaves out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import jsonschema_rs

from bridge.cli.shapes import LINE_BY_LINE, SHAPES, schema_of

NOT_SAID = ("--schema", "--page")
"""With these, `bridge records` prints something else."""


def holds(command: str, value: Any) -> None:
    """The value is as the schema of the command says, with no name that is not in it."""
    wrong = [f"{list(each.instance_path)}: {each.message}" for each in _validator(command).iter_errors(value)]
    assert wrong == [], f"`bridge {command}` prints what its schema does not know: {wrong[:5]}"


def holds_if_json(arguments: Sequence[str], printed: str) -> None:
    """The same of a command line and what it printed, where it asked for JSON."""
    words = [each for each in arguments if each.startswith("--format")]
    if not words or "json" not in arguments or not printed.strip() or set(NOT_SAID) & set(arguments):
        return
    command = command_of(arguments)
    if command in SHAPES and command not in LINE_BY_LINE:
        holds(command, json.loads(printed))


def command_of(arguments: Sequence[str]) -> str:
    """The longest name of a command that the words begin with."""
    for count in (3, 2, 1):
        name = " ".join(arguments[:count])
        if name in SHAPES:
            return name
    return ""


@cache
def _validator(command: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(closed(schema_of(command)))


def closed(schema: Any) -> Any:
    """The same schema, in which every object has the names that are listed and no others."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        name: {each: closed(its) for each, its in value.items()}
        if name in ("properties", "$defs")
        else closed(value)
        for name, value in schema.items()
    }
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made
