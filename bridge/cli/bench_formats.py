"""What `bridge bench files` says of each format: how fast a file is taken apart, beside bare readers of the
same bytes, in the same run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import click

from bridge.cli.processes import running
from bridge.cli.synthetic import admission

SIZE_BYTES: Final = 100 * 1024**2
QUICK_SIZE_BYTES: Final = 10 * 1024**2
ROUNDS: Final = 3
MIB: Final = 1024**2
CLAIMS_OF_PAYMENT: Final = 200
ROWS_AT_ONCE: Final = 1000
FORMATS: Final = ("hl7v2", "csv", "fixed", "x12", "xml")
LIMITS: Final = {
    key: limit
    for name in FORMATS
    for key, limit in ((f"{name} / bare", 0.5), (f"rss_split_{name}_mib", 64.0))
}
"""The least that a ratio, and the most that memory above what was there before, may come to."""


def measure_formats(folder: Path, *, quick: bool) -> dict[str, float]:
    """For each format MiB for each processor second, of the bridge and of a bare reader, as medians of rounds
    that take turns; their ratio; and memory."""
    size = QUICK_SIZE_BYTES if quick else SIZE_BYTES
    found: dict[str, float] = {}
    for name in FORMATS:
        click.echo(f"{name}, {size // MIB} MiB …", err=True)
        path = folder / f"made.{name}"
        with path.open("wb") as file:
            for part in _PARTS[name](size):
                file.write(part)
        mib = path.stat().st_size / MIB
        rounds = [(_read(name, path), _read(f"bare-{name}", path)) for _ in range(1 if quick else ROUNDS)]
        found[f"{name}_mib_cpu_s"] = mib / median(ours["cpu_s"] for ours, _ in rounds)
        found[f"bare_{name}_mib_cpu_s"] = mib / median(bare["cpu_s"] for _, bare in rounds)
        found[f"{name} / bare"] = median(bare["cpu_s"] / ours["cpu_s"] for ours, bare in rounds)
        found[f"rss_split_{name}_mib"] = max(ours["rss_mib"] for ours, _ in rounds)
        found[f"{name}_records"] = rounds[0][0]["records"]
        path.unlink()
    return found


def _read(reader: str, path: Path) -> dict[str, float]:
    with running("bridge.cli.bench_reading", reader, str(path)) as process:
        said: dict[str, float] = json.loads(process.line())
    return said


def hl7_batch(size: int) -> Iterator[bytes]:
    """A batch of HL7 v2 admissions of at least so many bytes, with its count."""
    yield b"FHS|^~\\&|HIS\rBHS|^~\\&|HIS|||||||||1\r"
    count, written = 0, 0
    while written < size:
        count += 1
        body = admission(count % 1000, 1, "A01", control_id=f"B{count:09}").body
        written += len(body)
        yield body
    yield f"BTS|{count}\rFTS|1\r".encode()


def csv_charges(size: int) -> Iterator[bytes]:
    """Charges as delimited rows, with their count and sum."""
    yield b"H,20240103\n"
    count, total, written = 0, 0, 0
    while written < size:
        numbers = range(count, count + ROWS_AT_ONCE)
        part = "".join(
            f"D,{n % 7777:010},20240102,{99000 + n % 1000},1,{100 * (n % 1000)}\n" for n in numbers
        )
        count, total = count + ROWS_AT_ONCE, total + sum(100 * (n % 1000) for n in numbers)
        written += len(part)
        yield part.encode()
    yield f"T,{count},{total}\n".encode()


def fixed_charges(size: int) -> Iterator[bytes]:
    """Charges as rows of fixed width, with their count and sum."""
    yield b"H20240103\n"
    count, total, written = 0, 0, 0
    while written < size:
        numbers = range(count, count + ROWS_AT_ONCE)
        part = "".join(
            f"D{n % 7777:010} 20240102{99000 + n % 1000:<7}C00001{100 * (n % 1000):09}ED01\n" for n in numbers
        )
        count, total = count + ROWS_AT_ONCE, total + sum(100 * (n % 1000) for n in numbers)
        written += len(part)
        yield part.encode()
    yield f"T{count:09}{total:014}\n".encode()


def payments(size: int) -> Iterator[bytes]:
    """Payments (835) of so many claims each in one interchange, with their counts and sums."""
    yield (
        f"ISA*00*{'':10}*00*{'':10}*ZZ*{'PAYER':15}*ZZ*{'HOSPITAL':15}*240103*0400*^*00501*000000001*0*P*:~"
        "GS*HP*PAYER*HOSPITAL*20240103*0400*1*X*005010X221A1~"
    ).encode()
    count, written = 0, 0
    while written < size:
        count += 1
        part = _payment(count)
        written += len(part)
        yield part
    yield f"GE*{count}*1~IEA*1*000000001~".encode()


def _payment(number: int) -> bytes:
    claims = "".join(
        f"CLP*A{number:06}{claim:03}*1*{150 + claim}*{100 + claim}*50*12*ICN{number:07}{claim:03}*11*1~"
        f"CAS*CO*45*50~NM1*QC*1*DOE*TEST{claim:02}****MI*ID{number:06}{claim:03}~"
        f"SVC*HC:99{claim:03}*{150 + claim}*{100 + claim}**1~DTM*472*20240102~"
        f"CAS*CO*45*50~AMT*B6*{100 + claim}~"
        for claim in range(CLAIMS_OF_PAYMENT)
    )
    pays = sum(100 + claim for claim in range(CLAIMS_OF_PAYMENT))
    segments = 6 + 7 * CLAIMS_OF_PAYMENT
    return (
        f"ST*835*{number:09}~BPR*I*{pays}*C*ACH*CCP*01*999999999*DA*123456*1512345678**01*999988880*DA*98765*"
        f"20240103~TRN*1*{number:09}*1512345678~N1*PR*PAYER~N1*PE*HOSPITAL*XX*1234567893~{claims}"
        f"SE*{segments}*{number:09}~"
    ).encode()


def xml_charges(size: int) -> Iterator[bytes]:
    """Charges as elements of XML, with their count and sum."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<Charges xmlns="urn:charges">\n'
    count, total, written = 0, 0, 0
    while written < size:
        numbers = range(count, count + ROWS_AT_ONCE)
        part = "".join(
            f'  <Charge id="C-{n:07}">\n    <Account>{n % 7777:010}</Account>\n    <Date>2024-01-02</Date>\n'
            f'    <Code type="C">{99000 + n % 1000}</Code>\n    <Quantity>1</Quantity>\n'
            f"    <Amount>{n % 1000}.00</Amount>\n    <Department>ED01</Department>\n  </Charge>\n"
            for n in numbers
        )
        count, total = count + ROWS_AT_ONCE, total + sum(n % 1000 for n in numbers)
        written += len(part)
        yield part.encode()
    yield f"  <Trailer><Count>{count}</Count><Total>{total}.00</Total></Trailer>\n</Charges>\n".encode()


_PARTS: Final = {
    "hl7v2": hl7_batch,
    "csv": csv_charges,
    "fixed": fixed_charges,
    "x12": payments,
    "xml": xml_charges,
}
