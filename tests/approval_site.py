"""A site with persons who approve its files, for tests of commands and of nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from command_line import Ended, bridge
from signed_bundles import signer_of

APPROVERS = """\
people:
  alice: {{key: {alice}, groups: [integration]}}
  bob: {{key: {bob}, groups: [integration]}}
  carol: {{key: {carol}, groups: [finance]}}
  dave: {{key: {dave}, groups: [oncall]}}
groups:
  finance: [claim, invoice, financial]
otherwise: integration
emergency: [oncall]
rules_tested: 0
"""


class ApprovalSite:
    """A folder of files, with the keys of four persons beside it."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.folder, self.keys = folder, keys
        keys.mkdir(exist_ok=True)
        for name in ("alice", "bob", "carol", "dave", "mallory"):
            self.make_key(name)
        self.persons = folder / "approvals" / "approvers.yaml"
        self.persons.parent.mkdir(exist_ok=True)
        lines = {name: signer_of(name).verifier.line for name in ("alice", "bob", "carol", "dave")}
        self.persons.write_text(APPROVERS.format(**lines))

    def make_key(self, name: str, key: str = "") -> Path:
        path = self.keys / f"{name}.key"
        path.write_text(signer_of(name, key).line + "\n")
        path.chmod(0o600)
        return path

    def _run(self, *arguments: object) -> Ended:
        return bridge(*arguments, "--config", self.folder, "--journal", f"sqlite:///{self.keys}/none.db")

    def propose(self, name: str = "alice", *more: object) -> Ended:
        key = self.keys / f"{name}.key"
        return self._run("bundle", "propose", "--key", key, "--reason", "a change", *more)

    def approve(self, name: str = "bob", *more: object) -> Ended:
        key = self.keys / f"{name}.key"
        return self._run("approve", "--key", key, "--reason", "looked at it", *more)

    def listed(self) -> Ended:
        return self._run("bundle", "list", "--format", "json")

    def show(self, *more: Any) -> Ended:
        return bridge("bundle", "--config", self.folder, "--journal", f"sqlite:///{self.keys}/none.db", *more)

    def approved(self) -> None:
        """Have the files approved as they are."""
        for ended in (self.propose(), self.approve()):
            assert ended.status == 0, ended.said

    def change(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
