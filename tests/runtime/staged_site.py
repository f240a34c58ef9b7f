"""A hospital whose feed goes to an old engine: a node in front of it, taps behind it, and two APIs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from free_port import free_port
from nodes import Hospital
from reactor_tests import until
from shapes_held import holds

from bridge.catalog import STANDARD
from bridge.cli.demo import CHANNEL
from bridge.cli.demo_site import write_site
from bridge.cli.fake_legacy import FakeLegacy
from bridge.config.load import load
from bridge.destinations.in_loop import in_loop
from bridge.runtime.commands import Commands
from bridge.runtime.service import Node

LEGACY = """\
legacy:
  mllp: "tcp:127.0.0.1:{engine}"
  settle: {settle}
  pair_within: {within}
  taps:
    - route: patient
      http:
        listen: "tcp:{patients}:interface=127.0.0.1"
        pass_to: "{patients_url}"
        control_id: X-Message-ID
    - route: encounter
      http:
        listen: "tcp:{encounters}:interface=127.0.0.1"
        pass_to: "{encounters_url}"
        control_id: X-Message-ID
parity:
  rules:
    - {{path: ward, rule: fold, owner: clinical-integration, expires: "2099-12-31"}}
gates:
  canary: {{messages: {messages}, of_each_type: 1, days: 0, approvals: 0, ignored_percent: 100}}
  primary:
    messages: {messages}
    of_each_type: 0
    days: 0
    approvals: 0
    ignored_percent: 100
    rollback_drill: false
  complete:
    messages: {messages}
    of_each_type: 0
    days: 0
    approvals: 0
    ignored_percent: 100
    rollback_drill: false
"""


class Staged(Hospital):
    """The hospital, with its old engine."""

    engine: FakeLegacy

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ports = {"engine": free_port(), "patients": free_port(), "encounters": free_port()}

    async def open_staged(self, *, acknowledge: str = "relayed", **more: Any) -> None:
        """Write the site, and start the engine and the node."""
        values = {"settle": "300ms", "within": "5m", "messages": 4, **self.ports, **more}

        def staged(text: str) -> str:
            legacy = LEGACY.format(
                patients_url=self.urls["patients"], encounters_url=self.urls["encounters"], **values
            )
            text = text.replace('{listen: "', f'{{acknowledge: {acknowledge}, listen: "')
            return text.replace("routes:", legacy + "routes:", 1)

        self.urls = {
            "patients": await in_loop(self.patients.start()),
            "encounters": await in_loop(self.encounters.start()),
        }
        site = write_site(
            self.folder / "site", patients_url=self.urls["patients"], encounters_url=self.urls["encounters"]
        )
        channel = site / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(staged(channel.read_text()))
        write_site(
            self.folder / "old", patients_url=self.urls["patients"], encounters_url=self.urls["encounters"]
        )
        await self.start_engine()
        await self.start()

    async def start_engine(self) -> None:
        """Start the old engine, on what it has taken before."""
        posts = {
            "patient": f"http://127.0.0.1:{self.ports['patients']}",
            "encounter": f"http://127.0.0.1:{self.ports['encounters']}",
        }
        self.engine = FakeLegacy(load(self.folder / "old", STANDARD), posts, self.folder / "engine")
        await in_loop(self.engine.start(port=self.ports["engine"]))

    async def close(self) -> None:
        await self.stop()
        await in_loop(self.engine.stop())
        await super().close()

    def running(self) -> Node:
        assert self.node is not None
        return self.node

    async def ask(self, command: str, actor: str = "user:anna", **arguments: Any) -> Any:
        """Ask the node for something, as the command line does."""
        node = self.running()
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        return await commands(actor, command, {"reason": "test", **arguments})

    async def stage(self, stage: str, target: str = CHANNEL, **more: Any) -> Any:
        said = await self.ask("stage", target=target, stage=stage, **more)
        if "error" not in said:
            holds("stage", said)
        return said

    async def board(self) -> dict[str, Any]:
        rows = (await self.ask("stage-board"))["routes"]
        holds("stage", json.loads(json.dumps(rows)))
        return {row["route"]: row for row in rows}

    async def compared(self, number: int) -> dict[str, Any]:
        """The board once so many pairs of each route were compared."""
        found: dict[str, Any] = {}

        async def look() -> bool:
            found.update(await self.board())
            return all(row["compared"] >= number for row in found.values())

        for _ in range(200):
            if await look():
                return found
            await self.pause(0.1)
        raise AssertionError({name: (row["compared"], row["different"]) for name, row in found.items()})

    async def pause(self, seconds: float) -> None:
        from reactor_tests import pause

        await pause(seconds)

    async def applied(self, number: int) -> None:
        await until(
            lambda: min(len(self.patients.applied), len(self.encounters.applied)) >= number,
            f"{number} applied",
        )


class Queuing:
    """An engine that takes messages, and calls for none of them before it is let go on."""

    def __init__(self, site: Staged) -> None:
        self._go_on, self._post = asyncio.Event(), site.engine._post
        site.engine._post = self._wait  # type: ignore[method-assign, assignment]

    async def _wait(self, *call: Any) -> None:
        await self._go_on.wait()
        await self._post(*call)

    def go_on(self) -> None:
        self._go_on.set()


@asynccontextmanager
async def staged(folder: Path, **more: Any) -> AsyncIterator[Staged]:
    """A staged hospital that runs."""
    made = Staged(folder)
    try:
        await made.open_staged(**more)
        yield made
    finally:
        await made.close()
