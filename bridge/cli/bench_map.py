"""What mapping costs, `bridge bench map`: a message read, grouped, mapped, validated and written as JSON.

Beside it, taken in turn, what python-hl7 takes for parsing the same message and nothing else.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from bridge.cli.bench_site import message, write_bench_site
from bridge.config.load import load_mapping
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.plan import Plan
from bridge.shipped import shipped

TURNS: Final = 9
TURN_S: Final = 0.15
OBSERVATIONS: Final = 20
_CODES: Final = ("718-7^Hemoglobin^LN", "4544-3^Hematocrit^LN", "6690-2^Leukocytes^LN", "777-3^Platelets^LN")


def report() -> bytes:
    """A report of results with twenty observations, of people and numbers that nobody has."""
    lines = [
        r"MSH|^~\&|LAB|NORTH|BRIDGE|HUB|20260305070200-0600||ORU^R01^ORU_R01|310|P|2.5.1",
        "PID|1||100234^^^NORTH^MR||MARLOW^INES^RUTH||19640312|F|||14 QUARRY LANE^^FENWICK^TX^78701",
        "ORC|RE|ORD-7710^EHR|LAB-99120^LAB||CM||||20260305060000-0600|||1234567893^OKAFOR^LENA",
        "OBR|1|ORD-7710^EHR|LAB-99120^LAB|58410-2^CBC panel^LN|||20260305061500-0600"
        "|||||||||1234567893^OKAFOR^LENA||||||20260305070000-0600||LAB|F",
    ]
    for number in range(1, OBSERVATIONS + 1):
        code, _, rest = _CODES[number % len(_CODES)].partition("^")
        lines.append(
            f"OBX|{number}|NM|{code}-{number}^{rest}|1|{number}.{number % 10}|g/dL|1.0-{number + 5}.0||||F"
            "|||20260305061500-0600||LAB3^ITO^MEI"
        )
    return "\r".join(lines).encode() + b"\r"


def figures(folder: Path) -> dict[str, float]:
    """Processor microseconds of one message, medians of turns that follow each other."""
    site = write_bench_site(folder, "http://127.0.0.1:9", deliver=True)
    adt = load_mapping(site / "mappings" / "bench.yaml", test=False)
    oru = load_mapping(shipped("mappings", "lab-results.yaml"), test=False)
    found: dict[str, float] = {}
    for kind, plan, body in (("adt", adt, message("adt", 1, "1")), ("oru", oru, report())):
        whole, bare = _in_turn(_engine(plan, body), _parse(body.decode()))
        found |= {f"cpu_us_map_{kind}": whole, f"cpu_us_python_hl7_{kind}": bare}
    return found


def _engine(plan: Plan, body: bytes) -> Callable[[], object]:
    def once() -> object:
        mapped = plan.run(Hl7Message.read(body))
        assert mapped.records, "the message of the measurement is mapped"
        return [orjson.dumps({"key": each.key, **each.fields}) for each in mapped.records]

    return once


def _parse(text: str) -> Callable[[], object]:
    import hl7

    return lambda: hl7.parse(text)


def _in_turn(*works: Callable[[], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(TURNS):
        for taken, work in zip(times, works, strict=True):
            count, started_s = 0, time.process_time()
            while time.process_time() - started_s < TURN_S:
                for _ in range(10):
                    work()
                count += 10
            taken.append((time.process_time() - started_s) / count * 1e6)
    return [statistics.median(taken) for taken in times]
