"""Numbers the turns of writes for PostgreSQL's advisory locks (`Database.write`)."""

from collections.abc import Iterable
from hashlib import sha256

from proxy.store.sql.database import Turn


def numbers(turns: Iterable[Turn]) -> list[int]:
    """Returns the lock numbers of the turns, in the one order in which every write takes them."""
    return sorted({_number(turn) for turn in turns})


def _number(turn: Turn) -> int:
    parts = [part.encode("utf-8", "surrogatepass") for part in turn]
    counted = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return int.from_bytes(sha256(counted).digest()[:8], "big", signed=True)
