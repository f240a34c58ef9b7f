"""The journal's tables of approvals: which files a node was allowed to run by, and who said so.

That an author cannot approve stands here too, so that no command and no fault of ours gets around it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from bridge.journal.metadata import METADATA

NOT_THE_AUTHOR = "(does = 'propose') = (lower(person) = lower(author))"
"""Who proposes a bundle is its author, and nobody else; whoever says anything else of it is another."""

bundles = Table(
    "bundles",
    METADATA,
    Column("digest", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("base", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("people", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    UniqueConstraint("digest", "author", name="bundles_author"),
    Index("bundles_in_state", "state"),
    comment="One set of files that a node runs by, ran by, or may run by.",
)

bundle_statements = Table(
    "bundle_statements",
    METADATA,
    Column("bundle", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("does", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger),
    Column("reason", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("signature", Text, nullable=False),
    PrimaryKeyConstraint("bundle", "person", "does"),
    ForeignKeyConstraint(["bundle", "author"], ["bundles.digest", "bundles.author"]),
    CheckConstraint(NOT_THE_AUTHOR, name="author_cannot_approve"),
    comment="What a person has signed about a bundle: that they propose it, agree, or in an emergency.",
)
