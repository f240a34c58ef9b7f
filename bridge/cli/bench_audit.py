"""What the audit costs, `bridge bench audit`: the processor time that it adds to a delivery, and that of a
verification.

Two journals get the same work by turns, one commit each: one is whole, the other writes the same rows of
`transitions` and nothing of the chain. What is said beside a step, its detail, is made in both, and so is
measured by itself and added. Beside it stands what a chain of single rows takes for a delivery's five steps,
each a JSON text and a hash and nothing that is stored: microseconds swing with a machine's neighbours, their
ratio hardly.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from bridge.audit.details import digest, of_attempt, of_delivery, of_receipt, plain_type
from bridge.cli import output as out
from bridge.cli.bench_runs import Figures
from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.audit import verify_chain
from bridge.journal.chain import Head, Whose
from bridge.journal.database import Database, Facts, upgrade
from bridge.journal.deliveries import SETTLE, START, Settlement, Start
from bridge.journal.messages import RECEIVE, TRANSLATE, NewDelivery, Translation
from bridge.journal.repeats import Arrival
from bridge.journal.transaction import Transaction, Work

COMMITS_OF: Final = (1, 8, 32)
"""Deliveries of one commit: one by itself, a few, and as many as translation takes at once."""
DELIVERIES: Final = 6400
ROWS: Final = 1_000_000
QUICK_DELIVERIES, QUICK_ROWS = 1280, 100_000
COST_MAX_US: Final = 25.0
"""Of a delivery, at the largest commits."""
ROW_BY_ROW_MAX: Final = 1.0
"""All that is stored and can be proven costs no more than hashing row by row alone."""
VERIFY_MAX_S: Final = 5.0
"""Of a million rows."""
NOW_US: Final = 1_800_000_000_000_000
BODY: Final = b"MSH|^~\\&|EHR|NORTH|BRIDGE|HUB|20270115||ADT^A01^ADT_A01|" + b"x" * 950
DIGEST: Final = "ab" * 32
VERDICTS: Final = "plcmvbkratiuson"
PATIENT: Final = "NORTH:100234"


class _WithoutChain(Transaction):
    """Writes the steps, and no row that covers them."""

    def finish(self) -> Head:
        self.write_steps()
        return self.head


class _Site:
    """A journal that is written commit by commit, and what its transactions took."""

    def __init__(self, folder: Path, name: str, kind: type[Transaction]) -> None:
        self.database = Database(f"sqlite:///{folder / name}.db", create=True)
        upgrade(self.database, random_bytes=os.urandom)
        self._kind = kind
        self.connection = self.database.writer.connect()
        # What the disk takes is the same for both, and no processor time.
        self.connection.connection.cursor().execute("PRAGMA synchronous = OFF")
        with self.connection.begin():
            self.facts = Facts(self.connection)
        self._counters: dict[str, int] = dict.fromkeys(("messages", "deliveries", "transitions"), 0)
        self._head = Head()
        self._whose = Whose(self.facts.journal_id, 1, "", DIGEST)
        self.took_ns = 0

    def write(self, work: Callable[[Transaction], Any]) -> Any:
        """One commit; what it took is added."""
        began_ns = time.thread_time_ns()
        with self.connection.begin():
            transaction = self._kind(self.connection, self.facts, self._counters, self._head, self._whose)
            result = work(transaction)
            self._head = transaction.finish()
        self.took_ns += time.thread_time_ns() - began_ns
        return result

    def run(self, work: Work[Any, Any], items: Sequence[Any]) -> Sequence[Any]:
        """One commit of one kind of work."""
        return self.write(lambda transaction: work.run(transaction, items))  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of it."""
        self.connection.close()
        self.database.close()


def _arrival(facts: Facts, number: int) -> Arrival:
    body = BODY + b"%d\r" % number
    hashed = facts.hash(body)
    return Arrival(
        channel="ehr-adt", received_at_us=NOW_US, peer="127.0.0.1", message_type="ADT^A01^ADT_A01",
        control_id=str(number), body=body, fingerprint=hashed, repeat_hash=hashed, repeats_since_us=0,
        state=MessageState.RECEIVED, reason="", flags="", trace_id=bytes(16), answer=b"MSA|AA",
        answer_code="AA",
    )  # fmt: skip


