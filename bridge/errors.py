"""What can go wrong, as one small tree.

    BridgeError                     never raised itself
    ├── ConfigurationRefused        files have mistakes: show them, correct them
    ├── JournalUnavailable          nothing was written: the sender keeps its message, try again
    │   └── ItemRefused             this one item cannot be written, others can
    ├── JournalRefused              this journal must not be used by this process: read why
    ├── SpoolDamaged                bytes of a kept file are gone or changed: ask its sender for it again
    ├── SecretUnavailable           a reference leads to no usable secret: see its file or variable
    ├── CertificateRefused          a file of certificates must not be used: read why, replace it
    └── PeerUnavailable             the other side could not be reached: try again later
        └── PeerSilent              it was reached and did not answer: it may have taken what was sent

Each text is for a person: what was expected and what to do, and never patient data.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from bridge.located import Problem


class BridgeError(Exception):
    """The base of all errors that are shown to a person; never raised itself."""


class ConfigurationRefused(BridgeError):
    """Files have mistakes. ``problems`` holds every one of them, with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def mistakes(self) -> tuple[Problem, ...]:
        """The problems for which they were refused, without what is only warned of."""
        return tuple(each for each in self.problems if each.severity == "error")


class JournalUnavailable(BridgeError):
    """The journal could not write, and nothing of what was asked has been written."""


class ItemRefused(JournalUnavailable):
    """The journal works, but its rules refuse this item: trying again would not help.

    Who asks which of the two it is asks for this one first.
    """


class JournalRefused(BridgeError):
    """The journal is of another version, of another node, or on an unsafe SQLite."""


class SpoolDamaged(BridgeError):
    """The bytes of a file beside the journal are not those that came, or are not there."""


class SecretUnavailable(BridgeError):
    """A secret is not there or must not be used. The text names its reference, never its value."""


class CertificateRefused(BridgeError):
    """A certificate, a key or a list of authorities cannot be used. ``reason`` is a code for logs.

    The text names files and references, says what is wrong and what to do, and never shows a key.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class PeerUnavailable(BridgeError):
    """The other side of a connection could not be reached, or went away."""


class PeerSilent(PeerUnavailable):
    """The other side was reached and has not answered; it may have taken what was sent."""


def place_of(error: Exception) -> str:
    """Where in our code a fault is, as file and line; never what it says, which may be of a message."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
