"""What is noted of a message beside its state, and what each of these words means."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RESENT: Final = "resent"
FILE_RESTORED: Final = "file-restored"

FLAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        RESENT: "It came before, and is processed once more, because somebody lets the sender send "
        "again what it has sent: `bridge resend allow`, or a file that was taken once more.",
        FILE_RESTORED: "Its file was being taken apart when an older copy of the journal was put back, which "
        "did not hold this message: it may have been sent already, so a person decides.",
        "no-control-id": "It has no control ID, so nothing tells whether it is a repeat: it is always new.",
        "control-id-reused": "Its sender has used its control ID before, for another message.",
        "unknown-acknowledgement-condition": "MSH-15 or MSH-16 asks for acknowledgements in a word that "
        "is not in HL7 table 0155.",
        "sequence-gap": "Between its sequence number (MSH-13) and the one before, some of its sender are "
        "missing.",
        "sequence-repeat": "Its sequence number (MSH-13) is not higher than the one before of its sender.",
        "late-record": "Its business day was over when it came: `batches: {late: ...}` of the channel.",
        "replay": "It is a message of before, taken in once more: `bridge replay`.",
    }
)
"""By the word, as `bridge messages` and `bridge show` print it."""
