"""The answer to a file of HL7 v2 messages: a batch of an acknowledgement for each (v2.5.1 §2.10.3). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from bridge.formats.hl7v2_ack import AckCode, AckError, acknowledge, peek
from bridge.message import Microseconds

NOT_TAKEN = AckError("207", "The message waits for a person.")


def batch_of_acknowledgements(
    messages: Iterable[tuple[bytes, bool]], *, control_id: str, at_us: Microseconds
) -> bytes:
    """BHS, the answer to each message in its own delimiters, and BTS with their count.

    Each comes with whether it was taken: AA, or AE where it was not.
    """
    made = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")
    parts = [f"BHS|^~\\&|||||{made}||||{control_id}\r".encode()]
    for number, (body, taken) in enumerate(messages, 1):
        code, error = (AckCode.AA, None) if taken else (AckCode.AE, NOT_TAKEN)
        name = f"{control_id}-{number}"
        parts.append(acknowledge(peek(body), code, control_id=name, at_us=at_us, error=error))
    parts.append(f"BTS|{len(parts) - 1}\r".encode())
    return b"".join(parts)
