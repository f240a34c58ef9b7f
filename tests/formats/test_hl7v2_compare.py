"""Comparing messages: what they say counts, and how they are written does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hl7v2_fixtures import WELL_FORMED, fixture

from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.hl7v2_compare import Difference, compare

A01 = fixture("hl7v2/adt_a01")
HEAD = b"MSH|^~\\&|A\r"


def differences(a: bytes, b: bytes, *ignored: str) -> list[Difference]:
    return compare(Hl7Message.read(a), Hl7Message.read(b), ignored)


def paths(a: bytes, b: bytes, *ignored: str) -> list[str]:
    return [each.path for each in differences(HEAD + a, HEAD + b, *ignored)]


def free(body: bytes) -> bytes:
    """Two characters that no value of the message holds."""
    return bytes(each for each in b"!$%@*#=;" if each not in body)[:2]


def escaped(body: bytes) -> bytes:
    """The same, where an escape of a delimiter means the character that it stands for here."""
    return body.replace(b"\\F\\", b"\\X7C\\").replace(b"\\S\\", b"\\X5E\\")


WRITTEN_OTHERWISE: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda body: body,
    "LF": lambda body: body.replace(b"\r", b"\n"),
    "framed": lambda body: b"\x0b" + body + b"\x1c\r",
    "other delimiters": lambda body: escaped(body).translate(bytes.maketrans(b"|^", free(body))),
    "empty fields at the end": lambda body: body.replace(b"\r", b"||\r"),
    "another character set": lambda body: body.decode().encode("utf-16-le"),
}


@pytest.mark.parametrize("path", WELL_FORMED, ids=lambda path: path.stem)
@pytest.mark.parametrize("way", WRITTEN_OTHERWISE)
def test_ways_of_writing_make_no_difference(path: Path, way: str) -> None:
    body = path.read_bytes()
    assert differences(body, WRITTEN_OTHERWISE[way](body)) == []


CASES: dict[str, tuple[bytes, bytes, list[str]]] = {
    "a field": (b"PID|1||7", b"PID|1||8", ["PID-3.1"]),
    "a component": (b"PID|1||7^^^N", b"PID|1||7^^^S", ["PID-3.4"]),
    "a subcomponent": (b"PID|||||a&b", b"PID|||||a&c", ["PID-5.1.2"]),
    "a repetition": (b"PID|||1~2", b"PID|||1~3", ["PID-3[2].1"]),
    "a repetition more": (b"PID|||1", b"PID|||1~2", ["PID-3[2].1"]),
    "a value less": (b"PID|1|2", b"PID|1", ["PID-2.1"]),
    "a segment of several": (b"AL1|1\rAL1|2", b"AL1|1\rAL1|3", ["AL1[2]-1.1"]),
    "a segment more": (b"AL1|1", b"AL1|1\rAL1|2", ["AL1[2]"]),
    "a segment of one side": (b"PID|1", b"PV1|1", ["PID", "PV1"]),
    "the order": (b"PID|1\rPV1|1", b"PV1|1\rPID|1", ["order of segments"]),
    "empty and null": (b"PID|1|", b'PID|1|""', ["PID-2.1"]),
    "an escape": (b"NTE|a\\T\\b", b"NTE|a\\F\\b", ["NTE-1.1"]),
    "an escape and what it stands for": (b"NTE|a\\X41\\", b"NTE|aA", []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_differs_is_told_with_its_place(name: str) -> None:
    a, b, expected = CASES[name]
    assert paths(a, b) == expected
    assert len(paths(b, a)) == len(expected)


def test_values_stand_with_the_place() -> None:
    (found,) = differences(HEAD + b"PID|1|x", HEAD + b'PID|1|""')
    assert found == Difference("PID-2.1", "PID", 2, "x", NULL)


def test_fields_and_segments_may_be_left_out() -> None:
    assert differences(A01, A01.replace(b"MSH|", b"MSH|"), "MSH-7") == []
    assert paths(b"PID|1|x\rZPI|1", b"PID|1|y\rZPI|2", "PID-2", "ZPI") == []
    assert paths(b"PID|1|x\rZPI|1", b"PID|1|y\rZPI|2", "ZPI") == ["PID-2.1"]
