"""Files of consents: FHIR Consent as YAML, JSON or lines of JSON, and rows of a table.

A file counts whole or not at all: what is left out of it for a mistake might have been somebody's no.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from bridge.config.topology import Topology
from bridge.config.yaml_tree import read_tree_bytes
from bridge.destinations.base import NoAnswer
from bridge.governance.consent import ConsentOptions
from bridge.governance.consent_answer import AboutOthers, about
from bridge.governance.consent_fhir import COLUMNS, ConsentUnreadable, consent_of, consents_in, row_consent
from bridge.governance.consent_rules import Consent
from bridge.located import Place, Problem, did_you_mean, plain

FILE_MAX_BYTES = 256 * 1024**2
KINDS = (".yaml", ".yml", ".json", ".ndjson", ".csv")
_FEW = 20


def read_consents(name: str, content: bytes) -> tuple[tuple[Consent, ...], list[Problem]]:
    """All consents of a file, or what is wrong with it; places are lines, and no value is told."""
    problems: list[Problem] = []
    found: list[Consent] = []
    for line, made in _each(name, content, problems):
        try:
            found.append(made())
        except ConsentUnreadable as wrong:
            problems.append(Problem(Place(name, line, 1), "C192", str(wrong)))
        if len(problems) >= _FEW:
            break
    return (() if problems else tuple(found)), problems


def problems_of(topology: Topology) -> list[Problem]:
    """What is wrong with the files of consents that APIs name."""
    named = (
        each.options.file
        for api in topology.apis.values()
        for each in api.policies
        if isinstance(each.options, ConsentOptions) and each.options.file is not None
    )
    found: list[Problem] = []
    for path in dict.fromkeys(named):
        try:
            content = path.read_bytes()
        except OSError:
            text = "the file of consents is not there, or may not be read"
            found.append(Problem(Place(str(path), 1, 1), "C192", text))
        else:
            found += read_consents(str(path), content)[1]
    return found


def answered_about(content: bytes, names: Sequence[str]) -> tuple[tuple[Consent, ...], str]:
    """The consents of an answer about a patient, as `about` says. Raises NoAnswer, also where it is not."""
    read = _read(content)
    try:
        return about(_consents(read), read, names)
    except AboutOthers as error:
        raise NoAnswer(str(error)) from None


def answered(content: bytes) -> tuple[Consent, ...]:
    """The consents of an answer, or of one row, as JSON. Raises NoAnswer where it is none, or not all."""
    return _consents(_read(content))


def _read(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise NoAnswer("garbage") from error


def _consents(read: Any) -> tuple[Consent, ...]:
    try:
        if isinstance(read, dict) and "resourceType" not in read and "decision" in read:
            return (row_consent({name: str(value) for name, value in read.items() if value is not None}, ""),)
        if _goes_on(read):
            raise NoAnswer("more-pages")
        return tuple(consent_of(each) for each in consents_in(read))
    except ConsentUnreadable as error:
        raise NoAnswer("garbage") from error


def _goes_on(read: Any) -> bool:
    """Whether a Bundle is one page of several: what is on the others might be somebody's no."""
    links = read.get("link") if isinstance(read, dict) else None
    return isinstance(links, list) and any(isinstance(e, dict) and e.get("relation") == "next" for e in links)


def _each(name: str, content: bytes, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    kind = next((each for each in KINDS if name.lower().endswith(each)), "")
    place = Place(name, 1, 1)
    if not kind:
        hint = f"expected a name that ends in one of {', '.join(KINDS)}"
        problems.append(Problem(place, "C192", "what kind of file this is cannot be told", hint))
    elif kind == ".csv":
        yield from _rows(name, content, problems)
    elif kind == ".ndjson":
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip():
                yield from _resources(name, number, _json(name, number, line, problems))
    elif kind == ".json":
        yield from _resources(name, 1, _json(name, 1, content, problems))
    else:
        tree, wrong = read_tree_bytes(content, name)
        problems += wrong
        if tree is not None and not wrong:
            yield from _resources(name, 1, plain(tree))


def _json(name: str, line: int, text: bytes, problems: list[Problem]) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        place = Place(name, line + wrong.lineno - 1, wrong.colno)
        problems.append(Problem(place, "C192", "this is no JSON", "one FHIR Consent, a Bundle, or a list"))
        return []


def _resources(name: str, line: int, content: Any) -> Iterator[tuple[int, Any]]:
    for number, resource in enumerate(consents_in(content), start=1):
        where = f"{name}:{line}" if number == 1 else f"{name}:{line} number {number}"
        yield line, lambda resource=resource, where=where: consent_of(resource, where)


def _rows(name: str, content: bytes, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problems.append(Problem(Place(name, 1, 1), "C192", "the file is not UTF-8", "save it as UTF-8"))
        return
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for column in rows.fieldnames or ():
            if column not in COLUMNS:
                hint = did_you_mean(column, COLUMNS) or f"expected: {', '.join(COLUMNS)}"
                problems.append(Problem(Place(name, 1, 1), "C192", "there is no such column", hint))
        for row in rows:
            line = rows.line_num
            if None in row or None in row.values():
                text_ = "this row has more or fewer fields than the first line"
                problems.append(Problem(Place(name, line, 1), "C192", text_))
                return
            yield line, lambda row=row, line=line: row_consent(row, f"{name}:{line}")
    except csv.Error:
        problems.append(
            Problem(Place(name, rows.line_num + 1, 1), "C192", "a quote is open here, or doubled")
        )
