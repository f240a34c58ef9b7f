"""No bytes are too strange: for framing, and for all that reads a message."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from fuzzing import fuzz, kept
from hl7v2_fixtures import QUIRKS, WELL_FORMED

from bridge.formats.hl7v2 import Charset, Hl7Message
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.hl7v2_answer import read_answer
from bridge.formats.hl7v2_check import check_file
from bridge.formats.hl7v2_compare import compare
from bridge.formats.hl7v2_mask import masked
from bridge.formats.hl7v2_strict import objection
from bridge.formats.hl7v2_tolerances import TOLERANCES
from bridge.formats.mllp_framing import Block, Event, MllpFraming, Oversized, Truncated, frame
from bridge.formats.mllp_unframed import Unframed

BLOCK_MAX_BYTES = 500
MESSAGES = [path.read_bytes() for path in (*WELL_FORMED, *QUIRKS)]
STREAMS = [*(frame(body[:300]) for body in MESSAGES[:12]), b"".join(frame(body[:80]) for body in MESSAGES)]
PIECES = [
    b"MSH|^~\\&|", b"\rMSH|", b"MSH", b"\r", b"\n", b"\x0b", b"\x1c", b"\x1c\r", b"\x1a", b"\0",
    b"\xef\xbb\xbf", b"\xff\xfe", b"|", b"^", b"~", b"\\", b"&", b'""', b"\\X", b"\\E\\", b"\x1b$B",
    b"\x1b$A", b"M\0S\0H\0", b"BHS|^~\\&|", b"|8859/1~ISO IR87", b"\x02", b"\x03",
]  # fmt: skip
CHARSETS = (Charset(), Charset("utf-16"), Charset(aliases=(("a", "big5"), ("8859/1", "utf-8"))))


def framing(data: bytes) -> None:
    """Every framing, in pieces and at once, gives the same, holds little, and loses nothing in silence."""
    edges = [*range(0, len(data), 1 + sum(data[:3]) % 61), len(data)]
    for make in (
        lambda: MllpFraming(BLOCK_MAX_BYTES),
        lambda: MllpFraming(BLOCK_MAX_BYTES, start=b"\x02", end=b"\x03", after=b""),
        lambda: MllpFraming(BLOCK_MAX_BYTES, start=b"\0\x0b", end=b"\0\x1c", after=b"\0\r"),
        lambda: MllpFraming(BLOCK_MAX_BYTES, start=b"\x0b\0", end=b"\x1c\0", after=b""),
        lambda: Unframed(BLOCK_MAX_BYTES),
    ):
        whole, pieces = make(), make()
        at_once = whole.feed(data) + whole.at_end(clean=True)
        found: list[Event] = []
        for start, end in pairwise(edges):
            found += pieces.feed(data[start:end])
            assert pieces.buffered_bytes <= BLOCK_MAX_BYTES + 10
        found += pieces.at_end(clean=True)
        assert [_kind(each) for each in found] == [_kind(each) for each in at_once]
        assert all(each.noticed == () or set(each.noticed) <= TOLERANCES.keys()
                   for each in found if isinstance(each, Block))  # fmt: skip


def _kind(event: Event) -> object:
    match event:
        case Block(body):
            return body
        case Oversized(_, size_bytes):
            return size_bytes
        case Truncated(body):
            return len(body) if len(body) <= BLOCK_MAX_BYTES - 10 else None


def reading(data: bytes) -> None:
    """Everything that reads a message gives an answer, and the bytes back."""
    for charset in CHARSETS:
        message = Hl7Message.read(data, charset)
        assert message.serialise() == data
        assert (message.refused is None) == bool(message.segments)
        assert {problem.code for problem in message.problems} <= TOLERANCES.keys()
        assert objection(data, charset, ()) is None or message.problems is not None
        if message.refused is None:
            assert compare(message, message) == []
    header = peek(data)
    answer = acknowledge(header, AckCode.AA, control_id="1", at_us=0)
    assert read_answer(answer) is not None
    read_answer(data)
    assert check_file(data).messages >= 1
    assert len(masked(data)) == len(data)


TARGETS = {"framing": framing, "reading": reading}
SEEDS = {"framing": STREAMS, "reading": MESSAGES}


@pytest.mark.parametrize("path", [*kept("framing"), *kept("reading")], ids=lambda path: path.name)
def test_what_was_trouble_once_is_none_now(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_are_too_strange(name: str, fuzz_cpu_s: float, fuzz_seed: int) -> None:
    print(name, fuzz(TARGETS[name], SEEDS[name], PIECES, cpu_s=fuzz_cpu_s, seed=fuzz_seed))
