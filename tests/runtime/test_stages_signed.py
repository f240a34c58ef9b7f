"""Where approvals are asked for, who moves a route further signs, and so does who agrees: two keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from approval_site import ApprovalSite
from approved_node import Approved
from command_line import bridge
from databases import journal_url
from reactor_tests import in_reactor
from signed_bundles import signer_of
from staged_site import Staged
from twisted.internet.threads import deferToThread

from bridge.approvals.decisions import FRESH_MAX_US, Decision, asked_of
from bridge.cli.demo import CHANNEL
from bridge.journal.actions import latest

ROUTE = f"{CHANNEL}/patient"


class Signed(Staged, Approved):
    """A hospital with an old engine, whose node runs by approved files."""

    async def decide(self, name: str, stage: str, *, key: str = "", late_us: int = 0, **asked: Any) -> str:
        """What the node says to somebody who signs."""
        node = self.running()
        asked = {"reason": "test", "target": ROUTE, "stage": stage, **asked}
        now_us = node.parts.world.now_us() - late_us
        decision = Decision(node.journal.facts.journal_id, asked_of("stage", asked), name, now_us, "")
        signed = decision.sign(signer_of(name, key)).as_json()
        said = await self.ask("stage", actor="user:root", **{**asked, "signed": signed})
        return str(said.get("error") or said["done"])


@in_reactor
async def test_two_persons_are_two_keys_and_why_one_does_not_count_is_told(
    tmp_path: Path,
) -> None:
    site = Signed(tmp_path)
    site.mode = ""
    try:
        await site.open_staged(messages=1000)
        ApprovalSite(tmp_path / "site", tmp_path / "keys").approved()
        await site.stop()
        site.mode = "required"
        await site.start()
        for unsigned in ({"stage": "shadow"}, {"stage": "canary", "approve": True}):
            said = await site.ask("stage", target=ROUTE, **unsigned)
            assert "two persons are two keys" in said["error"]
        key, url = tmp_path / "keys" / "alice.key", journal_url(tmp_path)
        command = ("stage", ROUTE, "shadow", "--key", key, "--reason", "compare", "--journal", url)
        said = await deferToThread(bridge, *command)  # the node answers on this thread
        assert "stands at shadow" in said.out, said.said
        far: dict[str, Any] = {"share": 500, "force": True}
        assert "--force needs two persons" in await site.decide("alice", "canary", **far)
        # One person with two names of users is one key.
        assert "alice agrees" in await site.decide("alice", "canary", approve=True)
        assert "--force needs two persons" in await site.decide("alice", "canary", **far)
        refused = {
            "mallory is nobody": await site.decide("mallory", "canary", approve=True),
            "not the key": await site.decide("bob", "canary", key="another", approve=True),
            "carol is of finance": await site.decide("carol", "canary", approve=True),
            "at another time": await site.decide(
                "bob", "canary", approve=True, late_us=FRESH_MAX_US + 1_000_000
            ),
        }
        for words, said in refused.items():
            assert words in said
        assert "--force needs two persons" in await site.decide("alice", "canary", **far)
        assert "bob agrees" in await site.decide("bob", "canary", approve=True)
        assert "stands at canary 5 %" in await site.decide("alice", "canary", **far)
        # Back it goes at once, and without a key.
        back = await site.ask("stage", target=ROUTE, stage="back")
        assert "stands at shadow" in back["done"][0]
        actions = await site.running().journal.read(latest, subjects=[f"route {ROUTE}"])
        assert [(row.action, row.actor) for row in actions] == [
            ("stage-back", "user:anna"),
            ("stage", "person:alice"),
            ("stage-approve", "person:bob"),
            ("stage-approve", "person:alice"),
            ("stage", "person:alice"),
        ]
    finally:
        await site.close()


@in_reactor
async def test_what_was_signed_for_something_else_does_not_count(tmp_path: Path) -> None:
    site = Signed(tmp_path)
    site.mode = ""
    try:
        await site.open_staged(messages=1000)
        ApprovalSite(tmp_path / "site", tmp_path / "keys").approved()
        await site.stop()
        site.mode = "required"
        node = await site.start()
        asked = {"reason": "test", "target": ROUTE, "stage": "shadow"}
        journal, now_us = node.journal.facts.journal_id, node.parts.world.now_us()
        for changed in (
            {"journal": "other"},
            {"asked": asked_of("stage", {**asked, "stage": "canary"})},
        ):
            whole = {"journal": journal, "asked": asked_of("stage", asked), **changed}
            whose = whole["journal"], whole["asked"], "alice", now_us
            decision = Decision(*whose, "").sign(signer_of("alice"))
            said = await site.ask("stage", **asked, signed=decision.as_json())
            assert said["error"] == "alice has signed something else"
        forged = Decision(journal, asked_of("stage", asked), "alice", now_us, "").sign(signer_of("alice"))
        said = await site.ask("stage", **asked, signed={**forged.as_json(), "at_us": now_us + 1})
        assert said["error"] == "the signature of alice does not fit"
        for nothing in ({}, "alice", {**forged.as_json(), "at_us": "now"}):
            assert (await site.ask("stage", **asked, signed=nothing))["exit"] == 2
    finally:
        await site.close()
