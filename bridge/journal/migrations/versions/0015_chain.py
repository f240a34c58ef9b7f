"""The chain over all changes of state, its checkpoints, and whose data went where."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("transitions", sa.Column("detail", sa.Text(), nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("patient", sa.LargeBinary()))
    op.create_index(
        "deliveries_of_patient",
        "deliveries",
        ["patient", "id"],
        sqlite_where=sa.text("patient IS NOT NULL"),
        postgresql_where=sa.text("patient IS NOT NULL"),
    )
    op.create_table(
        "chain",
        sa.Column("seq", _ID, autoincrement=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("first_action", sa.BigInteger(), nullable=False),
        sa.Column("actions", sa.Integer(), nullable=False),
        sa.Column("first_file_step", sa.BigInteger(), nullable=False),
        sa.Column("file_steps", sa.Integer(), nullable=False),
        sa.Column("first_disclosure", sa.BigInteger(), nullable=False),
        sa.Column("disclosures", sa.Integer(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("configuration", sa.Text(), nullable=False),
        sa.Column("retired", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        comment="One row for each commit that changed a state: the root over what it wrote, linked to the "
        "row before.",
    )
    op.create_table(
        "checkpoints",
        sa.Column("size", _ID, autoincrement=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
        comment="The chain at one size, as a signed note, and what is left of its tree.",
    )
    op.create_table(
        "anchored",
        sa.Column("size", sa.BigInteger(), autoincrement=False),
        sa.Column("anchor", sa.Text()),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", "anchor"),
        comment="Which checkpoints were given to whom outside, and when.",
    )
    op.create_table(
        "disclosures",
        sa.Column("id", _ID, autoincrement=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("patient", sa.LargeBinary(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("api", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("mapping_digest", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        comment="What went where about whom, of messages that retention has deleted; whom, as a keyed hash.",
    )
    op.create_index("disclosures_of_patient", "disclosures", ["patient", "id"])
    op.create_index("disclosures_by_time", "disclosures", ["at_us"])
