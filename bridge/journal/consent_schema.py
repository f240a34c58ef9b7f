"""Tables of consent: what patients have decided, as it came, and what a person lets through all the same."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text

from bridge.journal.metadata import METADATA
from bridge.journal.sealed import Sealed

consents = Table(
    "consents",
    METADATA,
    Column("table_name", Text, primary_key=True),
    Column("consent_hash", LargeBinary, primary_key=True),
    Column("patient_hash", LargeBinary, nullable=False),
    Column("consent", Sealed("consents.consent"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("consents_of_patient", "table_name", "patient_hash"),
    comment="What patients have decided, by the hash of whom it is about; the newest of each alone.",
)

consent_overrides = Table(
    "consent_overrides",
    METADATA,
    Column("patient_hash", LargeBinary, primary_key=True),
    Column("api", Text, primary_key=True),
    Column("until_us", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    comment="Whose data a person lets through to an API all the same, and until when.",
)
