"""Under which keys the store holds values, by their fingerprints (`Sealer.fingerprints`)."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from proxy.store import fernet
from proxy.store.database_protocol import Database
from proxy.store.rows import upsert
from proxy.store.sealer import Sealer
from proxy.store.tables import meta

_NAME: Final = "keys"


@dataclass(frozen=True, slots=True)
class Keys:
    """A list in the store of the keys that processes seal, or have sealed, with."""

    database: Database
    sealer: Sealer

    async def note(self) -> None:
        """Adds the newest key of this process, which seals with it from now on; the pepper first."""
        newest = self.sealer.fingerprints[0]

        def work(conn: Connection) -> None:
            self.sealer.renew_pepper(conn)
            _write(conn, {newest, *_read(conn)})

        await self.database.write(work)

    async def renewed(self, others: Iterable[str]) -> None:
        """Leaves the newest key alone in the list, and `others`, which some process still seals with."""
        left = {self.sealer.fingerprints[0], *others}
        await self.database.write(lambda conn: _write(conn, left))

    async def refuse_fernet(self) -> None:
        """Opens no value of an earlier release any more, once a rotation has found that none is left."""
        if await self.database.lookup(fernet.is_refused):
            self.sealer.refuse_fernet()

    async def missing(self) -> bool:
        """Tells whether the store may hold values that open with none of this process's keys."""
        return not await self.database.read(_read) <= {*self.sealer.fingerprints}


def _read(conn: Connection) -> set[str]:
    kept = conn.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar_one_or_none()
    return set() if kept is None else set(json.loads(kept))


def _write(conn: Connection, fingerprints: Iterable[str]) -> None:
    upsert(conn, meta, {"name": _NAME}, {"value": json.dumps(sorted(fingerprints)).encode()})
