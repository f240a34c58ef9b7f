"""What a command gives back, and a command that cannot be done."""

from __future__ import annotations

from typing import Any, Literal

REASON_MAX_CHARACTERS = 500

Said = dict[str, Any]
"""What a command gives back: plain values, or ``error`` with an ``exit`` status of 1, 2 or 3."""


class Refused(Exception):
    """A command that cannot be done; the text says why and what to do."""

    def __init__(self, text: str, exit_status: Literal[1, 2, 3] = 1) -> None:
        super().__init__(text)
        self.exit_status = exit_status


def given_reason(arguments: Said) -> str:
    """The reason that came with a command; empty for none."""
    return str(arguments.get("reason") or "").strip()[:REASON_MAX_CHARACTERS]


def wanted_reason(arguments: Said) -> str:
    """The reason that came with a command. Raises Refused where there is none."""
    reason = given_reason(arguments)
    if not reason:
        raise Refused("say why, with --reason: it is kept beside what you do", 2)
    return reason