def _translation(message_id: int, patient: str) -> Translation:
    new = NewDelivery(
        "patient", "ehr", "putPatient", DeliveryState.READY, "", "adt-admit@1", DIGEST, BODY,
        verdicts="lcmn", contract_digest=DIGEST, patient=patient,
    )  # fmt: skip
    return Translation(message_id, "ehr-adt", NOW_US, (b"key",), MessageState.MAPPED, "", "", (new,))


def _steps_of(site: _Site, first: int, count: int, patient: str) -> Iterator[None]:
    """So many deliveries from their arrival to their end, in four commits."""
    received = site.run(RECEIVE, [_arrival(site.facts, first + number) for number in range(count)])
    yield
    ids = site.run(TRANSLATE, [_translation(each.message_id, patient) for each in received])
    yield
    site.run(
        START,
        [Start(made[0], NOW_US, each.message_id) for made, each in zip(ids, received, strict=True)],
    )
    yield
    ended = [
        Settlement(delivery_id, each.message_id, 1, NOW_US, NOW_US + 5, "delivered", 200, "", bytes(8),
                   (DeliveryState.DELIVERED,), 0, 0, verdicts=VERDICTS)
        for (delivery_id,), each in zip(ids, received, strict=True)
    ]  # fmt: skip
    site.run(SETTLE, ended)
    yield


def _details_us(facts: Facts) -> float:
    """Making what is said beside the steps of one delivery."""
    turns: list[float] = []
    for _ in range(9):
        began_ns = time.thread_time_ns()
        for _ in range(200):
            patient = facts.hashes.patient(PATIENT)
            of_receipt("ehr-adt", plain_type("ADT^A01^ADT_A01"), digest(BODY), bytes(16))
            of_delivery(
                "patient", "ehr", "putPatient", "adt-admit@1", DIGEST, DIGEST, "lcmn", digest(BODY), patient
            )
            of_attempt(1, 200, "delivered", VERDICTS)
        turns.append((time.thread_time_ns() - began_ns) / 200 / 1000)
    return min(turns)


