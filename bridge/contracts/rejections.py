"""Which field an API names when it refuses a request, in the usual shapes of answers. Pure.

Of an answer nothing comes out but places, and of these only names that the contract has or that can be
nothing but names: an API may say a value back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from bridge.contracts.findings import shown_name, words_sent

PLACES_MAX_COUNT: Final = 10
_LISTS: Final = tuple(
    "errors invalid-params invalidParams invalid_params violations details detail issue".split()
)
_POINTERS: Final = ("pointer", "instancePath", "dataPath", "jsonPointer")
_FIELDS: Final = ("field", "name", "property", "propertyPath", "path", "param", "parameter", "target")
_OUTSIDE: Final = frozenset({"body", "query", "path", "header", "data", "attributes", "$", "#", ""})
"""Beginnings of a place that say where it is, and not which field."""
_SEGMENTS_MAX_COUNT: Final = 12


def places_refused(media: str, body: bytes, names: frozenset[str], sent: bytes | None) -> list[str]:
    """The JSON pointers of fields that an answer names, in order, each once; none where it names none.

    ``names`` are the contract's, ``sent`` is the body that was refused.

    >>> places_refused("application/json", b'{"errors": [{"pointer": "#/birth_date"}]}', frozenset(), None)
    ['/birth_date']
    """
    if "json" not in media:
        return []
    try:
        said = orjson.loads(body)
        told = words_sent(orjson.loads(sent)) if sent else frozenset[str]()
    except orjson.JSONDecodeError:
        return []
    found: dict[str, None] = {}
    for place in _places(said):
        segments = [each for each in place[:_SEGMENTS_MAX_COUNT] if each]
        while segments and segments[0] in _OUTSIDE and segments[0] not in names:
            segments = segments[1:]
        shown = ["*" if each.isdigit() else shown_name(each, names, told) for each in segments]
        if shown:
            found["/" + "/".join(shown)] = None
        if len(found) >= PLACES_MAX_COUNT:
            break
    return list(found)


def _places(said: Any) -> Iterator[list[str]]:
    """The places in problem documents (RFC 9457 §3), JSON:API, FHIR's OperationOutcome and frameworks."""
    if not isinstance(said, Mapping):
        for each in said if isinstance(said, list) else ():
            yield from _of_error(each)
        return
    yield from _of_error(said)
    for word in _LISTS:
        errors = said.get(word)
        if isinstance(errors, list):
            for each in errors:
                yield from _of_error(each)
        elif isinstance(errors, Mapping):  # a name for each field, as in {"errors": {"birth_date": [...]}}
            for name in errors:
                yield _split(str(name))


def _of_error(error: Any) -> Iterator[list[str]]:
    if not isinstance(error, Mapping):
        return
    for word in _POINTERS:
        if isinstance(place := error.get(word), str):
            yield _split(place)
    source = error.get("source")
    if isinstance(source, Mapping):
        for word in ("pointer", "parameter"):
            if isinstance(place := source.get(word), str):
                yield _split(place)
    if isinstance(place := error.get("loc"), list):
        yield [str(each) for each in place]
    for word in ("expression", "location"):
        if isinstance(places := error.get(word), list):
            for each in places:
                yield _split(str(each))[1:] or _split(str(each))
    for word in _FIELDS:
        if isinstance(place := error.get(word), str) and "://" not in place:
            yield _split(place)


def _split(place: str) -> list[str]:
    """A place as names: a JSON pointer, or names with points and brackets between.

    >>> _split("#/names/0/family"), _split("names[0].family"), _split("$.names")
    (['names', '0', 'family'], ['names', '0', 'family'], ['$', 'names'])
    """
    place = place.strip().removeprefix("#")
    if place.startswith("/"):
        return [each.replace("~1", "/").replace("~0", "~") for each in place.split("/")[1:]]
    return [each for each in place.replace("[", ".").replace("]", "").replace("'", "").split(".") if each]
