"""Decisions at a running node that persons sign: that a route goes to another stage, or may go there.

Where approvals are asked for, two persons are two keys, and not two names of users on one machine. What is
signed is the whole command as it is asked, for one journal and for now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bridge.approvals.people import People
from bridge.approvals.statements import is_signed, signature_of
from bridge.audit.canonical import canonical
from bridge.audit.notes import Signer
from bridge.message import Microseconds

FRESH_MAX_US: Final = 5 * 60 * 1_000_000
"""A decision is done within this of its signing, or signed again: machines' clocks may differ as much."""
_SIGNED_AS: Final = "bridge decision at a node, version 1"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decides. ``asked`` is the command with all that it says, as `asked_of` writes it."""

    journal: str
    asked: str
    person: str
    at_us: Microseconds
    key: str
    signature: str = ""

    @classmethod
    def of_json(cls, value: Any) -> Decision:
        """What `as_json` gave. Raises ValueError where it is something else."""
        texts = ("journal", "asked", "person", "key", "signature")
        if not isinstance(value, dict) or set(value) != {*texts, "at_us"}:
            raise ValueError("no decision")
        if not all(isinstance(value[name], str) for name in texts) or type(value["at_us"]) is not int:
            raise ValueError("no decision")
        return cls(**value)

    def as_json(self) -> dict[str, Any]:
        """The same for a command."""
        return asdict(self)

    @property
    def signed(self) -> str:
        """What the signature is over."""
        without = {name: value for name, value in self.as_json().items() if name != "signature"}
        return f"{_SIGNED_AS}\n{canonical(without)}\n"

    def sign(self, signer: Signer) -> Decision:
        """The same, signed."""
        signing = replace(self, key=signer.verifier.line)
        return replace(signing, signature=signature_of(signer, signing.signed))


def asked_of(command: str, arguments: Mapping[str, Any]) -> str:
    """A command as it is signed. Raises ValueError where an argument has no one text."""
    return canonical({"command": command, "arguments": dict(arguments)})


def refused(
    decision: Decision,
    people: People,
    *,
    journal: str,
    asked: str,
    now_us: Microseconds,
    areas: Iterable[str] = (),
) -> str:
    """Why a decision does not count, in words; empty where it does.

    With ``areas`` it must be by somebody of the group of one of them.
    """
    person = people.persons.get(decision.person)
    if person is None:
        return f"{decision.person} is nobody whom approvals/approvers.yaml names"
    if person.key != decision.key:
        return f"this is not the key that approvals/approvers.yaml has of {person.name}: it was replaced"
    if not is_signed(decision.signed, decision.key, decision.signature):
        return f"the signature of {person.name} does not fit"
    if (decision.journal, decision.asked) != (journal, asked):
        return f"{person.name} has signed something else"
    if abs(now_us - decision.at_us) > FRESH_MAX_US:
        return f"{person.name} has signed this at another time: sign again, and look at both machines' clocks"
    wanted = sorted({people.group_for(area) for area in areas})
    if wanted and not set(wanted) & set(person.groups):
        groups = " and ".join(person.groups) or "no group"
        return f"{person.name} is of {groups}, and this is for {' or '.join(wanted)}"
    return ""
