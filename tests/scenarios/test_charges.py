"""Money: an API that takes a charge and then loses the connection is told of none of them twice."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import orjson
from nodes import Hospital, entries
from reactor_tests import in_reactor

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Attempt, Chances, FakeApi
from bridge.cli.synthetic import Synthetic
from bridge.destinations.in_loop import in_loop
from bridge.journal.quarantine import quarantined

DROPPED = 0.1
SITE = f"""\
channel: {CHANNEL}
source: {{mllp: {{listen: "tcp:0:interface=127.0.0.1"}}}}
format: hl7v2
accept: [DFT^P03]
order_by: PID-18.1
routes:
  - route: charge
    mapping: dft-charge
    record: charge
    to: {{api: erp.charges, operation: postCharge}}
"""
MAPPING = """\
mapping: dft-charge
version: 1.0.0
owner: revenue-cycle
target: canonical/1
source: {format: hl7v2, accept: [DFT^P03], timezone: America/Chicago}
emit:
  - record: charge
    key: FT1-2
    set:
      account: PID-18.1
      service_date: FT1-4
      code: FT1-7.1
      quantity: FT1-10
      kind: {const: charge}
      amount: FT1-11.1
      currency: {const: USD}
ignore:
  - {path: "MSH-*", because: envelope}
  - {path: "PID-*", because: the account is the key}
  - {path: "FT1-*", because: not needed here}
"""
API = """\
api: erp.charges
domain: financial
base_url: URL
auth: none
repeat_safety: SAFETY
carries: {phi: true, financial: true}
limits: {in_flight: 16}
retry: {base: 10ms, cap: 50ms}
breaker: {consecutive: 1000, min_calls: 10000, open: 50ms, open_max: 100ms}
operations:
  postCharge:
    method: POST
    path: /charges
    send_only: [key, account, service_date, code, quantity, kind, amount, currency]
"""


def charge(number: int) -> tuple[Synthetic, Decimal]:
    """A charge of its own account, of an amount with odd cents."""
    amount = Decimal(number * 7919 % 100_000 + 1) / 100
    segments = [
        f"MSH|^~\\&|BILL|NORTH|B|B|20240506070809||DFT^P03^DFT_P03|F{number}|P|2.5.1",
        f"PID|1||P{number}^^^NORTH^MR|||||||||||||||A{number}",
        f"FT1|1|T{number}||20240506||CG|99213^Visit^CPT|||1|{amount}",
    ]
    body = "".join(f"{each}\r" for each in segments).encode()
    return Synthetic(f"P{number}", 1, f"F{number}", body), amount


async def post(
    folder: Path, safety: str, charges: int, *, honours_keys: bool
) -> tuple[Hospital, FakeApi, dict[str, int], Decimal]:
    """Post charges to an API, and what became of them: the ledger's entries, and what they sum up to."""
    site = Hospital(folder)
    await site.open()
    fake = FakeApi(chances=Chances(drop_ratio=DROPPED, seed=7), mark="amount", honours_keys=honours_keys)
    root = folder / "site"
    for file in (root / "channels" / "apis").iterdir():
        file.unlink()
    for file in (root / "mappings").iterdir():
        file.unlink()
    (root / "channels" / f"{CHANNEL}.yaml").write_text(SITE)
    (root / "mappings" / "dft-charge.yaml").write_text(MAPPING)
    text = API.replace("URL", await in_loop(fake.start())).replace("SAFETY", safety)
    (root / "channels" / "apis" / "erp.charges.yaml").write_text(text)
    await site.start()
    total = Decimal(0)
    for start in range(0, charges, 200):
        batch = [charge(number) for number in range(start, min(start + 200, charges))]
        await site.send(*(each for each, _ in batch))
        total += sum(amount for _, amount in batch)
    return site, fake, entries(await site.settled()), total


def asked(attempts: list[Attempt]) -> Decimal:
    return sum((Decimal(orjson.loads(each.body)["amount"]) for each in attempts), Decimal(0))


def posted(fake: FakeApi) -> Decimal:
    return sum((Decimal(each.mark) for each in fake.applied), Decimal(0))


@in_reactor
async def test_where_the_api_knows_a_repeat_every_charge_is_posted_once(tmp_path: Path, charges: int) -> None:
    site, fake, found, total = await post(tmp_path, "header", charges, honours_keys=True)
    try:
        assert found == {"delivered": charges}
        lost = sum(each.answered is None for each in fake.attempts)
        assert lost > 0, "connections were lost"
        assert len(fake.attempts) == charges + lost
        keys = [each.idempotency_key for each in fake.applied]
        assert len(keys) == len(set(keys)) == charges
        assert posted(fake) == total
    finally:
        await site.close()
        await in_loop(fake.stop())


@in_reactor
async def test_where_it_does_not_exactly_the_unknown_ones_wait_for_a_person(
    tmp_path: Path, charges: int
) -> None:
    site, fake, found, total = await post(tmp_path, "none", charges, honours_keys=False)
    try:
        lost = [each for each in fake.attempts if each.answered is None]
        assert lost, "connections were lost"
        assert found == {"delivered": charges - len(lost), "quarantined": len(lost)}
        assert len(fake.attempts) == len(fake.applied) == charges, "nothing was repeated"
        assert posted(fake) == total
        assert site.node is not None
        waiting = await site.node.journal.read(quarantined, limit=charges)
        assert {row["reason"] for row in waiting} == {"outcome-unknown"}
        assert len(waiting) == len(lost)
        assert asked(lost) + asked([each for each in fake.attempts if each.answered]) == total
    finally:
        await site.close()
        await in_loop(fake.stop())


@in_reactor
async def test_an_api_that_is_said_to_know_repeats_and_does_not_is_found_out(tmp_path: Path) -> None:
    """The count can fail: with a word that is not true, charges are posted twice, and the sums say so."""
    site, fake, _, total = await post(tmp_path, "header", 60, honours_keys=False)
    try:
        assert posted(fake) > total
    finally:
        await site.close()
        await in_loop(fake.stop())
