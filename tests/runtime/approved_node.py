"""A node that runs by approved files alone, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from approval_site import ApprovalSite
from databases import journal_url
from nodes import Hospital
from twisted.internet import reactor

from bridge.catalog import STANDARD
from bridge.config.approval_files import read_approvals
from bridge.config.load import load
from bridge.errors import ConfigurationRefused
from bridge.message import Microseconds
from bridge.runtime.approving import Mode
from bridge.runtime.service import Node, Plan, real_surroundings, start


class Approved(Hospital):
    """A hospital whose node runs by approved files; its clock can be set on."""

    ahead_us: Microseconds = 0
    mode: Mode = "required"

    async def start(self, catalog: Any = STANDARD) -> Node:
        real = real_surroundings(reactor)
        world = replace(real, now_us=lambda: real.now_us() + self.ahead_us)
        folder = self.folder / "site"
        plan = Plan(
            load(folder, catalog),
            journal_url(self.folder),
            self.secrets,
            0,
            self.folder,
            load=lambda: load(folder, catalog),
            approvals=self.mode,
            read_approvals=lambda: read_approvals(folder),
        )
        self.node = await start(plan, world)
        return self.node

    async def again(self) -> Node:
        await self.stop()
        return await self.start()

    async def reloaded(self) -> None:
        assert self.node is not None
        await self.node.reload()

    async def refused(self) -> list[str]:
        """What a reload is refused with; the node runs on by the files that it had."""
        assert self.node is not None
        before = self.node.parts.topology
        with pytest.raises(ConfigurationRefused) as refused:
            await self.node.reload()
        assert self.node.parts.topology is before
        return [str(problem) for problem in refused.value.problems]


async def refused_with(hospital: Approved, text: str) -> None:
    refused = await hospital.refused()
    assert any(text in each for each in refused), refused


@asynccontextmanager
async def approved(folder: Path) -> AsyncIterator[tuple[Approved, ApprovalSite]]:
    hospital = Approved(folder)
    await hospital.open()
    site = ApprovalSite(folder / "site", folder / "keys")
    site.approved()
    try:
        await hospital.start()
        yield hospital, site
    finally:
        await hospital.close()
