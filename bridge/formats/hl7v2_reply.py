"""What an acknowledgement says, to whom it is addressed. Reading never fails."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.formats.hl7v2_ack import peek


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What an answer says (HL7 table 0008, and the texts of MSA-3 and ERR)."""

    code: str
    control_id: str
    text: str

    @classmethod
    def read(cls, answer: bytes) -> Acknowledged:
        """Take an answer apart; code '?' where it is no acknowledgement."""
        separator = peek(answer).field_separator
        segments = {
            line[:3]: line.split(separator) for line in answer.replace(b"\n", b"\r").split(b"\r") if line
        }
        msa = [*segments.get(b"MSA", []), b"", b"", b"", b""]
        err = [*segments.get(b"ERR", []), *[b""] * 9]
        text = b" ".join(filter(None, (msa[3], err[3], err[8]))).decode("utf-8", "replace")
        return cls(msa[1].decode("ascii", "replace") or "?", msa[2].decode("utf-8", "replace"), text)
