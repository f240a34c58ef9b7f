"""One file read by one reader, in a process of its own: `python -m bridge.cli.bench_reading READER PATH`.

A reader is one of the bridge's formats, as a channel takes files apart, or the least that a program could do
with the same bytes in this language. It says what it took in processor seconds, and what memory it came to.
"""

from __future__ import annotations

import csv
import json
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import iterparse

from bridge.catalog import STANDARD
from bridge.formats.base import Format
from bridge.runtime.files_apart import SPLIT_BYTES

PIECE_BYTES: Final = 1024**2
"""What a bare reader reads at once; the bridge reads as it does where it runs."""
MESSAGE_MAX_BYTES: Final = 16 * 1024**2
CHARGE: Final = struct.Struct("1s10s1s8s7s1s5s9s4s1s")
"""A row of charges: type, account, a blank, date, code, its type, quantity, amount, department, line end."""
OPTIONS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "hl7v2": ("hl7v2", {}),
    "x12": ("x12", {}),
    "csv": (
        "delimited",
        {
            "header": {"first": "H", "columns": ["type", "business_date"]},
            "detail": {"first": "D", "columns": ["type", "account", "date", "code", "quantity", "amount"]},
            "trailer": {"first": "T", "columns": ["type", "count", "total"]},
            "totals": [
                {"trailer": "count"},
                {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
            ],
        },
    ),
    "fixed": (
        "fixed",
        {
            "header": {"says": "H", "fields": {"business_date": "2-9"}},
            "detail": {
                "says": "D",
                "fields": {
                    "account": "2-11",
                    "date": "13-20",
                    "code": "21-27",
                    "quantity": "29-33",
                    "amount": "34-42",
                    "department": "43-46",
                },
            },
            "trailer": {"says": "T", "fields": {"count": "2-10", "total": "11-24"}},
            "totals": [
                {"trailer": "count"},
                {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
            ],
        },
    ),
    "xml": (
        "xml",
        {
            "record": "Charge",
            "totals": [
                {"trailer": "Trailer/Count"},
                {"trailer": "Trailer/Total", "of": "sum", "column": "Amount"},
            ],
        },
    ),
}
"""The formats that are measured, each with its component and options."""


def _by_the_bridge(name: str, path: Path) -> int:
    component_name, options = OPTIONS[name]
    component = STANDARD.find("format", component_name)
    assert component is not None, "it is in the catalog"
    assert component.build is not None, "it can be built"
    made: Format = component.build(component.options.model_validate(options))
    splitter, count = made.splitter(MESSAGE_MAX_BYTES), 0
    for piece in _pieces(path, SPLIT_BYTES):
        count += len(splitter.feed(piece))
    count += len(splitter.end())
    wrong = [each.kind for each in splitter.batches if each.balance == "differs"]
    assert not wrong, f"the file is not what it says: {wrong[:3]}"
    return count


def _messages(path: Path) -> int:
    rest, count = b"", 0
    for piece in _pieces(path):
        *whole, rest = (rest + piece).split(b"\rMSH|")
        count += len(whole)
    return count


def _rows(path: Path) -> int:
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for row in csv.reader(file) if row[0] == "D")


def _fields(path: Path) -> int:
    unpack, count = CHARGE.unpack, 0
    with path.open("rb") as file:
        for line in file:
            if len(line) == CHARGE.size:
                unpack(line)
                count += 1
    return count


def _segments(path: Path) -> int:
    rest, count = b"", 0
    for piece in _pieces(path):
        *whole, rest = (rest + piece).split(b"~")
        for segment in whole:
            count += segment.split(b"*")[0] == b"ST"
    return count


def _elements(path: Path) -> int:
    count = 0
    for _, element in iterparse(path):  # noqa: S314 - it reads what was made for it a moment ago
        if element.tag.endswith("}Charge"):
            count += 1
            element.clear()
    return count


BARE: Final[dict[str, Callable[[Path], int]]] = {
    "hl7v2": _messages,
    "csv": _rows,
    "fixed": _fields,
    "x12": _segments,
    "xml": _elements,
}


def _pieces(path: Path, size: int = PIECE_BYTES) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def _rss_mib(which: str) -> float:
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return 0.0 if found is None else int(found[1]) / 1024


def main(reader: str, path: Path) -> dict[str, float]:
    """What one reader took for a file: ``csv`` of the bridge, ``bare-csv`` without it."""
    name = reader.removeprefix("bare-")
    read = BARE[name] if reader != name else lambda path: _by_the_bridge(name, path)
    idle_mib, began_s = _rss_mib("VmRSS"), time.process_time()
    count = read(path)
    took_s = time.process_time() - began_s
    return {"cpu_s": took_s, "records": count, "rss_mib": max(0.0, _rss_mib("VmHWM") - idle_mib)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1], Path(sys.argv[2]))) + "\n")
