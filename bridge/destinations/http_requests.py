"""Requests of an HTTP operation: how a record fills a path, and the bytes that are journaled. Pure.

A request is journaled as compact JSON with sorted keys: ``body`` (an object, the text of JSON that a mapping
made, or null for none), ``method``, ``operation``, ``path`` below the API's base URL, and where there are
such: ``query``, the path of a GET that finds what it made, ``params``, what stands behind the path's question
mark, ``headers``, ``about``, the record that answers say something of, and ``needs`` and ``into``: which
values of earlier answers are to be put where before it can be sent. Reading these bytes and writing them
again gives the same bytes, so each attempt sends the same body. A body that a mapping made is kept as text,
since its numbers have the digits that were sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import orjson

from bridge.destinations.base import RequestRefused

METHODS: Final = frozenset({"PUT", "POST", "PATCH", "DELETE"})
_ALWAYS: Final = frozenset({"body", "method", "operation", "path"})
TEMPLATE: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|\{(?:captured\.)?[a-z][a-z0-9_]*\})+)+")
"""A path template: literal characters of RFC 3986 §3.3 but no percent signs, and ``{field}``."""

FIELD: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_PATH: Final = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@-]++|%[0-9A-F]{2})++)++")
_PARAMS: Final = re.compile(r"[A-Za-z0-9._~%-]+=[A-Za-z0-9._~%-]*(?:&[A-Za-z0-9._~%-]+=[A-Za-z0-9._~%-]*)*")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,998}[!-~])?")
_OURS: Final = re.compile(
    r"host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|cookie|authorization"
    r"|proxy-.*|idempotency-key|traceparent|tracestate|accept|accept-encoding|x-bridge-.*"
)
"""What the call itself says, and what says who is calling."""
_SENT_AS: Final = re.compile(r"[!-~]*-([0-9]+)-[0-9]+(?:-([0-9]+)x[0-9a-f]+)?")
_EPOCH: Final = 10**12
_NO_HEADERS: Final[Mapping[str, str]] = {}
_DOT_SEGMENT: Final = re.compile(r"/\.{1,2}(?:/|$)")


class Request(NamedTuple):
    """A journaled request, read again."""

    operation: str
    method: str
    path: str
    body: bytes | None
    query: str | None = None
    params: str = ""
    headers: Mapping[str, str] = _NO_HEADERS
    about: str = ""

    @property
    def target(self) -> str:
        """The path, with what stands behind its question mark."""
        return f"{self.path}?{self.params}" if self.params else self.path


def path_fields(template: str) -> tuple[str, ...]:
    """The fields that a template names, in order."""
    return tuple(FIELD.findall(template))


def fill_path(template: str, fields: Mapping[str, Any]) -> str:
    """The path, with each value percent-encoded (RFC 3986 §2.1), so that it stays within its segment.

    Raises RequestRefused, naming the field, for a value that is absent, empty, not text or a number, or
    that would make its segment ``.`` or ``..``, which others may resolve even when encoded.

    >>> fill_path("/encounters/{key}/cancel", {"key": "A/7?x"})
    '/encounters/A%2F7%3Fx/cancel'
    """
    path = FIELD.sub(lambda match: _escaped(match[1], fields.get(match[1])), template)
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


def fill_params(templates: Mapping[str, str], fields: Mapping[str, Any]) -> str:
    """What stands behind the question mark; a parameter of which a field is absent is left out.

    Raises RequestRefused, naming the field, for a value that is neither text nor a number.

    >>> fill_params({"site": "{facility}", "as": "hub"}, {"facility": "A&B"})
    'site=A%26B&as=hub'
    """
    filled = ((name, _filled(template, fields, "a parameter")) for name, template in templates.items())
    return "&".join(f"{quote(name, safe='')}={_quoted(value)}" for name, value in filled if value is not None)


def fill_headers(templates: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, str]:
    """The headers; one of which a field is absent is left out. Raises RequestRefused as `fill_params` does,
    and for what cannot stand in a header (RFC 9110 §5.5).

    >>> fill_headers({"X-Facility": "{facility}", "X-Unit": "{unit}"}, {"facility": "NORTH"})
    {'X-Facility': 'NORTH'}
    """
    found = {}
    for name, template in templates.items():
        value = _filled(template, fields, "a header")
        if value is None:
            continue
        if not _HEADER_VALUE.fullmatch(value):
            raise RequestRefused(f"the fields of the header {name} have what cannot stand in a header")
        found[name] = value
    return found


def _filled(template: str, fields: Mapping[str, Any], where: str) -> str | None:
    for name in path_fields(template):
        value = fields.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RequestRefused(f"the field {name} is no text, and cannot stand in {where}")
    return FIELD.sub(lambda match: str(fields[match[1]]), template)


def _quoted(value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise RequestRefused("a parameter has characters that cannot stand in one") from None


def is_safe_path(path: str) -> bool:
    """Whether a path has only characters of RFC 3986 §3.3, upper-case escapes and no dot segment."""
    return bool(_PATH.fullmatch(path)) and not _DOT_SEGMENT.search(path)


def write_request(
    operation: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | bytes | None,
    query: str | None = None,
    *,
    params: str = "",
    headers: Mapping[str, str] | None = None,
    captures: Mapping[str, Any] | None = None,
) -> bytes:
    """The bytes to journal; ``captures`` are the keys about what answers give.

    Raises RequestRefused, naming the field that JSON cannot hold.
    """
    more: dict[str, Any] = {} if query is None else {"query": query}
    more |= {"params": params} if params else {}
    more |= {"headers": dict(headers)} if headers else {}
    more |= captures or {}
    text = body.decode() if isinstance(body, bytes) else body
    try:
        return _json({"body": text, "method": method, "operation": operation, "path": path, **more})
    except orjson.JSONEncodeError:
        fields = body if isinstance(body, Mapping) else {}
        unwritable = ", ".join(name for name, value in fields.items() if not _is_writable(value))
        raise RequestRefused(f"expected values that JSON can hold in: {unwritable}") from None


def read_request(request: bytes) -> Request | None:
    """The request of `write_request`, or None where the bytes are none."""
    try:
        told = orjson.loads(request)
    except orjson.JSONDecodeError:
        return None
    # Step by step, since this is read before each call: a pattern of it takes three times as long.
    if not isinstance(told, dict) or not told.keys() >= _ALWAYS or "needs" in told:
        return None
    body, method, operation, path = told["body"], told["method"], told["operation"], told["path"]
    if not (isinstance(method, str) and isinstance(operation, str) and isinstance(path, str)):
        return None
    if method not in METHODS or not is_safe_path(path):
        return None
    made = body.encode() if isinstance(body, str) else _json(body) if isinstance(body, dict) else None
    if made is None and body is not None:
        return None
    if len(told) == len(_ALWAYS):
        return Request(operation, method, path, made)
    query, params, headers = told.get("query"), told.get("params", ""), told.get("headers", {})
    about = told.get("about", "")
    if not (_is_safe(query, params, headers) and isinstance(about, str)):
        return None
    return Request(operation, method, path, made, query, params, headers, about)


def _is_safe(query: Any, params: Any, headers: Any) -> bool:
    """Whether what stands beside a path can stand in a call."""
    return (
        (query is None or (isinstance(query, str) and is_safe_path(query)))
        and isinstance(params, str)
        and (params == "" or _PARAMS.fullmatch(params) is not None)
        and isinstance(headers, dict)
        and all(is_header(name) and _is_header_value(value) for name, value in headers.items())
    )


def numbered(idempotency_key: str) -> dict[str, str]:
    """The header that numbers a call: of two about the same key, the later made has the higher number.

    It is the delivery's own, so the same for each attempt and each replay; what an older copy of a journal
    makes, once that was put back, comes after all from before. Empty for a key that is not of a delivery.

    >>> numbered("3f9a-4711-1"), numbered("3f9a-12-1-1x5e")
    ({'X-Bridge-Sequence': '4711'}, {'X-Bridge-Sequence': '1000000000012'})
    """
    found = _SENT_AS.fullmatch(idempotency_key)
    return {"X-Bridge-Sequence": str(int(found[1]) + _EPOCH * int(found[2] or 0))} if found else {}


def is_header(name: str) -> bool:
    """Whether a site may set a header: it is a token (RFC 9110 §5.1), and none that the call itself has."""
    return _HEADER.fullmatch(name) is not None and not _OURS.fullmatch(name.lower())


def _is_header_value(value: Any) -> bool:
    return isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None


def _json(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _is_writable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True
