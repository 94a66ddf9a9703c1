"""The store of a dry run: reads like the real store, and never writes."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from proxy.store import Store, StoreError
from proxy.store.audit import Audit
from proxy.store.blobs import Blobs, BlobWriter
from proxy.store.conversations import Conversations
from proxy.store.database import Database, Work
from proxy.store.homes import Homes
from proxy.store.journal import Journal
from proxy.store.links import Links
from proxy.store.owners import Owners
from proxy.store.point_reads import PointRead
from proxy.store.probe import Probe
from proxy.store.recordings import Recordings
from proxy.store.sessions import Sessions
from proxy.store.transcriptions import Transcriptions

T = TypeVar("T")

_NAME: Final = "0" * 32
_KEY: Final = bytes(32)


def dry_store(store: Store) -> Store:
    """Returns the same store, but its flows' writes do nothing; any other write raises StoreError.

    A flow does not find its own writes: no flow reads what it has just written.
    """
    dry: Store = _dry(store)
    return dry


def _dry(part: Any) -> Any:
    """Returns a part made anew of dry parts, of any type: a part that is added later can't write either."""
    if isinstance(part, Database):
        return _ReadOnly(part)
    if isinstance(part, Blobs):
        return _Blobs(part)
    if not is_dataclass(part):
        return part
    kind = _KINDS.get(type(part), type(part))
    return kind(**{each.name: _dry(getattr(part, each.name)) for each in fields(part)})


class _ReadOnly(Database):
    """The open database, for reading only."""

    def __init__(self, database: Database) -> None:
        # The base's __init__ would open the file again.
        self._database = database

    async def lookup(self, work: Work[T]) -> T:
        return await self._database.lookup(work)

    async def find(self, read: PointRead, **values: Any) -> Any:
        return await self._database.find(read, **values)

    async def read(self, work: Work[T]) -> T:
        return await self._database.read(work)

    async def write(self, work: Work[T]) -> T:  # noqa: ARG002
        raise StoreError("a dry run does not write")

    async def close(self) -> None:
        """Does nothing: the owner of the database closes it."""


class _Blobs(Blobs):
    """The existing blobs; new ones vanish as they are written."""

    def __init__(self, blobs: Blobs) -> None:
        # The base's __init__ would tidy the folder.
        self._blobs = blobs

    def writer(self) -> BlobWriter:
        return _NoBlob()

    def read(self, name: str, key: bytes) -> AsyncIterator[bytes]:
        return self._blobs.read(name, key)

    async def delete(self, *_: object, **__: object) -> None: ...

    def names_before(self, when: datetime) -> list[str]:
        return self._blobs.names_before(when)

    async def check(self) -> None:
        await self._blobs.check()

    def path(self, name: str) -> Path:
        return self._blobs.path(name)


class _NoBlob(BlobWriter):
    """A writer that drops its bytes; its name and key open nothing."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def write(self, data: bytes) -> None:
        self._digest.update(data)

    async def commit(self) -> tuple[str, bytes]:
        return _NAME, _KEY


class _Owners(Owners):
    async def gather(self, *_: object, **__: object) -> None: ...


class _Sessions(Sessions):
    async def put(self, *_: object, **__: object) -> None: ...

    async def renew(self, *_: object, **__: object) -> None: ...


class _Journal(Journal):
    async def begin(self, *_: object, **__: object) -> None:
        """Does nothing: an earlier entry of the key must not stop the check of what would be sent."""

    async def record(self, *_: object, **__: object) -> None: ...

    async def fail(self, *_: object, **__: object) -> None: ...


class _Recordings(Recordings):
    async def add_chunk(self, *_: object, **__: object) -> bool:
        return True


class _Transcriptions(Transcriptions):
    async def put(self, *_: object, **__: object) -> None: ...


class _Links(Links):
    async def begin(self, case_id: str, digest: str, *_: object, **__: object) -> bool:
        """Decides like the real one: audio that was sent for good is not sent again."""
        same = (link for link in await self.of(case_id) if link.digest == digest)
        return all(link.state in ("pending", "failed") for link in same)

    async def plan(self, *_: object, **__: object) -> None: ...

    async def put_off(self, *_: object, **__: object) -> None: ...

    async def done(self, *_: object, **__: object) -> None: ...

    async def fail(self, *_: object, **__: object) -> None: ...


class _Conversations(Conversations):
    async def put(self, *_: object, **__: object) -> None: ...

    async def add_sent(self, *_: object, **__: object) -> None: ...

    async def drop(self, *_: object, **__: object) -> None: ...


class _Homes(Homes):
    async def forget_legacy_token(self, *_: object, **__: object) -> None: ...


class _Audit(Audit):
    async def first_sight(self, *_: object, **__: object) -> bool:
        return False

    async def add(self, *_: object, **__: object) -> None: ...


class _Probe(Probe):
    async def check(self, *_: object, **__: object) -> None:
        raise StoreError("a dry run does not write")


_KINDS: Final[Mapping[type, type]] = {
    Owners: _Owners,
    Sessions: _Sessions,
    Journal: _Journal,
    Recordings: _Recordings,
    Transcriptions: _Transcriptions,
    Links: _Links,
    Conversations: _Conversations,
    Homes: _Homes,
    Audit: _Audit,
    Probe: _Probe,
}
