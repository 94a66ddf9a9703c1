"""Sealed values are bound to their rows from here on, which no earlier release can open.

No table changes. Earlier releases refuse a database of a revision that they don't know.
"""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Values that Fernet sealed stay as they are: `rotate-keys` seals them anew."""
