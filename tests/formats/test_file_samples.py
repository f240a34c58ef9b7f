"""Whole files of X12 and XML, and batches of HL7 v2: judged as somebody judges them who counts by hand.

Without a folder of samples they are files that `bridge generate` makes. ``--samples`` names a folder with
others, in any folders below it; ``--mutants`` says how many changed copies are read.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from fuzzing import mutated

from bridge.cli.generated_entry import FIRST_DAY
from bridge.cli.generated_files import lines_of
from bridge.formats.base import Splitter, Unsplittable
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_file import Hl7v2File
from bridge.formats.x12 import X12Message
from bridge.formats.x12_file import X12File
from bridge.formats.xml_format import XmlFormat
from bridge.formats.xml_options import XmlOptions

Judged = list[tuple[str, bool]]
PIECES = (
    b"~",
    b"*",
    b"\r",
    b"|",
    b"ISA*",
    b"IEA*1*1~",
    b"SE*1*1~",
    b"ST*835*1~",
    b"BTS|1\r",
    b"FHS|^~\\&|",
    b"MSH|^~\\&|",
    b"\x0b",
    b"\n",
    b"<Dispense>",
    b"</Dispense>",
    b"<![CDATA[",
    b"<!--",
    b"<!DOCTYPE",
    b"&",
    b'"',
    b"/>",
    b"?>",
)


def samples(folder: Path | None) -> dict[str, bytes]:
    """Whole files by name; the ending of X12 is .x12."""
    if folder is None:
        endings = {"results": "hl7", "dispenses": "xml"}
        kinds = ("835", "837", "277", "850", "810", "results", "dispenses")
        return {
            f"{kind}.{endings.get(kind, 'x12')}": b"".join(lines_of(kind, 1, 4, FIRST_DAY)) for kind in kinds
        }
    paths = [*folder.rglob("*.x12"), *folder.rglob("*.hl7")]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}
    assert found, f"{folder} has no file *.x12 or *.hl7"
    return found


_XML = XmlFormat(
    XmlOptions.model_validate(
        {
            "record": "Dispense",
            "header": "Header",
            "totals": [
                {"trailer": "Trailer/Dispenses"},
                {"trailer": "Trailer/Total", "of": "sum", "column": "Items/Item/Amount"},
            ],
        }
    )
)
_READERS: dict[str, tuple[Callable[[int], Splitter], Callable[[bytes], object]]] = {
    "x12": (X12File, X12Message.read),
    "hl7": (Hl7v2File, Hl7Message.read),
    "xml": (_XML.splitter, _XML.read),
}


def read(name: str, data: bytes, step: int = 1_000_000) -> tuple[int, Judged]:
    """How many messages a file gives, each of which is read, and which of its batches are as they say.

    A transaction that is as it says is a batch of its own only where it pays something.
    """
    make, reads = _READERS[name.rpartition(".")[2]]
    splitter = make(1_000_000)
    pieces = [piece for at in range(0, len(data), step) for piece in splitter.feed(data[at : at + step])]
    pieces += splitter.end()
    for piece in pieces:
        reads(piece.body)
    return len(pieces), told((batch.kind, batch.balance == "balanced") for batch in splitter.batches)


def told(judged: Iterable[tuple[str, bool]]) -> Judged:
    return [each for each in judged if each != ("transaction", True)]


def by_hand(name: str, data: bytes) -> tuple[int, Judged]:
    """The same, counted segment by segment, of files that nobody has changed."""
    by = {"x12": _x12_by_hand, "hl7": _hl7_by_hand, "xml": _xml_by_hand}
    return by[name.rpartition(".")[2]](data)


def _xml_by_hand(data: bytes) -> tuple[int, Judged]:
    root = fromstring(data)
    space = "{urn:fenwick:dispensing}"
    said = [root.findtext(f"{space}Trailer/{space}{name}", "") for name in ("Dispenses", "Total")]
    count = len(root.findall(f"{space}Dispense"))
    total = sum(Decimal(each.text or "") for each in root.iter(f"{space}Amount"))
    return count, [("records", (int(said[0]), Decimal(said[1])) == (count, total))]


def _x12_by_hand(data: bytes) -> tuple[int, Judged]:
    separator, terminator = data[3:4], data[105:106]
    segments = [each.strip().split(separator) for each in data.split(terminator) if each.strip()]
    judged: Judged = []
    groups, sets, size, paid, messages = 0, 0, 0, Decimal(0), 0
    control: dict[bytes, bytes] = {}
    said: Decimal | None = None
    for segment in segments:
        size += 1
        match segment[0]:
            case b"ISA":
                groups, control[b"IEA"] = 0, segment[13]
            case b"GS":
                sets, control[b"GE"] = 0, segment[6]
            case b"ST":
                size, paid, said, control[b"SE"] = 1, Decimal(0), None, segment[2]
                is_payment, messages = segment[1] == b"835", messages + 1
            case b"BPR" if is_payment:
                said = Decimal(segment[2].decode())
            case b"CLP":
                paid += Decimal(segment[4].decode())
            case b"PLB":
                paid -= sum(Decimal(each.decode()) for each in segment[4::2])
            case b"SE":
                right = (int(segment[1]), segment[2]) == (size, control[b"SE"]) and said in (None, paid)
                sets += 1
                judged.append(("transaction", right))
            case b"GE":
                groups += 1
                judged.append(("group", (int(segment[1]), segment[2]) == (sets, control[b"GE"])))
            case b"IEA":
                judged.append(("interchange", (int(segment[1]), segment[2]) == (groups, control[b"IEA"])))
    return messages, told(judged)


def _hl7_by_hand(data: bytes) -> tuple[int, Judged]:
    judged: Judged = []
    counts: Counter[str] = Counter()
    in_batch = in_file = 0
    for line in data.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace("\n", "\r").split("\r"):
        name, _, rest = line.strip("\x0b\x1c").partition("|")
        counts[name] += 1
        match name:
            case "BHS":
                in_batch = 0
            case "MSH":
                in_batch += 1
            case "BTS":
                in_file += 1
                judged.append(("batch", int(rest.partition("|")[0]) == in_batch))
            case "FTS":
                judged.append(("file", int(rest.partition("|")[0]) == in_file))
    return counts["MSH"], judged


def test_whole_files_are_judged_as_somebody_who_counts_judges_them(pytestconfig: pytest.Config) -> None:
    for name, data in samples(pytestconfig.getoption("--samples")).items():
        found = read(name, data)
        assert found == by_hand(name, data), name
        assert found == read(name, data, step=97), name
        print(name, found[0], " ".join(f"{kind}{'' if right else ': WRONG'}" for kind, right in found[1]))


def wrong(name: str, data: bytes) -> Iterator[bytes]:
    """Files of which one trailer says one more than there is."""
    trailers: dict[str, tuple[bytes, ...]] = {
        "x12": tuple(each + data[3:4] for each in (b"SE", b"GE", b"IEA")),
        "hl7": (b"BTS|", b"FTS|"),
        "xml": (b"<Dispenses>", b"<Total>"),
    }
    for trailer in trailers[name.rpartition(".")[2]]:
        before, mark, after = data.rpartition(trailer)
        digits = len(after) - len(after.lstrip(b"0123456789"))
        if mark and digits:
            yield before + mark + str(int(after[:digits]) + 1).encode() + after[digits:]


def test_one_more_in_any_trailer_is_seen(pytestconfig: pytest.Config) -> None:
    for name, data in samples(pytestconfig.getoption("--samples")).items():
        _, right = read(name, data)
        for changed in wrong(name, data):
            assert changed != data
            _, judged = read(name, changed)
            assert sum(not is_right for _, is_right in judged) == 1 + sum(not each for _, each in right), name


def test_changed_copies_raise_nothing_but_their_reason(pytestconfig: pytest.Config) -> None:
    files, count = samples(pytestconfig.getoption("--samples")), pytestconfig.getoption("--mutants")
    chance, reasons = random.Random(count), Counter[str]()
    names = list(files)
    for number in range(count):
        name = names[number % len(names)]
        changed = mutated(chance, [files[name]], PIECES)
        try:
            messages, _ = read(name, changed, chance.choice([1, 61, 1_000_000]))
            reasons["read" if messages else "read, without a message"] += 1
        except Unsplittable as refused:
            reasons[refused.reason] += 1
    assert reasons.total() == count
    assert reasons["read"] > 0
    print(f"{count} changed copies of {len(files)} files: {dict(reasons.most_common())}")
