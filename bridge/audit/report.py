"""What a verification has found, and what it could not have found. Values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

FINDINGS_MAX: Final = 100
"""So many are kept; the first is what matters, since a chain proves nothing about what stands behind it."""

Kind = Literal["altered", "missing", "inserted", "reordered", "truncated", "forked", "forged", "lost"]

KINDS: Final[dict[Kind, str]] = {
    "altered": "what is there is not what was written",
    "missing": "it was written, and is not there any more",
    "inserted": "it is there, and was not written by a node",
    "reordered": "it stands in the place of another one",
    "truncated": "the end of the chain was cut off",
    "forked": "the chain goes on otherwise than what was signed",
    "forged": "a signature that is not by the key it names",
    "lost": "an older copy of the journal was put back; what was written since that copy is not here",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``where`` names the row: ``commit 17``, ``step 4711``, ``checkpoint 2000``."""

    kind: Kind
    where: str
    what: str


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found; the first finding is the first bad row of the chain.

    ``signed_up_to`` and ``anchored_up_to`` count rows of the chain that a good signature, and an anchor from
    elsewhere, stand for. ``before`` are rows older than the chain, which it says nothing about; ``let_go``
    are rows of its own that were deleted, as old as they were.
    """

    commits: int = 0
    first_commit: int = 0
    last_commit: int = 0
    covered: int = 0
    retired: int = 0
    before: int = 0
    let_go: int = 0
    epochs: dict[int, int] = field(default_factory=dict)
    """The first row of each epoch that is there."""
    checkpoints: int = 0
    unknown_keys: set[str] = field(default_factory=set)
    """Keys that have signed, and were not given to whoever verifies."""
    signed_up_to: int = 0
    anchors: int = 0
    anchored_up_to: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def add(self, kind: Kind, where: str, what: str) -> None:
        """Note a finding, as long as there is room."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind, where, what))

    def limits(self) -> list[str]:
        """What this verification could not see, in sentences for whoever relies on it."""
        said = []
        if self.let_go:
            first = self.first_commit - self.let_go
            said.append(
                f"commits {first} to {self.first_commit - 1} were let go of once they were old enough; "
                f"checkpoint {self.first_commit - 1} stands for them, and of what they covered {self.before} "
                "rows are still here, of which nothing is said"
            )
        elif self.before:
            said.append(f"{self.before} rows are older than the chain: nothing is said of them")
        if not self.commits:
            return [*said, "there is no chain here yet: a node begins it with the first thing that it writes"]
        if self.last_commit > self.signed_up_to:
            said.append(
                f"commits {self.signed_up_to + 1} to {self.last_commit} are not signed by a key that was "
                "given: whoever can write the database can have made them"
            )
        if self.last_commit > self.anchored_up_to:
            said.append(
                f"commits {self.anchored_up_to + 1} to {self.last_commit} are in no anchor that was given: "
                "that the end was cut off, or written anew by somebody who has the signing key, only anchors "
                "can show"
            )
        said += [
            f"commit {first} began epoch {epoch}: an older copy of the journal was put back; how much was "
            "written after that copy was made, only anchors can show"
            for epoch, first in self.epochs.items()
            if first != self.first_commit
        ]
        return said
