"""Where the HL7 v2 fixtures are."""

from __future__ import annotations

from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "legacy_fixtures"
WELL_FORMED = sorted((FIXTURES / "hl7v2").glob("*.hl7"))
QUIRKS = sorted((FIXTURES / "quirks").glob("*.hl7"))


def fixture(name: str) -> bytes:
    """The bytes of ``hl7v2/adt_a01`` or ``quirks/framed``."""
    return (FIXTURES / f"{name}.hl7").read_bytes()
