"""What senders in the field send, on a real node over real sockets: what each is answered, and becomes.

Each answer says what is true, with an ERR segment where something is wrong, and the connection is kept: a
good message that follows on it is accepted.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from nodes import entries, hospital, steps_of
from odd_sender import PAUSE_S, Connection
from reactor_tests import in_reactor

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import admission
from bridge.destinations.in_loop import in_loop
from bridge.formats.hl7v2_ack import TABLE_0357
from bridge.formats.hl7v2_strict import STRICT_SEPARATORS_MAX
from bridge.formats.mllp_framing import frame
from bridge.journal.search import find_messages
from bridge.journal.tolerances import charsets, tolerated

pytestmark = pytest.mark.both_databases

BODY = admission(1, 1, "A01", control_id="ODD1").body
FOLLOWING = admission(2, 1, "A01", control_id="GOOD1").body
FOLLOWING_PATIENT = "100002"
LARGE_BYTES = 3 * 1024**2
BLOCK_MAX_BYTES = 4 * 1024**2


def changed(*pairs: tuple[bytes, bytes], body: bytes = BODY) -> bytes:
    for old, new in pairs:
        assert body.count(old), old
        body = body.replace(old, new)
    return body


def header(**numbered: bytes) -> bytes:
    """The message with fields of its MSH changed; ``f10`` is MSH-10."""
    first, rest = BODY.split(b"\r", 1)
    fields = first.split(b"|")
    for name, value in numbered.items():
        fields[int(name[1:]) - 1] = value
    return b"|".join(fields) + b"\r" + rest


def without(segment: bytes) -> bytes:
    kept = [line for line in BODY.split(b"\r") if not line.startswith(segment + b"|")]
    assert len(kept) == BODY.count(b"\r")
    return b"\r".join(kept)


def padded(size_bytes: int) -> bytes:
    return BODY + b"NTE|1||" + b"x" * (size_bytes - len(BODY)) + b"\r"


@dataclass(frozen=True, slots=True)
class Said:
    """What an acknowledgement says: MSA-1, MSA-2, ERR-3.1 (HL7 table 0357), ERR-2 (where)."""

    code: str
    control_id: str
    error: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What is sent, part by part, what is answered, and the ledger's entries without the good message."""

    parts: tuple[bytes, ...]
    answers: tuple[Said, ...]
    becomes: dict[str, int]
    reasons: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()


