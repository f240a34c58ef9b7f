"""An old engine that sends over MLLP: its output passes a tap, is compared by field, and goes on or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from free_port import free_port
from nodes import Hospital
from reactor_tests import in_reactor, pause, until

from bridge.cli.demo import CHANNEL, send_all
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.synthetic import Synthetic, admission
from bridge.destinations.in_loop import in_loop
from bridge.journal.parity import clusters_of, tallies_of
from bridge.runtime.commands import Commands

SITE = """\
channel: {channel}
source:
  mllp: {{listen: "tcp:0:interface=127.0.0.1", acknowledge: relayed}}
accept: [ADT^*]
order_by: PID-3.1
legacy:
  mllp: "{engine}"
  settle: 100ms
  taps:
    - route: copy
      mllp: {{listen: "tcp:{tap}:interface=127.0.0.1", pass_to: "{receiver}"}}
gates:
  canary: {{messages: 1, of_each_type: 0, days: 0, approvals: 0, unexplained: 100}}
routes:
  - route: copy
    to: {{api: receiver}}
"""
API = """\
api: receiver
mllp: {{connect: "{receiver}"}}
send: original
carries: {{phi: true}}
repeat_safety: header
"""


@in_reactor
async def test_output_over_mllp_is_compared_by_field_passed_on_and_kept_back(tmp_path: Path) -> None:
    engine, receiver, tap = FakeReceiver(), FakeReceiver(), free_port()
    ports = {"engine": await in_loop(engine.start()), "receiver": await in_loop(receiver.start())}
    apis = tmp_path / "site" / "channels" / "apis"
    apis.mkdir(parents=True)
    (tmp_path / "site" / "mappings").mkdir()
    (apis.parent / f"{CHANNEL}.yaml").write_text(SITE.format(channel=CHANNEL, tap=tap, **ports))
    (apis / "receiver.yaml").write_text(API.format(**ports))
    site = Hospital(tmp_path)
    node = await site.start()
    commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)

    async def ask(**arguments: Any) -> Any:
        return await commands("user:anna", "stage", {"reason": "test", "target": CHANNEL, **arguments})

    async def engine_sends(message: Synthetic, old: bytes = b"", new: bytes = b"") -> list[Any]:
        changed = Synthetic(message.patient, message.step, message.control_id, message.body.replace(old, new))
        sent: list[Any] = await in_loop(send_all(tap, [changed]))
        return [each.answer.code for each in sent]

    try:
        await ask(stage="shadow")
        first, second = (admission(7, step, "A08", control_id=f"M{step}") for step in (1, 2))
        assert [each.code for each in await site.send(first)] == ["AA"]
        assert len(engine.applied) == 1
        assert await engine_sends(first, b"HORVAT^ADA", b"Horvat^ADA") == ["AA"]
        assert len(receiver.applied) == 1, "it is the old engine's"
        for _ in range(100):
            if found := await node.journal.read(clusters_of, CHANNEL):
                break
            await pause(0.1)
        assert {(each.kind, each.path, each.number) for each in found} >= {("value", "PID-5.1", 1)}
        assert (await ask(stage="canary", share=10_000)).get("done")
        assert [each.code for each in await site.send(second)] == ["AA"]
        assert await engine_sends(second) == ["AA"], "the engine hears that it was taken"
        await until(lambda: len(receiver.applied) == 2, "the bridge sends it once the key was handed over")
        await pause(0.3)
        assert len(receiver.applied) == 2, "what the old engine made of it was kept back"
        assert await node.journal.read(tallies_of, CHANNEL)
    finally:
        await site.stop()
        await in_loop(engine.stop())
        await in_loop(receiver.stop())
