"""Marks the store whose sealed values are bound to their rows, which no earlier release can open.

No table changes. Earlier releases refuse a database of a revision that they don't know.
"""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Changes nothing. Values that Fernet sealed stay as they are: `rotate-keys` seals them again."""