ROWS: dict[str, Row] = {
    "same MSH-10 twice in one write": Row(
        (frame(BODY) * 2,),
        (Said("AA", "ODD1"), Said("AA", "ODD1")),
        {"delivered": 1, "duplicate": 1},
        ("repeated",),
    ),
    "same MSH-10 with another content": Row(
        (frame(BODY) + frame(changed((b"ELM STREET", b"OAK STREET"))),),
        # Senders restart their counters, so both are processed.
        (Said("AA", "ODD1"), Said("AA", "ODD1")),
        {"delivered": 2},
        flags=("control-id-reused",),
    ),
    "split between FS and CR": Row(
        (frame(BODY)[:-1], b"\r"),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
    ),
    "split everywhere": Row(
        tuple(frame(BODY)[at : at + 40] for at in range(0, len(frame(BODY)), 40)),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
    ),
    "not HL7": Row(
        (frame(b"GET / HTTP/1.1\r\nHost: bridge\r\n\r\n"),),
        (Said("AR", "", "100"),),
        {"refused": 1},
        ("not-hl7",),
    ),
    "MSH without MSH-9 and MSH-10": Row(
        (frame(header(f9=b"", f10=b"")),),
        (Said("AR", "", "101", "MSH^1^9^1"),),
        {"refused": 1},
        ("no-message-type",),
    ),
    "empty MSH-10": Row(
        (frame(header(f10=b"")),),
        # It is on disk, and MSA-2 gives back what the sender sent: nothing.
        (Said("AA", ""),),
        {"delivered": 1},
        flags=("no-control-id",),
    ),
    "no PID in ADT^A01": Row(
        # AA says that it is on disk: a person resolves it here, and the sender has nothing to repeat.
        (frame(without(b"PID")),),
        (Said("AA", "ODD1"),),
        {"quarantined": 1},
        ("no-key",),
    ),
    "invalid UTF-8": Row(
        (frame(changed((b"ELM STREET", b"\xc9LM STREET"))),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
        tolerated=("charset-mismatch",),
    ),
    "MSH-18 8859/1": Row(
        (frame(changed((b"ELM STREET", b"\xc9LM STREET"), body=header(f18=b"8859/1"))),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
    ),
    "version 9.9": Row(
        (frame(header(f12=b"9.9")),),
        (Said("AR", "ODD1", "203", "MSH^1^12^1"),),
        {"refused": 1},
        ("version",),
    ),
    "separators # and *": Row(
        (frame(BODY.replace(b"|", b"#").replace(b"^", b"*")),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
    ),
    "no start byte": Row(
        # Bytes outside a block are nobody's message (MLLP); an answer would be taken for another's.
        (frame(BODY)[1:],),
        (),
        {},
        tolerated=("bytes-before-block",),  # of the good message that follows
    ),
    "FS without CR": Row(
        (frame(BODY)[:-1],),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
        tolerated=("no-return-after-block",),
    ),
    "FS without CR, and the next block": Row(
        (frame(BODY)[:-1] + frame(admission(3, 1, "A01", control_id="ODD3").body),),
        (Said("AA", "ODD1"), Said("AA", "ODD3")),
        {"delivered": 2},
        tolerated=("no-return-after-block",),
    ),
    "NULs and a byte order mark before the block": Row(
        (b"\0\0\xef\xbb\xbf" + frame(BODY),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
        tolerated=("bytes-before-block",),
    ),
    "LF for CR": Row(
        (frame(BODY.replace(b"\r", b"\n")),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
        tolerated=("lf-line-ends",),
    ),
    "short MSH-2, a blank line and no last CR": Row(
        (frame(changed((b"|^~\\&|", b"|^~|"), (b"\rPID|", b"\r\rPID|"))[:-1]),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
        tolerated=("short-encoding-characters no-final-cr blank-line",),
    ),
    "ISO 2022 with a set that cannot be read": Row(
        (frame(changed((b"ELM STREET", b"\x1b$A!!\x1b(B"), body=header(f18=b"ASCII~ISO IR58"))),),
        (Said("AA", "ODD1"),),
        {"quarantined": 1},
        ("unreadable: iso-2022-unreadable",),
        tolerated=("iso-2022",),
    ),
    "empty frame": Row(
        (frame(b""),),
        (Said("AR", "", "100"),),
        {"refused": 1},
        ("not-hl7",),
    ),
    "3 MB": Row(
        (frame(padded(LARGE_BYTES)),),
        (Said("AA", "ODD1"),),
        {"delivered": 1},
    ),
    "above the limit": Row(
        (frame(padded(BLOCK_MAX_BYTES + 1)),),
        (Said("AR", "ODD1", "207"),),
        {"refused": 1},
        ("oversized",),
    ),
    "FHS/BHS batch of 2": Row(
        (frame(b"FHS|^~\\&|EHR\rBHS|^~\\&|EHR\r" + BODY + FOLLOWING + b"BTS|2\rFTS|1\r"),),
        (Said("AR", "", "100"),),
        {"refused": 1},
        ("batch",),
    ),
    "a block that never ends, and the next one": Row(
        # Its sender gave it up: an answer would be taken for the next one's.
        (frame(BODY)[:200],),
        (),
        {"refused": 1},
        ("truncated",),
    ),
    "an event that is not taken": Row(
        (frame(changed((b"ADT^A01^ADT_A01", b"ADT^A60^ADT_A60"))),),
        (Said("AR", "ODD1", "201", "MSH^1^9^1"),),
        {"refused": 1},
        ("type-not-accepted",),
    ),
    "a type that is not taken": Row(
        (frame(changed((b"ADT^A01^ADT_A01", b"ORU^R01^ORU_R01"))),),
        (Said("AR", "ODD1", "200", "MSH^1^9^1"),),
        {"refused": 1},
        ("type-not-accepted",),
    ),
    "processing ID of a test system": Row(
        (frame(header(f11=b"T")),),
        (Said("AR", "ODD1", "202", "MSH^1^11^1"),),
        {"refused": 1},
        ("processing-id",),
    ),
}


def fields(answer: bytes, segment: bytes) -> list[str]:
    """The fields of one segment of an answer, from 0, its name; [] where there is no such segment."""
    separator = answer[3:4]
    for line in answer.split(b"\r"):
        if line.split(separator)[0] == segment:
            return [each.decode() for each in line.split(separator)]
    return []


def read(answer: bytes) -> Said:
    component = fields(answer, b"MSH")[1][0]
    msa, err = fields(answer, b"MSA"), fields(answer, b"ERR")
    if not err:
        return Said(msa[1], msa[2])
    return Said(msa[1], msa[2], err[3].split(component)[0], err[2])


async def exchange(port: int, row: Row) -> tuple[list[bytes], bytes]:
    """The answers to a row, and to the good message that follows it on its connection."""
    connection = await Connection.to(port)
    await connection.write(*row.parts)
    answers = await connection.answers(len(row.answers))
    await asyncio.sleep(0 if answers else PAUSE_S)
    await connection.write(frame(FOLLOWING))
    (following,) = await connection.answers(1)
    assert await connection.close() == []
    return answers, following


def smaller(channel: str) -> str:
    return channel.replace(
        'interface=127.0.0.1"', f'interface=127.0.0.1", max_block: {BLOCK_MAX_BYTES // 1024**2}MiB'
    ).replace("otherwise: reject", "otherwise: reject\nprocessing_ids: [P]")


@pytest.mark.parametrize("name", ROWS)
@in_reactor
async def test_the_answer_is_true_and_the_connection_is_kept(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    async with hospital(tmp_path, smaller) as site:
        assert site.node is not None
        answers, following = await in_loop(exchange(site.node.addresses()[CHANNEL], row))
        assert tuple(map(read, answers)) == row.answers
        assert read(following) == Said("AA", "GOOD1")
        for answer in (*answers, following):
            assert_well_formed(answer)
        counts = await site.settled()
        assert counts.balanced
        expected = {**row.becomes, "delivered": row.becomes.get("delivered", 0) + 1}
        assert entries(counts) == expected
        assert counts.received[CHANNEL] == sum(expected.values())
        rows = await site.node.journal.read(find_messages)
        assert tuple(each["reason"] for each in reversed(rows) if each["reason"]) == row.reasons
        if "refused" not in row.becomes:
            assert tuple(each["flags"] for each in reversed(rows) if each["flags"]) == row.flags
        assert tuple(each["tolerated"] for each in reversed(rows) if each["tolerated"]) == row.tolerated
        expected_counts = Counter(code for codes in row.tolerated for code in codes.split())
        assert (await site.node.journal.read(tolerated)).get(CHANNEL, {}) == expected_counts
        for code, number in expected_counts.items():
            labels = {"channel": CHANNEL, "reason": code}
            series = site.node.metrics.registry.get_sample_value("bridge_tolerated_total", labels)
            assert series == number
        assert steps_of(site.patients, FOLLOWING_PATIENT) == [1], "the good message went through"


def assert_well_formed(answer: bytes) -> None:
    """An acknowledgement as HL7 v2.5.1 §2.9.2 has it: each segment ended, and a control ID of its own."""
    assert answer.endswith(b"\r")
    assert not answer.endswith(b"\r\r")
    msh, msa = fields(answer, b"MSH"), fields(answer, b"MSA")
    component = msh[1][0]
    assert [line[:3] for line in answer.split(b"\r")[:-1]][:2] == [b"MSH", b"MSA"]
    assert re.fullmatch(r"\d{14}\+0000", msh[6])
    assert msh[8].split(component)[0] == "ACK"
    assert msh[9]
    assert msh[9] != msa[2], "its own control ID, not the sender's"
    assert msh[10]
    assert msh[11]
    if err := fields(answer, b"ERR"):
        code, text, table = err[3].split(component)
        assert (TABLE_0357[code], table, err[4]) == (text, "HL70357", "E")
        assert err[8], "words for the sender's operator"
        assert msa[1] in ("AE", "AR")
    else:
        assert msa[1] == "AA"


STRICT: dict[str, tuple[bytes, Said, str]] = {
    "as the standard has it": (frame(BODY), Said("AA", "ODD1"), ""),
    "bytes before the block": (b"\0" + frame(BODY), Said("AR", "ODD1", "100"), "bytes-before-block"),
    "no CR after the block": (frame(BODY)[:-1], Said("AR", "ODD1", "100"), "no-return-after-block"),
    "LF for CR": (frame(BODY.replace(b"\r", b"\n")), Said("AR", "ODD1", "100"), "lf-line-ends"),
    "no last CR": (frame(BODY[:-1]), Said("AR", "ODD1", "100"), "no-final-cr"),
    "short MSH-2": (
        frame(changed((b"|^~\\&|", b"|^~|"))),
        Said("AR", "ODD1", "102", "MSH^1^2^1"),
        "short-encoding-characters",
    ),
    "not in its character set": (
        frame(changed((b"ELM", b"\xc9LM"))),
        Said("AR", "ODD1", "103", "MSH^1^18^1"),
        "charset-mismatch",
    ),
    "unknown to table 0211": (
        frame(header(f18=b"HOUSE")),
        Said("AR", "ODD1", "103", "MSH^1^18^1"),
        "charset-unknown",
    ),
    "too much for python-hl7": (
        frame(BODY + b"ZZZ" + b"|" * (STRICT_SEPARATORS_MAX + 1) + b"\r"),
        Said("AR", "ODD1", "100"),
        "too-large-for-strict",
    ),
    "not HL7": (frame(b"hello"), Said("AR", "", "100"), ""),
}


@in_reactor
async def test_a_strict_channel_takes_what_the_standard_has_and_says_what_it_does_not(
    tmp_path: Path,
) -> None:
    """Each on a connection of its own, with the good message after it."""

    def strict(channel: str) -> str:
        return smaller(channel).replace("accept:", "format: {hl7v2: {strict: true}}\naccept:")

    async with hospital(tmp_path, strict) as site:
        assert site.node is not None
        port = site.node.addresses()[CHANNEL]
        for name, (data, expected, code) in STRICT.items():
            answers, following = await in_loop(exchange(port, Row((data,), (expected,), {})))
            assert read(answers[0]) == expected, name
            assert read(following) == Said("AA", "GOOD1"), name
            assert_well_formed(answers[0])
            if code:
                assert b"This channel is strict" in answers[0], name
        counts = await site.settled()
        assert counts.balanced
        rows = await site.node.journal.read(find_messages)
        reasons = [each["reason"] for each in reversed(rows) if each["state"] == "REFUSED"]
        assert reasons == [
            f"not-strict: {code}" if code else "not-hl7"
            for _, said, code in STRICT.values()
            if said.code == "AR"
        ]
        assert await site.node.journal.read(tolerated) == {}


def test_each_row_begins_with_an_odd_message_and_none_is_the_good_one() -> None:
    for name, row in ROWS.items():
        assert row.parts != (frame(FOLLOWING),), name
        assert "GOOD1" not in {said.control_id for said in row.answers}, name


@in_reactor
async def test_applications_and_facilities_change_places(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        port = site.node.addresses()[CHANNEL]
        answers, _ = await in_loop(exchange(port, Row((frame(BODY),), (Said("AA", "ODD1"),), {})))
        msh = fields(answers[0], b"MSH")
        assert msh[2:6] == ["BRIDGE", "HUB", "EHR", "NORTH"]
        assert (msh[8], msh[10], msh[11], msh[17]) == ("ACK^A01^ACK", "P", "2.5.1", "UNICODE UTF-8")


LETTERS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "8859/1": (
        lambda: changed((b"ELM", b"\xc9LM"), body=header(f18=b"8859/1")),
        "1 ÉLM STREET",
        "iso8859-1 msh-18",
    ),
    "UNICODE UTF-8": (lambda: changed((b"ELM", "ÉLM".encode())), "1 ÉLM STREET", "utf-8 msh-18"),
    "windows-1252 called UTF-8": (
        lambda: changed((b"ELM", b"\xc9LM")),
        "1 ÉLM STREET",
        "cp1252 fallback",
    ),
    "UTF-16": (
        lambda: changed((b"ELM", "ÉLM".encode())).decode().encode("utf-16-be"),
        "1 ÉLM STREET",
        "utf-16-be first-bytes",
    ),
}


@pytest.mark.parametrize("charset", LETTERS)
@in_reactor
async def test_letters_arrive_as_they_were_meant(charset: str, tmp_path: Path) -> None:
    body, street, decided = LETTERS[charset]
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await in_loop(
            exchange(site.node.addresses()[CHANNEL], Row((frame(body()),), (Said("AA", "ODD1"),), {}))
        )
        await site.settled()
        assert street in {applied.mark for applied in site.patients.applied}
        assert (await site.node.journal.read(charsets))[CHANNEL].get(decided, 0) >= 1
