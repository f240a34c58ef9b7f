"""Consent: what patients have decided, what a person lets through, and what each delivery asks."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add tables and columns."""
    for table in ("requests", "revised_requests"):
        op.add_column(table, sa.Column("asks", sa.LargeBinary()))
    op.create_table(
        "consents",
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("consent_hash", sa.LargeBinary(), nullable=False),
        sa.Column("patient_hash", sa.LargeBinary(), nullable=False),
        sa.Column("consent", sa.LargeBinary(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("table_name", "consent_hash"),
        comment="What patients have decided, by the hash of whom it is about; the newest of each alone.",
    )
    op.create_index("consents_of_patient", "consents", ["table_name", "patient_hash"])
    op.create_table(
        "consent_overrides",
        sa.Column("patient_hash", sa.LargeBinary(), nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("patient_hash", "api"),
        comment="Whose data a person lets through to an API all the same, and until when.",
    )
