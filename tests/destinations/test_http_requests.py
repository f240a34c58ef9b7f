from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from http_peers import ENCOUNTER, NOW_US, no_secrets, operations
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bridge.destinations.base import RequestRefused
from bridge.destinations.http_api import HttpApiOptions, build
from bridge.destinations.http_requests import fill_path, is_safe_path, read_request, write_request
from bridge.message import Record

API = build(
    HttpApiOptions.model_validate({"base_url": "https://rcm.example/api/v2"}),
    operations(),
    None,
    no_secrets,
    lambda: NOW_US,
)

ESCAPED = [
    ("V-1", "/encounters/V-1/cancel"),
    ("a/b", "/encounters/a%2Fb/cancel"),
    ("../admin", "/encounters/..%2Fadmin/cancel"),
    ("..%2fadmin", "/encounters/..%252fadmin/cancel"),
    ("...", "/encounters/.../cancel"),
    ("a?b=c&d", "/encounters/a%3Fb%3Dc%26d/cancel"),
    ("a#b", "/encounters/a%23b/cancel"),
    ("100%", "/encounters/100%25/cancel"),
    ("a\\b", "/encounters/a%5Cb/cancel"),
    ("a;v=1", "/encounters/a%3Bv%3D1/cancel"),
    ("a b+c", "/encounters/a%20b%2Bc/cancel"),
    ("a\r\nHost: x", "/encounters/a%0D%0AHost%3A%20x/cancel"),
    ("a\x00", "/encounters/a%00/cancel"),
    ("//evil.example", "/encounters/%2F%2Fevil.example/cancel"),
    ("@evil.example:80", "/encounters/%40evil.example%3A80/cancel"),
    ("Zoë", "/encounters/Zo%C3%AB/cancel"),
    (4711, "/encounters/4711/cancel"),
]


@pytest.mark.parametrize(("value", "path"), ESCAPED)
def test_a_value_stays_within_its_segment(value: str | int, path: str) -> None:
    assert fill_path("/encounters/{key}/cancel", {"key": value}) == path


@pytest.mark.parametrize("value", [None, "", ".", "..", True, 1.5, ["a"], {"a": 1}, "\ud800"])
def test_a_value_that_cannot_be_a_segment_is_refused_by_its_fields_name(value: Any) -> None:
    with pytest.raises(RequestRefused, match="key") as refused:
        fill_path("/encounters/{key}", {"key": value})
    assert "a': 1" not in str(refused.value)


def test_an_absent_path_field_is_named() -> None:
    with pytest.raises(RequestRefused, match="ward"):
        fill_path("/wards/{ward}", {"key": "V-1"})


def test_two_fields_cannot_make_a_dot_segment_together() -> None:
    with pytest.raises(RequestRefused, match="dot segment"):
        fill_path("/a/{x}{y}/b", {"x": ".", "y": "."})


@given(st.text())
def test_whatever_the_key_the_path_keeps_its_shape_and_gives_the_key_back(key: str) -> None:
    try:
        path = fill_path("/api/{key}/cancel", {"key": key})
    except RequestRefused:
        assert key in {"", ".", ".."} or any("\ud800" <= character <= "\udfff" for character in key)
        return
    assert is_safe_path(path)
    first, segment, last = path[1:].split("/")
    assert (first, unquote(segment), last) == ("api", key, "cancel")
    url = URL("https://h.example" + path, encoded=True)
    assert str(url) == "https://h.example" + path
    assert url.raw_path == path
    assert not url.raw_query_string


def test_only_listed_fields_leave_and_the_bytes_are_stable() -> None:
    assert API.prepare("putEncounter", ENCOUNTER) == (
        b'{"body":{"key":"V-1","patient":"P-1","ward":null},"method":"PUT",'
        b'"operation":"putEncounter","path":"/encounters/V-1"}'
    )
    assert API.prepare("postNote", ENCOUNTER) == (
        b'{"body":{"patient":"P-1"},"method":"POST","operation":"postNote","path":"/notes"}'
    )
    assert API.prepare("cancelEncounter", ENCOUNTER) == (
        b'{"body":null,"method":"DELETE","operation":"cancelEncounter","path":"/encounters/V-1"}'
    )


def test_the_order_of_a_records_fields_changes_no_byte() -> None:
    turned = Record("encounter", "V-1", "upsert", dict(reversed(list(ENCOUNTER.fields.items()))))
    assert API.prepare("putEncounter", turned) == API.prepare("putEncounter", ENCOUNTER)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["patient", "ward", "other"]), VALUES))
def test_the_body_that_is_sent_is_the_body_that_was_journaled(fields: dict[str, Any]) -> None:
    journaled = API.prepare("putEncounter", Record("encounter", "V-1", "upsert", fields))
    read = read_request(journaled)
    assert read is not None
    assert read.body is not None
    assert b'{"body":' + read.body + b"," in journaled
    assert write_request(read.operation, read.method, read.path, orjson.loads(read.body)) == journaled
    assert set(orjson.loads(read.body)) <= {"key", "patient", "ward"}


@pytest.mark.parametrize("value", ["\ud800", 2**80, {1: 2}, object()])
def test_a_value_that_json_cannot_hold_is_refused_by_its_fields_name(value: Any) -> None:
    with pytest.raises(RequestRefused, match=r"in: ward$"):
        API.prepare("putEncounter", Record("encounter", "V-1", "upsert", {"patient": "P-1", "ward": value}))


def test_a_request_over_its_limit_is_refused() -> None:
    small = HttpApiOptions.model_validate({"base_url": "https://rcm.example", "max_body": "100B"})
    api = build(small, operations(), None, no_secrets, lambda: NOW_US)
    with pytest.raises(RequestRefused, match="max_body, 100 bytes"):
        api.prepare("putEncounter", Record("encounter", "V-1", "upsert", {"ward": "W" * 100}))


def test_an_operation_that_is_not_declared_is_refused() -> None:
    with pytest.raises(RequestRefused, match="no operation patchEncounter"):
        API.prepare("patchEncounter", ENCOUNTER)


UNREADABLE = [
    b"",
    b"{}",
    b"[]",
    b'{"body":{},"method":"PUT","operation":"o","path":"//evil.example/x"}',
    b'{"body":{},"method":"PUT","operation":"o","path":"/a/../b"}',
    b'{"body":{},"method":"PUT","operation":"o","path":"/a?b"}',
    b'{"body":{},"method":"PUT","operation":"o","path":"@evil.example"}',
    b'{"body":{},"method":"CONNECT","operation":"o","path":"/a"}',
    b'{"body":[],"method":"PUT","operation":"o","path":"/a"}',
]


@pytest.mark.parametrize("request_bytes", UNREADABLE)
def test_bytes_that_are_no_request_are_not_read_as_one(request_bytes: bytes) -> None:
    assert read_request(request_bytes) is None
