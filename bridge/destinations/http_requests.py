"""Requests of an HTTP operation: how a record fills a path, and the bytes that are journaled. Pure.

A request is journaled as compact JSON with sorted keys: ``body`` (an object, or null for none),
``method``, ``operation``, ``path`` below the API's base URL, and ``query``, the path of a GET that finds what
it made, where there is one. Reading these bytes and writing them
again gives the same bytes, so each attempt sends the same body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import orjson

from bridge.destinations.base import RequestRefused

METHODS: Final = frozenset({"PUT", "POST", "PATCH", "DELETE"})
TEMPLATE: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|\{[a-z][a-z0-9_]*\})+)+")
"""A path template: literal characters of RFC 3986 §3.3 but no percent signs, and ``{field}``."""

_FIELD: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+)+")
_DOT_SEGMENT: Final = re.compile(r"/\.{1,2}(?:/|$)")


@dataclass(frozen=True, slots=True)
class Request:
    """A journaled request, read again."""

    operation: str
    method: str
    path: str
    body: bytes | None
    query: str | None = None


def path_fields(template: str) -> tuple[str, ...]:
    """The fields that a template names, in order."""
    return tuple(_FIELD.findall(template))


def fill_path(template: str, fields: Mapping[str, Any]) -> str:
    """The path, with each value percent-encoded (RFC 3986 §2.1), so that it stays within its segment.

    Raises RequestRefused, naming the field, for a value that is absent, empty, not text or a number, or
    that would make its segment ``.`` or ``..``, which others may resolve even when encoded.

    >>> fill_path("/encounters/{key}/cancel", {"key": "A/7?x"})
    '/encounters/A%2F7%3Fx/cancel'
    """
    path = _FIELD.sub(lambda match: _escaped(match[1], fields.get(match[1])), template)
    if _DOT_SEGMENT.search(path):
        raise RequestRefused(f"the fields {', '.join(path_fields(template))} make a dot segment of the path")
    return path


def _escaped(field: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise RequestRefused(f"the path needs the field {field}, as text that is not empty")
    try:
        return quote(str(value), safe="")
    except UnicodeEncodeError:
        raise RequestRefused(f"the field {field} has characters that cannot stand in a path") from None


def is_safe_path(path: str) -> bool:
    """Whether a path has only characters of RFC 3986 §3.3, upper-case escapes and no dot segment."""
    return bool(_PATH.fullmatch(path)) and not _DOT_SEGMENT.search(path)


def write_request(
    operation: str, method: str, path: str, body: Mapping[str, Any] | None, query: str | None = None
) -> bytes:
    """The bytes to journal. Raises RequestRefused, naming the field that JSON cannot hold."""
    more = {} if query is None else {"query": query}
    try:
        return _json({"body": body, "method": method, "operation": operation, "path": path, **more})
    except orjson.JSONEncodeError:
        unwritable = ", ".join(field for field, value in (body or {}).items() if not _is_writable(value))
        raise RequestRefused(f"expected values that JSON can hold in: {unwritable}") from None


def read_request(request: bytes) -> Request | None:
    """The request of `write_request`, or None where the bytes are none."""
    try:
        match orjson.loads(request):
            case {
                "body": dict() | None as body,
                "method": str(method),
                "operation": str(operation),
                "path": str(path),
                **more,
            } if method in METHODS and is_safe_path(path):
                query = more.get("query")
                if query is None or (isinstance(query, str) and is_safe_path(query)):
                    return Request(operation, method, path, None if body is None else _json(body), query)
    except orjson.JSONDecodeError:
        return None
    return None


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _is_writable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
