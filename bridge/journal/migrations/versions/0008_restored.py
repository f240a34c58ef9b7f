"""New arrows of the state machine; the rules that hold it are made anew after every upgrade."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Nothing of the tables changes."""
