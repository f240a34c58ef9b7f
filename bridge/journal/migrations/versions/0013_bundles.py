"""Approvals: the sets of files that a node may run by, and what persons have signed about them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("people", sa.Text(), nullable=False),
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
        sa.UniqueConstraint("digest", "author", name="bundles_author"),
        comment="One set of files that a node runs by, ran by, or may run by.",
    )
    op.create_index("bundles_in_state", "bundles", ["state"])
    op.create_table(
        "bundle_statements",
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("does", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_us", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("bundle", "person", "does"),
        sa.ForeignKeyConstraint(["bundle", "author"], ["bundles.digest", "bundles.author"]),
        sa.CheckConstraint(
            "(does = 'propose') = (lower(person) = lower(author))", name="author_cannot_approve"
        ),
        comment="What a person has signed about a bundle: that they propose it, agree, or in an emergency.",
    )