def _row_by_row_us() -> float:
    """Five texts and five hashes, as the least of programs makes them."""
    detail = {
        "api": "ehr", "contract": DIGEST, "mapping": "adt-admit@1", "mapping_digest": DIGEST,
        "operation": "putPatient", "patient": DIGEST[:32], "payload": DIGEST, "verdicts": "lcmn",
    }  # fmt: skip
    row = {"actor": "bridge", "at": NOW_US, "delivery": 7, "detail": None, "from": "READY", "id": 7,
           "kind": "step", "message": 7, "reason": "", "to": "IN_FLIGHT"}  # fmt: skip
    rows = [row, row, row, {**row, "detail": detail}, {**row, "detail": detail}]
    turns: list[float] = []
    for _ in range(9):
        head, began_ns = b"", time.thread_time_ns()
        for _ in range(100):
            for each in rows:
                text = json.dumps(each, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
                head = sha256(head + text.encode()).digest()
        turns.append((time.thread_time_ns() - began_ns) / 100 / 1000)
    return min(turns)


def _cost(folder: Path, size: int, deliveries: int) -> Figures:
    """What the chain adds to a delivery, in commits of so many: the best of ten parts of a run with it and of
    the same without, since neighbours only ever add to it."""
    whole = _Site(folder, f"whole-{size}", Transaction)
    without = _Site(folder, f"without-{size}", _WithoutChain)
    patient = whole.facts.hashes.patient(PATIENT)
    rounds = max(20, deliveries // size)
    with_it, steps = [], []
    try:
        for part in range(10):
            whole.took_ns = without.took_ns = 0
            for number in range(rounds // 10):
                first = (part * rounds + number) * size
                pairs = [_steps_of(site, first, size, patient) for site in (whole, without)]
                for _ in range(4):
                    for each in reversed(pairs) if number % 2 else pairs:
                        next(each)
            done = rounds // 10 * size * 1000
            if part:  # what is made once was made in the first
                with_it.append(whole.took_ns / done)
                steps.append(without.took_ns / done)
        details_us, row_by_row_us = _details_us(whole.facts), _row_by_row_us()
    finally:
        whole.close()
        without.close()
    chain_us = min(with_it) - min(steps)
    return {
        f"cpu_us_steps_{size}": min(steps),
        f"cpu_us_chain_{size}": chain_us,
        f"cpu_us_audit_{size}": chain_us + details_us,
        "cpu_us_details": details_us,
        "cpu_us_row_by_row": row_by_row_us,
    }


def _verification(folder: Path, rows: int) -> Figures:
    """Seconds that a million rows take, in commits of the largest size: of a processor, and on the wall."""
    site = _Site(folder, "many", Transaction)
    details = (
        of_receipt("ehr-adt", "ADT^A01^ADT_A01", DIGEST, bytes(16)),
        "",
        of_delivery("patient", "ehr", "putPatient", "adt-admit@1", DIGEST, DIGEST, "lcmn", DIGEST, "0f" * 16),
        "",
        of_attempt(1, 200, "delivered", VERDICTS),
    )
    states = ("RECEIVED", "MAPPED", "READY", "IN_FLIGHT", "DELIVERED")
    before = (None, "RECEIVED", None, "READY", "IN_FLIGHT")

    def steps(transaction: Transaction) -> None:
        for step in range(COMMITS_OF[-1]):
            at = step % 5
            delivery = None if at < 2 else step
            transaction.transition(step, delivery, before[at], states[at], NOW_US, "", detail=details[at])

    commits = rows // COMMITS_OF[-1]
    try:
        for _ in range(commits):
            site.write(steps)
        cpu_s, wall_s = [], []
        for _ in range(3):
            with site.database.reader.connect() as connection:
                cpu, wall = time.process_time(), time.perf_counter()
                report = verify_chain(connection)
                cpu_s.append(time.process_time() - cpu)
                wall_s.append(time.perf_counter() - wall)
            assert report.good, report.findings
            assert report.covered == commits * COMMITS_OF[-1], "every row was looked at"
    finally:
        site.close()
    million = 1_000_000 / report.covered
    return {
        "rows_verified": float(report.covered),
        "verify_million_cpu_s": min(cpu_s) * million,
        "verify_million_s": min(wall_s) * million,
    }


def measure(folder: Path, *, quick: bool) -> Figures:
    """All figures of one round."""
    found: Figures = {}
    for size in COMMITS_OF:
        found |= _cost(folder, size, QUICK_DELIVERIES if quick else DELIVERIES)
    return found | _verification(folder, QUICK_ROWS if quick else ROWS)


def tell(rounds: Sequence[Figures], output: str) -> None:
    """Print every round, and what is held against its limit."""
    largest = f"cpu_us_audit_{COMMITS_OF[-1]}"
    held = [
        _held(largest, COST_MAX_US, [each[largest] for each in rounds]),
        _held(
            f"{largest} / cpu_us_row_by_row",
            ROW_BY_ROW_MAX,
            [each[largest] / each["cpu_us_row_by_row"] for each in rounds],
        ),
        _held("verify_million_cpu_s", VERIFY_MAX_S, [each["verify_million_cpu_s"] for each in rounds]),
    ]
    if output == "json":
        out.json({"rounds": rounds, "limits": held})
        return
    names = [f"round {number}" for number in range(1, len(rounds) + 1)]
    rows = [(name, *(f"{figures[name]:,.1f}" for figures in rounds)) for name in rounds[0]]
    out.table("", ["figure", *names], rows, right=names)
    out.table(
        "medians of all rounds against their limits",
        ["", "median", "good is", "reached"],
        (
            (
                row["figure"],
                f"{row['median']:.2f}",
                f"at most {row['at_most']:g}",
                "reached" if row["reached"] else "missed",
            )
            for row in held
        ),
        right=("median",),
    )


def _held(figure: str, at_most: float, values: Sequence[float]) -> dict[str, Any]:
    median = statistics.median(values)
    return {"figure": figure, "median": median, "at_most": at_most, "reached": median <= at_most}
