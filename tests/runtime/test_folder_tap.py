"""An old engine that writes files: its output passes a folder, is compared by field, and goes on or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from file_hospital import drop, left_in
from nodes import Hospital
from reactor_tests import in_reactor, pause, until

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.synthetic import Synthetic, admission
from bridge.destinations.in_loop import in_loop
from bridge.errors import PeerUnavailable
from bridge.journal.outputs import OUTPUT_DONE, Done
from bridge.journal.parity import clusters_of, tallies_of
from bridge.migration.relay.placing import Placing
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
      file: {{directory: {tap}, pass_to: {inbox}, include: ["*.hl7"], poll: 50ms, stable_for: 0s}}
gates:
  canary: {{messages: 1, of_each_type: 0, days: 0, approvals: 0, unexplained: 100, ignored_percent: 100}}
routes:
  - route: copy
    to: {{api: inbox}}
"""
API = """\
api: inbox
file: {{directory: {inbox}, name: "ours-{{delivery}}.hl7"}}
send: original
carries: {{phi: true}}
repeat_safety: natural_key
"""


class Site(Hospital):
    """A feed to an old engine that writes files, a folder as its tap, and the folder where both write."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tap, self.inbox, self.engine = folder / "tap", folder / "inbox", FakeReceiver()

    async def stage(self, stage: str, **more: Any) -> Any:
        node = self.node
        assert node is not None
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        arguments = {"reason": "test", "target": CHANNEL, "stage": stage, **more}
        return await commands("user:anna", "stage", arguments)

    async def passed(self, count: int) -> list[str]:
        """What the old engine's files are called that have gone on, once there are so many."""

        def there() -> list[str]:
            return [name for name in left_in(self.inbox) if not name.startswith(("ours-", "."))]

        await until(lambda: len(there()) >= count, f"{count} files")
        return there()


@asynccontextmanager
async def writing(folder: Path) -> AsyncIterator[Site]:
    site = Site(folder)
    for each in (site.tap, site.inbox, folder / "site" / "channels" / "apis", folder / "site" / "mappings"):
        each.mkdir(parents=True)
    engine = await in_loop(site.engine.start())
    channels, places = folder / "site" / "channels", {"tap": site.tap, "inbox": site.inbox}
    (channels / f"{CHANNEL}.yaml").write_text(SITE.format(channel=CHANNEL, engine=engine, **places))
    (channels / "apis" / "inbox.yaml").write_text(API.format(**places))
    await site.start()
    try:
        yield site
    finally:
        await site.stop()
        await in_loop(site.engine.stop())


def known(patient: int, step: int = 1) -> Synthetic:
    return admission(patient, step, "A08", control_id=f"M{patient}-{step}")


