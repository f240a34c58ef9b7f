"""What an answer gives to later calls about the same record: its id there, by pointer or header. Pure.

A request that needs such a value stands in the journal with ``{captured.NAME}`` in its path, which no value
of a record can look like, since braces are escaped there. It is filled in before the first attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import orjson

VALUE_MAX_CHARACTERS: Final = 256
CAPTURES_MAX_COUNT: Final = 8
CAPTURED: Final = re.compile(r"\{captured\.([a-z][a-z0-9_]{0,63})\}")
BESIDE: Final = re.compile(r"\{captured\.([a-z][a-z0-9_]{0,63})(\??)\}")
"""As the whole of a parameter or a header: with a question mark it is left out where there is no value."""
_POINTER: Final = re.compile(r"(?:/(?:[^/~]|~[01])+)+")
_HEADER: Final = re.compile(r"header ([A-Za-z][A-Za-z0-9-]{0,63})")
_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def is_place(text: str) -> bool:
    """Whether a text says where in an answer a value stands.

    >>> is_place("/data/0/id"), is_place("header Location"), is_place("id")
    (True, True, False)
    """
    return bool(_POINTER.fullmatch(text) or _HEADER.fullmatch(text))


def captured_names(text: str) -> tuple[str, ...]:
    """The values of earlier answers that a text needs.

    >>> captured_names("/orders/{captured.order_id}/{key}")
    ('order_id',)
    """
    return tuple(CAPTURED.findall(text))


def found_in(places: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """The values that an answer has at these places, by name; one that is missing, no text or number, or too
    long is left out."""
    content: Any = None
    if any(place.startswith("/") for place in places.values()):
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            content = None
    found = {}
    for name, place in places.items():
        value = value_at(content, place) if place.startswith("/") else _of_header(headers, place)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and len(value) <= VALUE_MAX_CHARACTERS and _VALUE.fullmatch(value):
            found[name] = value
    return found


def value_at(content: Any, pointer: str) -> Any:
    """The value that a JSON pointer (RFC 6901) names, or None."""
    for part in pointer[1:].split("/"):
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(content, Mapping):
            content = content.get(step)
        elif isinstance(content, list) and step.isascii() and step.isdigit() and int(step) < len(content):
            content = content[int(step)]
        else:
            return None
    return content


def _of_header(headers: Mapping[str, str], place: str) -> str | None:
    """A header's value; of Location the last part of its path, and of FHIR's the part before its version."""
    name = place.partition(" ")[2].lower()
    value = next((text for key, text in headers.items() if key.lower() == name), None)
    if value is None or name not in ("location", "content-location"):
        return value
    path = urlsplit(value).path.rstrip("/").partition("/_history/")[0]
    return unquote(path.rpartition("/")[2])


def filled(request: bytes, values: Mapping[str, str]) -> bytes | None:
    """A request with the values in their places; None where one that it needs is missing."""
    read = orjson.loads(request)
    if not all(name in values for name in read.pop("needs", ())):
        return None
    into = read.pop("into", {})
    read["path"] = CAPTURED.sub(lambda found: quote(values[found[1]], safe=""), read["path"])
    there = {
        where: {name: values[of] for name, of in into.get(where, {}).items() if of in values}
        for where in ("params", "headers")
    }
    params = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in there["params"].items()]
    if params:
        read["params"] = "&".join(filter(None, (read.get("params", ""), *params)))
    if there["headers"]:
        read["headers"] = {**read.get("headers", {}), **there["headers"]}
    if into.get("body"):
        read["body"] = {**(read["body"] or {}), **{name: values[name] for name in into["body"]}}
    return orjson.dumps(read, option=orjson.OPT_SORT_KEYS)


def needs_of(request: bytes) -> tuple[str, tuple[str, ...]] | None:
    """The record that a request is about, and the values it needs before it can be sent; None for none."""
    if b'"needs":[' not in request:
        return None
    read = orjson.loads(request)
    return str(read.get("about", "")), tuple(read.get("needs", ()))
