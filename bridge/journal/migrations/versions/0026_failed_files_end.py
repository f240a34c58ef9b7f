"""A person may let a file end that has failed.

Tables stay as they are: what a file may become is in the rules, which every upgrade puts in place anew.
"""

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Nothing but the rules."""
