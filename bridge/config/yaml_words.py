"""What to say about YAML that cannot be read: our own words, the place that a person must look at, a hint.

The parser stops where it no longer understands, which is often after the mistake. The words here come from
what stands on that line, since nearly all of these mistakes are values that need quotes.
"""

from __future__ import annotations

import re

import yaml

from bridge.located import Place, Problem

_KEY_AND_VALUE = re.compile(r"^\s*(?:- +)?(?P<key>[^\s'\"\[{#][^:#]*?): +(?P<value>\S.*)$")
_QUOTE_IT = "put the whole value in quotes, single ones where it holds double ones"
_ALIKE = "indent keys of one mapping alike"
_OTHERS = (
    (("expected key", "expected <block end>"), "C101", "a key with ':' was expected here", _ALIKE),
    (("'-' indicator",), "C101", "a list item with '-' was expected here", "indent items of one list alike"),
    (("alias", "anchor"), "C103", "a value cannot start with '*' or '&'", _QUOTE_IT),
    (("tag",), "C104", "a value cannot start with '!'", _QUOTE_IT),
    (("directive", "YAML document"), "C104", "directives (%YAML, %TAG) are not taken", "delete the line"),
    (("document start",), "C101", "a key with ':' was expected here", "write `key: value`"),
    (("could not find expected ':'",), "C101", "a key with ':' was expected here", "write `key: value`"),
)
"""What the parser says, and what we say, in the order in which they are looked for."""
_NO_START = {"@": "at sign", "`": "backtick", "%": "percent sign"}


def syntax_problem(
    refused: yaml.MarkedYAMLError, lines: list[str], file: str, opened: Place | None
) -> Problem:
    """The problem for what the parser refused.

    ``lines`` are the file's; ``opened`` is where the innermost ``[`` or ``{`` stands that is still open.
    """
    mark = refused.problem_mark or refused.context_mark
    line_number, column = (mark.line, mark.column) if mark is not None else (0, 0)
    line = lines[line_number] if line_number < len(lines) else ""
    said = f"{refused.context or ''} {refused.problem or ''}"
    here = Place(file, line_number + 1, column + 1)

    def problem(text: str, hint: str | None = None, place: Place = here) -> Problem:
        return Problem(place, "C101", text, hint)

    def context() -> Place:
        began = refused.context_mark
        return here if began is None else Place(file, began.line + 1, began.column + 1)

    character = line[column : column + 1]
    value = _value_start(line, line_number, file)
    if character == "\t" or "tab" in said or "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem(here, "C109", "a tab stands where only spaces may indent", "use spaces")
    if character in _NO_START and "start any token" in said:
        return problem(f"a value cannot start with {character!r} ({_NO_START[character]})", _QUOTE_IT)
    if "mapping values are not allowed" in said:
        if value is not None and value[0].column < column + 1:
            return problem("the value holds ': ', which YAML takes for one more key", _QUOTE_IT)
        return problem(
            "a key cannot stand here: the line above already has a value",
            f"{_ALIKE}, and quote a value that spans lines",
        )
    if "quoted scalar" in said:
        if "escape" in said:
            return problem(
                "a backslash in double quotes begins an escape, and this is none",
                "use single quotes, which keep backslashes",
            )
        return problem("the quote that opens here is never closed", "close it", context())
    if "flow" in said or (opened is not None and character == ""):
        return _flow_problem(lines, opened or context(), here)
    if value is not None:
        place, first = value
        if first in "[{'\"" and place.column < column + 1:
            return problem(f"the value starts with {first!r} and goes on after its end", _QUOTE_IT, place)
    for words, code, text, hint in _OTHERS:
        if any(word in said for word in words):
            return Problem(context() if code == "C101" and "could not" in said else here, code, text, hint)
    return problem("this is not YAML", _QUOTE_IT if value is not None else None)


def _flow_problem(lines: list[str], opened: Place, here: Place) -> Problem:
    line = lines[opened.line - 1] if opened.line - 1 < len(lines) else ""
    bracket = line[opened.column - 1 : opened.column]
    if bracket not in ("[", "{"):
        return Problem(here, "C101", "this cannot stand inside [ ] or { }", _QUOTE_IT)
    closing = {"[": "]", "{": "}"}[bracket]
    return Problem(
        opened,
        "C101",
        f"the {bracket!r} that opens here is not closed with {closing!r}, or what it holds cannot be read",
        f"close it; if the value is no list, {_QUOTE_IT}",
    )


def _value_start(line: str, line_number: int, file: str) -> tuple[Place, str] | None:
    """Where the value after ``key: `` starts on a line, and its first character."""
    if (found := _KEY_AND_VALUE.match(line)) is None:
        return None
    return Place(file, line_number + 1, found.start("value") + 1), found["value"][0]
