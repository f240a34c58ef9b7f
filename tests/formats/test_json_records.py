"""JSON in files: what becomes a message, with its place, and what is no such file."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.base import Piece, Unsplittable
from bridge.formats.json_records import JsonFormat, JsonOptions


def split(records: str, data: bytes, *, step: int = 1_000_000, most: int = 10_000) -> list[Piece]:
    made = JsonFormat(JsonOptions.model_validate({"records": records}))
    splitter, found = made.splitter(most), []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    found += splitter.end()
    for batch in splitter.batches:
        assert (batch.last, batch.found) == (len(found), {"rows": str(len(found))})
    return found


def values(records: str, data: bytes, **options: int) -> list[Any]:
    made = JsonFormat(JsonOptions.model_validate({}))
    read = [made.read(piece.body) for piece in split(records, data, **options)]
    return [each.refused.code if each.refused is not None else each.root for each in read]


@pytest.mark.parametrize(
    ("records", "data", "expected"),
    [
        ("document", b'{"a": 1.10}', [{"a": "1.10"}]),
        ("document", b'\xef\xbb\xbf{"a": 1}\r\n', [{"a": "1"}]),
        ("document", b"  \n", []),
        ("document", b"{", ["no-json"]),
        ("lines", b'{"a": 1}\n\n{"a": 2}', [{"a": "1"}, {"a": "2"}]),
        ("lines", b'\xef\xbb\xbf{"a": 1}\r\n{"a"\r\n{"a": 3}\x1a', [{"a": "1"}, "no-json", {"a": "3"}]),
        ("array", b"[]", []),
        ("array", b' [ 1 , "a,]}" , {"b": [1, {}]} , null ] \n', ["1", "a,]}", {"b": ["1", {}]}, None]),
        ("array", b'\xef\xbb\xbf[{"a": "\\"}]\\\\"}]', [{"a": '"}]\\'}]),
        ("array", b"[nonsense, 2]", ["no-json", "2"]),
    ],
)
def test_each_record_is_a_message(records: str, data: bytes, expected: list[Any]) -> None:
    for step in (1_000_000, 3, 1):
        assert values(records, data, step=step) == expected


def test_each_message_has_its_place() -> None:
    assert [piece.offset_bytes for piece in split("lines", b'{"a":1}\n{"a":2}\n')] == [0, 8]
    data = b'[ {"a":1},\n  {"a":2}]'
    assert [data[piece.offset_bytes :][: len(piece.body)] for piece in split("array", data)] == [
        b'{"a":1}',
        b'{"a":2}',
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a": 1}', "no-array"),
        (b"[1, 2", "no-array"),
        (b'["a', "no-array"),
        (b"[1] [2]", "no-array"),
        (b"[1,,2]", "no-array"),
        (b"[1,]", "no-array"),
        (b"[1}", "no-array"),
        (b"", "no-array"),
        (b"[" * 100, "too-deep"),
        (b"[" + b'"' + b"x" * 20_000 + b'"]', "message-too-large"),
    ],
)
def test_what_is_no_whole_array_is_not_taken(data: bytes, reason: str) -> None:
    for step in (1_000_000, 7):
        with pytest.raises(Unsplittable) as refused:
            split("array", data, step=step)
        assert refused.value.reason == reason


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.lists(_JSON, max_size=6), st.integers(1, 9), st.sampled_from([None, 1]))
def test_arrays_and_lines_come_apart_as_they_are(items: list[Any], step: int, indent: int | None) -> None:
    array = json.dumps(items, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert values("array", array, step=step) == items
    lines = "".join(f"{json.dumps(item)}\n" for item in items).encode()
    assert values("lines", lines, step=step) == items


@given(st.binary(max_size=60), st.sampled_from(["document", "lines", "array"]))
def test_no_bytes_are_too_strange(data: bytes, records: str) -> None:
    with suppress(Unsplittable):
        assert isinstance(values(records, data), list)