@in_reactor
async def test_output_in_a_folder_is_compared_by_field_passed_on_as_it_is_and_kept_back(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as site:
        assert site.node is not None
        await site.stage("shadow")
        same, other, twin = (known(patient) for patient in (1, 7, 3))
        await site.send(same, other, twin)
        # Two messages of one file, in lines as a file has them; one differs in a name.
        content = (same.body + other.body.replace(b"HORVAT^ADA", b"Horvat^ADA")).replace(b"\r", b"\r\n")
        drop(site.tap, "a.hl7", content)
        drop(site.tap, "b.hl7", b"\x0b" + twin.body + b"\x1c\r")
        drop(site.tap, "c.hl7", b"no message at all\n")
        drop(site.tap, "note.txt", b"not looked at")
        assert await site.passed(3) == ["a.hl7", "b.hl7", "c.hl7"]
        assert (site.inbox / "a.hl7").read_bytes() == content
        assert (site.inbox / "b.hl7").read_bytes() == b"\x0b" + twin.body + b"\x1c\r"
        assert (site.inbox / "c.hl7").read_bytes() == b"no message at all\n"
        await until(lambda: left_in(site.tap) == ["note.txt"], "the tap to be empty")
        for _ in range(100):
            if found := await site.node.journal.read(clusters_of, CHANNEL):
                break
            await pause(0.1)
        assert [(each.kind, each.path, each.number) for each in found] == [("value", "PID-5.1", 1)]
        assert (await site.stage("canary", share=10_000)).get("done")
        # Of a file in which one message is the bridge's, the other goes on.
        later, strange = known(7, 2), known(9)
        await site.send(later)
        drop(site.tap, "d.hl7", later.body + strange.body)
        await until((site.inbox / "d.hl7").exists, "what stands for nothing here")
        assert (site.inbox / "d.hl7").read_bytes() == strange.body
        await until(lambda: any(each.startswith("ours-") for each in left_in(site.inbox)), "ours")
        (ours,) = site.inbox.glob("ours-*")
        assert ours.read_bytes() == later.body
        assert await site.node.journal.read(tallies_of, CHANNEL)


@in_reactor
async def test_an_engine_that_tells_of_no_message_is_paired_by_what_both_have_in_its_order(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as site:
        assert site.node is not None
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(
            channel.read_text().replace("poll: 50ms", "poll: 50ms, pair_by: [PID-3.1, MSH-9.2]")
        )
        await site.node.reload()
        await site.stage("shadow")

        def made(step: int) -> bytes:
            """What the engine makes of it, under a control ID of its own."""
            return known(7, step).body.replace(b"M7-%d" % step, b"E%d" % step)

        await site.send(known(7, 1), known(7, 2))
        for step in (1, 2):
            drop(site.tap, f"{step}.hl7", made(step))
        await site.passed(2)
        for _ in range(100):
            found = await site.node.journal.read(clusters_of, CHANNEL)
            if found and found[0].number == 2:
                break
            await pause(0.1)
        assert [(each.kind, each.path, each.number) for each in found] == [("value", "MSH-10.1", 2)]
        assert (await site.stage("canary", share=10_000)).get("done")
        await site.send(known(7, 3))
        drop(site.tap, "3.hl7", made(3))
        await until(lambda: any(each.startswith("ours-") for each in left_in(site.inbox)), "ours")
        await until(lambda: left_in(site.tap) == [], "the engine's to be kept")
        assert await site.passed(2) == ["1.hl7", "2.hl7"]


@pytest.mark.parametrize("point", ["written", "noted", "shown and taken", "answered"])
@in_reactor
async def test_a_crash_at_any_point_passes_a_file_once(tmp_path: Path, point: str) -> None:
    async with writing(tmp_path) as site:
        assert site.node is not None
        show, submit_all = Placing.show, site.node.journal.submit_all
        reached: list[str] = []

        def ends() -> None:
            reached.append(point)
            raise PeerUnavailable("as if the bridge had ended here")

        def shows(self: Placing, name: str, hidden: str) -> str:
            if point == "noted":
                ends()
            said = show(self, name, hidden)
            if point == "shown and taken":
                (site.inbox / name).unlink()
                ends()
            return said

        def notes(work: object, items: Any, **more: Any) -> Any:
            if work is OUTPUT_DONE and all(isinstance(each, Done) for each in items):
                placed = items[0].state == "PASSING"
                if placed == (point == "written") and point in ("written", "answered"):
                    ends()
            return submit_all(work, items, **more)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site.node.journal, "submit_all", notes)
            patch.setattr(Placing, "show", shows)
            await site.stage("shadow")
            await site.send(known(1))
            drop(site.tap, "a.hl7", known(1).body)
            await until(lambda: bool(reached), point)
            await site.stop()
        await site.start()
        await until(lambda: not left_in(site.tap), "the claim to be let go")
        assert left_in(site.inbox) == ([] if point == "shown and taken" else ["a.hl7"])


@in_reactor
async def test_a_receiver_that_is_behind_and_a_folder_that_is_away_are_told_of_and_waited_for(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as site:
        assert site.node is not None
        parts = site.node.parts
        await site.send(known(1), known(2))
        drop(site.tap, "a.hl7", known(1).body)
        await site.passed(1)
        drop(site.tap, "a.hl7", known(2).body)
        await until(lambda: "has not taken it" in str(parts.taps_shut(CHANNEL)), "to be told")
        assert (site.inbox / "a.hl7").read_bytes() == known(1).body, "nothing is overwritten"
        (site.inbox / "a.hl7").unlink()
        await until(lambda: left_in(site.inbox) == ["a.hl7"], "the second")
        await until(lambda: not parts.taps_shut(CHANNEL), "all to be well")
        away = site.tap.rename(tmp_path / "away")
        await until(lambda: "cannot be opened" in str(parts.taps_shut(CHANNEL)), "to be told")
        away.rename(site.tap)
        await until(lambda: not parts.taps_shut(CHANNEL), "to be found again")


@in_reactor
async def test_a_file_that_is_too_large_is_put_aside_with_the_reason(tmp_path: Path) -> None:
    async with writing(tmp_path) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(channel.read_text().replace("poll: 50ms", "poll: 50ms, max_size: 100B"))
        assert site.node is not None
        await site.node.reload()
        drop(site.tap, "large.hl7", b"MSH|" + b"x" * 200)
        await until((site.tap / "errors" / "large.hl7").exists, "it to be put aside")
        assert b"oversized" in (site.tap / "errors" / "large.hl7.reason.json").read_bytes()
        assert left_in(site.inbox) == []
