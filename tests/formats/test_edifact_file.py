"""Files of EDIFACT: each message by itself, held against what its trailers and its control totals say."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest
from code_reading import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.formats.base import Batch, Piece, Unsplittable
from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_file import EdifactFile, messages_of
from bridge.formats.edifact_format import EdifactFormat, EdifactOptions

FIXTURES = sorted((ROOT / "legacy_fixtures" / "edifact").glob("*.edi"))
UNB = b"UNB+UNOC:3+SUPPLIES:14+NORTH:14+240105:0812+88'"
INVOICE = (
    b"BGM+380+INV-7+9'DTM+137:20240105:102'NAD+SU+1::9++O?'UNADILLA'LIN+1++5:EN'QTY+47:2'MOA+203:10.10'"
    b"LIN+2++6:EN'QTY+47:-.5'MOA+203:20,20'UNS+S'"
)
TOTALS = b"CNT+2:2'CNT+1:1.5'MOA+79:30.30'"


def message(
    *, body: bytes = INVOICE + TOTALS, reference: bytes = b"1", kind: bytes = b"INVOIC", more: int = 0
) -> bytes:
    count = body.replace(b"??", b"").replace(b"?'", b"").count(b"'") + 2 + more
    return b"UNH+%b+%b:D:96A:UN'" % (reference, kind) + body + b"UNT+%d+%b'" % (count, reference)


def whole(*messages: bytes, count: int | None = None, reference: bytes = b"88") -> bytes:
    return UNB + b"".join(messages) + b"UNZ+%d+%b'" % (len(messages) if count is None else count, reference)


def grouped(*groups: tuple[bytes, ...], count: int | None = None, of_first: int | None = None) -> bytes:
    made = []
    for number, each in enumerate(groups, 1):
        said = len(each) if of_first is None or number > 1 else of_first
        made.append(b"UNG+INVOIC+S+N+240105:0812+G%d+UN+D:96A'" % number + b"".join(each))
        made.append(b"UNE+%d+G%d'" % (said, number))
    return whole(*made, count=len(groups) if count is None else count)


def split(data: bytes, *, step: int = 1_000_000) -> tuple[list[Piece], list[Batch]]:
    splitter = EdifactFile(1_000_000)
    found: list[Piece] = []
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    found += splitter.end()
    return found, list(splitter.batches)


def told(batch: Batch) -> tuple[Any, ...]:
    return batch.kind, batch.first, batch.last, batch.balance


GOOD = message()
ONE = [("interchange", 1, 1, "balanced")]
WRONG = [("message", 1, 1, "differs"), *ONE]
SPECIAL = whole(GOOD).replace(b"'", b"~").replace(b"+", b"|").replace(b":", b">").replace(b"?~", b"!'")
CASES: dict[str, tuple[bytes, int, list[tuple[Any, ...]]]] = {
    "one": (whole(GOOD), 1, ONE),
    "line ends": (whole(GOOD).replace(b"'", b"'\r\n").replace(b"?'\r\n", b"?'"), 1, ONE),
    "lines of a fixed length, which cut names and values": (
        b"\r\n".join(whole(GOOD)[at : at + 31] for at in range(0, len(whole(GOOD)), 31)), 1, ONE,
    ),
    "last terminator is missing": (whole(GOOD)[:-1], 1, ONE),
    "a byte order mark, and UNA": (b"\xef\xbb\xbfUNA:+,? '\r\n" + whole(GOOD), 1, ONE),
    "separators of its own": (b"UNA>|.! ~" + SPECIAL, 1, ONE),
    "separators of the first level B": (
        whole(message(body=b"BGM+380'", kind=b"QUOTES"))
        .replace(b"'", b"\x1c").replace(b"+", b"\x1d").replace(b":", b"\x1f"), 1, ONE,
    ),
    "no release character": (b"UNA:+.  '" + whole(message(body=b"BGM+380+what?+9'", kind=b"QUOTES")), 1, ONE),
    "a release character that is released ends nothing": (
        whole(message(body=b"FTX+AAI+++a??'", kind=b"QUOTES")), 1, ONE,
    ),
    "groups": (grouped((GOOD, message(reference=b"2")), (message(reference=b"3"),)), 3, [
        ("group", 1, 2, "balanced"), ("group", 3, 3, "balanced"), ("interchange", 1, 3, "balanced"),
    ]),
    "one segment too few": (whole(message(more=1)), 1, WRONG),
    "one cent": (
        whole(message(body=INVOICE + TOTALS.replace(b"30.30", b"30.31"))), 1, WRONG,
    ),
    "one line": (
        whole(message(body=INVOICE + TOTALS.replace(b"2:2", b"2:3"))), 1, WRONG,
    ),
    "half a piece": (
        whole(message(body=INVOICE + TOTALS.replace(b"1.5", b"2"))), 1, WRONG,
    ),
    "one message too few": (whole(GOOD, message(reference=b"2"), count=3), 2, [
        ("interchange", 1, 2, "differs"),
    ]),
    "one message too few in a group": (grouped((GOOD,), of_first=2), 1, [("group", 1, 1, "differs"), *ONE]),
    "one group too few": (grouped((GOOD,), count=2), 1, [
        ("group", 1, 1, "balanced"), ("interchange", 1, 1, "differs"),
    ]),
    "another reference": (whole(GOOD, reference=b"89"), 1, [("interchange", 1, 1, "differs")]),
    "no UNZ": (UNB + GOOD, 1, [("interchange", 1, 1, "no-trailer")]),
    "several interchanges": (whole(GOOD) + b"\r\nUNA>|.! ~" + SPECIAL, 2, [
        *ONE, ("interchange", 2, 2, "balanced"),
    ]),
    "what CNT counts in a message that is not known": (
        whole(message(body=b"BGM+1'CNT+2:9'", kind=b"REMADV")), 1, ONE,
    ),
}  # fmt: skip
REFUSED = {
    "text": (b"no interchange at all", "no-unb"),
    "empty": (b" \r\n", "no-unb"),
    "cut in UNA": (b"UNA:+.", "no-unb"),
    "UNA without UNB": (b"UNA:+.? '" + GOOD, "no-unb"),
    "cut in a message": (whole(GOOD)[:120], "no-unt"),
    "UNH where UNT is missing": (UNB + GOOD[:60] + b"'" + GOOD, "no-unt"),
    "text behind": (whole(GOOD) + b"and so on", "bytes-after-interchange"),
    "outside": (UNB + b"LIN+1'" + GOOD, "segment-outside"),
    "one separator for two": (b"UNA:+.?+'" + whole(GOOD), "bad-separators"),
    "a letter as a separator": (b"UNA:+.?X'" + whole(GOOD), "bad-separators"),
    "a separator that nobody names": (b"UNB|UNOC>3|" + GOOD, "bad-separators"),
}


@pytest.mark.parametrize("step", [1, 13, 1_000_000])
@pytest.mark.parametrize("name", CASES)
def test_messages_come_out_by_themselves_and_are_judged(name: str, step: int) -> None:
    data, messages, expected = CASES[name]
    pieces, batches = split(data, step=step)
    assert len(pieces) == messages
    assert [told(batch) for batch in batches] == expected
    for piece in pieces:
        [alone], again = split(piece.body)
        assert alone.body == piece.body
        assert all(batch.balance != "no-trailer" for batch in again)
        read = EdifactMessage.read(piece.body)
        noted = ["line-end-in-segment"] if "fixed length" in name else []
        assert (read.refused, [each.code for each in read.problems]) == (None, noted)
        assert data[piece.offset_bytes :].startswith(b"UNH")


@pytest.mark.parametrize("step", [1, 1_000_000])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_file_is_told_by_name(name: str, step: int) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(Unsplittable) as caught:
        split(data, step=step)
    assert caught.value.reason == reason
    [read] = messages_of(data)
    assert read.refused is not None


def test_an_invoice_that_is_wrong_by_a_cent_says_what_and_where() -> None:
    data = whole(message(body=INVOICE + TOTALS.replace(b"30.30", b"30.31")))
    [wrong] = [each for batch in split(data)[1] for each in batch.differences]
    assert (wrong.what, wrong.declared, wrong.found) == ("amount", "30.31", "30.30")
    assert wrong.place == f"MOA-01.2 at byte {data.index(b'MOA+79')}"


@pytest.mark.parametrize("amount", [b"1e5", b"NaN", b"1 2", b"--1", b"1" * 40])
def test_what_is_no_amount_is_told_and_not_guessed(amount: bytes) -> None:
    data = whole(message(body=(INVOICE + TOTALS).replace(b"10.10", amount)))
    [wrong] = [each for batch in split(data)[1] for each in batch.differences]
    assert (wrong.what, wrong.declared) == ("amount", "unreadable")
    assert wrong.place.startswith("MOA-01.2")


def test_a_file_of_many_messages_has_one_sum_and_not_a_batch_for_each() -> None:
    data = whole(*[message(reference=b"%d" % number) for number in range(300)])
    [batch] = split(data)[1]
    assert (batch.found, batch.declared) == ({"messages": "300", "amount": "9090.00"}, {"messages": "300"})


def test_what_a_message_adds_to_the_sum_of_its_file_is_told() -> None:
    data = whole(GOOD, message(reference=b"2", body=INVOICE.replace(b"10.10", b"1,10")))
    pieces, batches = split(data)
    amounts = [made().shares(each.body)["amount"].amount for each in pieces]
    assert (amounts, str(sum(amounts))) == ([Decimal("30.30"), Decimal("21.30")], batches[-1].found["amount"])
    assert made().shares(whole(message(kind=b"ORDERS", body=b"LIN+1'"))) == made().shares(b"no") == {}


def made(**options: object) -> EdifactFormat:
    return EdifactFormat(EdifactOptions.model_validate(options))


def test_the_header_says_what_intake_decides_from() -> None:
    [piece], _ = split(whole(GOOD))
    header = made().header(piece.body)
    assert header.readable
    assert (header.message_code_event, header.version) == ("INVOIC", b"D.96A.UN")
    assert (header.control_id, header.processing_id) == (b"88-1", b"P")
    assert made().header(whole(GOOD).replace(b"+88'", b"+88++++++1'", 1)).processing_id == b"T"
    assert not made().header(b"no").readable


def test_what_is_released_is_data_and_what_is_not_separates() -> None:
    body = b"FTX+AAI+++a?+b?:c?'d??e:f*g'"
    read = EdifactMessage.read(whole(message(body=body)))
    assert read.value("FTX", 4) == "a+b:c'd?e"
    assert read.value("FTX", 4, 1, 2) == "f*g"
    repeated = EdifactMessage.read(whole(message(body=body)).replace(b"UNOC:3", b"UNOC:4"))
    assert (repeated.value("FTX", 4, 2), repeated.value("FTX", 4, 1, 2)) == ("g", "f")
    stray = EdifactMessage.read(whole(message(body=b"FTX+A\x1fB+C?\x1dD'")))
    assert [stray.value("FTX", 1), stray.value("FTX", 2)] == ["A B", "C D"], "ours separate nothing"


@pytest.mark.parametrize(
    ("repertoire", "written", "declared", "decided"),
    [
        ("UNOA", "ascii", "from-message", ("ascii", "unb")),
        ("UNOC", "iso8859-1", "from-message", ("iso8859-1", "unb")),
        ("UNOD", "iso8859-2", "from-message", ("iso8859-2", "unb")),
        ("UNOE", "iso8859-5", "from-message", ("iso8859-5", "unb")),
        ("UNOW", "utf-8", "from-message", ("utf-8", "unb")),
        ("UNOA", "utf-8", "from-message", ("utf-8", "fallback")),
        ("UNOB", "windows-1252", "from-message", ("windows-1252", "fallback")),
        ("UNOA", "windows-1250", "windows-1250", ("cp1250", "channel")),
    ],
)
def test_characters_are_those_of_the_repertoire(
    repertoire: str, written: str, declared: str, decided: tuple[str, str]
) -> None:
    name = {"ascii": "Smith", "iso8859-5": "Ковач"}.get(written, "Müller")
    data = whole(message(body=f"NAD+SU+++{name}'".encode(written))).replace(b"UNOC", repertoire.encode())
    read = made(charset=declared).read(data)
    assert (read.value("NAD", 4), (read.encoding, read.decided_by)) == (name, decided)
    assert [each.code for each in read.problems] == (["charset-mismatch"] if decided[1] == "fallback" else [])


def test_a_repertoire_that_switches_is_refused() -> None:
    read = made().read(whole(GOOD).replace(b"UNOC", b"UNOX"))
    assert read.refused is not None
    assert read.refused.code == "unsupported-repertoire"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (whole(GOOD), ""),
        (b"UNA>|.! ~" + SPECIAL, ""),
        (whole(message(body=b"NAD+SU+++Smith'")).replace(b"UNOC", b"UNOA"), "not-in-repertoire"),
        (whole(message(body=b"NAD+SU+++SMITH'")).replace(b"UNOC", b"UNOA"), ""),
        (whole(message(body=b"NAD+SU+++a\x07'")), "not-in-repertoire"),
        (whole(message(body="NAD+SU+++é'".encode())).replace(b"UNOC", b"UNOB"), "charset-mismatch"),
        (whole(message(body=b"NAD+SU+++a\nb'")), "line-end-in-segment"),
        (whole(message(body=b"FTX+a?\x1db'")), "second-differs"),
        (whole(message(body=b"LIN+1'" * 10_001)), "too-large-for-strict"),
        (b"no", "no-unb"),
    ],
)  # fmt: skip
def test_a_strict_channel_takes_what_a_second_reader_reads_alike(data: bytes, code: str) -> None:
    found = made(strict=True).objection(data, ())
    assert ("" if found is None else found.code) == code
    assert made().objection(data, ()) is None


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_fixtures_balance_and_two_readers_read_them_alike(path: Any) -> None:
    pieces, batches = split(path.read_bytes(), step=77)
    assert pieces
    assert all(batch.balance == "balanced" for batch in batches)
    assert {made(strict=True).objection(each.body, ()) for each in pieces} == {None}


REASONS = (
    "no-unb", "no-unt", "bad-separators", "segment-outside", "bytes-after-interchange", "message-too-large",
)  # fmt: skip


FILES = [path.read_bytes() for path in FIXTURES]
PARTS = [b"'", b"+", b"?", b"??'", b"UNT+1'", b"UNZ+1+1'", b"UNA:+.? '"]


@settings(max_examples=30)
@given(st.integers(0, 1_000_000))
def test_changed_files_raise_nothing_but_their_reason_and_are_cut_alike_in_any_pieces(seed: int) -> None:
    chance = random.Random(seed)
    strict = made(strict=True)
    for _ in range(20):
        changed = bytearray(
            chance.choice([path.read_bytes() for path in FIXTURES] + [b"UNA>|.! ~" + SPECIAL])
        )
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(changed))
            match chance.randrange(3):
                case 0:
                    changed[at] = chance.randrange(256)
                case 1:
                    del changed[at : at + chance.randrange(40)]
                case _:
                    changed[at:at] = chance.choice([*PARTS, bytes(changed[:90])])
        data = bytes(changed)
        at_once, in_pieces = everything(data, 1_000_000), everything(data, chance.choice([3, 17, 500]))
        assert at_once == in_pieces
        for each in at_once:
            if isinstance(each, Piece):
                assert isinstance(made().content(each.body), bytes)
                assert isinstance(made().header(each.body).control_id, bytes)
                strict.objection(each.body, ())
        assert at_once[:1] != [""]


def everything(data: bytes, step: int) -> list[object]:
    """All that comes out of a file, with the reason where it is refused."""
    splitter = EdifactFile(1_000_000)
    found: list[object] = []
    try:
        for start in range(0, len(data), step):
            found += splitter.feed(data[start : start + step])
        found += splitter.end()
    except Unsplittable as refused:
        return [refused.reason, refused.offset_bytes] if refused.reason in REASONS else [""]
    return [*found, *splitter.batches]
