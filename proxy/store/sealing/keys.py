"""Lists the keys under which the store holds values, by their fingerprints (`Sealer.fingerprints`)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from proxy.store.sealing import fernet
from proxy.store.sealing.sealer import Sealer
from proxy.store.sql.database import Database, Turn, runs_again
from proxy.store.sql.rows import upsert
from proxy.store.sql.tables import meta

_TURN: Final[Turn] = ("keys",)
_NAME: Final = "keys"


@dataclass(frozen=True, slots=True)
class Keys:
    """The store's list of the keys with which processes seal, or have sealed."""

    database: Database
    sealer: Sealer

    async def note(self) -> None:
        """Seals the pepper under this process's newest key, and adds that key to the list."""
        newest = self.sealer.fingerprints[0]

        def work(conn: Connection) -> None:
            self.sealer.renew_pepper(conn)
            listed = _read(conn)
            if newest not in listed:
                _write(conn, {newest, *listed})

        await self.database.write(work, turns=[_TURN], found=runs_again)

    async def renewed(self, others: Iterable[str]) -> None:
        """Leaves in the list only the newest key, and `others`, with which some process still seals."""
        left = {self.sealer.fingerprints[0], *others}
        await self.database.write(lambda conn: _write(conn, left), turns=[_TURN], found=runs_again)

    async def refuse_fernet(self) -> None:
        """Makes the sealer refuse values of earlier releases, once a rotation has found that none is left."""
        if self.sealer.takes_fernet and await self.database.lookup(fernet.is_refused):
            self.sealer.refuse_fernet()

    async def missing(self) -> bool:
        """Returns whether the store may hold values that open with none of this process's keys."""
        return not await self.database.read(_read) <= {*self.sealer.fingerprints}


def _read(conn: Connection) -> set[str]:
    stored = conn.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar_one_or_none()
    return set() if stored is None else set(json.loads(stored))


def _write(conn: Connection, fingerprints: Iterable[str]) -> None:
    upsert(conn, meta, {"name": _NAME}, {"value": json.dumps(sorted(fingerprints)).encode()})
