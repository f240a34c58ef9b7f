"""A feed before an old engine that takes and sends MLLP: a node, a tap behind the engine, and a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from free_port import free_port
from nodes import Hospital

from bridge.cli.demo import CHANNEL, send_all
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.synthetic import Synthetic
from bridge.destinations.in_loop import in_loop
from bridge.runtime.commands import Commands
from bridge.runtime.service import Node

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


class OverMllp(Hospital):
    """The hospital, its old engine, and the receiver behind both."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.engine, self.receiver, self.tap = FakeReceiver(), FakeReceiver(), free_port()

    async def open_all(self) -> None:
        """Write the site, and start all of it."""
        engine, receiver = await in_loop(self.engine.start()), await in_loop(self.receiver.start())
        apis = self.folder / "site" / "channels" / "apis"
        apis.mkdir(parents=True)
        (self.folder / "site" / "mappings").mkdir()
        site = SITE.format(channel=CHANNEL, tap=self.tap, engine=engine, receiver=receiver)
        (apis.parent / f"{CHANNEL}.yaml").write_text(site)
        (apis / "receiver.yaml").write_text(API.format(receiver=receiver))
        await self.start()

    async def close(self) -> None:
        await self.stop()
        await in_loop(self.engine.stop())
        await in_loop(self.receiver.stop())
        await super().close()

    def running(self) -> Node:
        assert self.node is not None
        return self.node

    async def stage(self, stage: str, actor: str = "user:anna", **more: Any) -> Any:
        """Move the route, as the command line does."""
        node = self.running()
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        asked = {"reason": "test", "target": CHANNEL, "stage": stage, **more}
        return await commands(actor, "stage", asked)

    async def engine_sends(self, message: Synthetic, old: bytes = b"", new: bytes = b"") -> str:
        """What the engine hears of its output through the tap."""
        changed = Synthetic(message.patient, message.step, message.control_id, message.body.replace(old, new))
        (sent,) = await in_loop(send_all(self.tap, [changed]))
        return str(sent.answer.code)


@asynccontextmanager
async def over_mllp(folder: Path) -> AsyncIterator[OverMllp]:
    """All of it, running."""
    made = OverMllp(folder)
    try:
        await made.open_all()
        yield made
    finally:
        await made.close()
