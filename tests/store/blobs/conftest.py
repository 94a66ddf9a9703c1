"""Both kinds of blob store: a test that takes `shelf` runs on each."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.opening import Pause, Surroundings, open_blobs
from proxy.store.blobs.protocol import Blobs
from tests.seaweedfs import CREDENTIALS, Raw, SeaweedFS


async def at_once(_seconds: float) -> None:
    """Waits for nothing between two tries."""


class Names:
    """Names in order: 000…1, 000…2, and so on."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return f"{self.given:032x}"


class Shelf(Protocol):
    """A blob store, and what lies in it, past its back."""

    @property
    def blobs(self) -> Blobs: ...

    async def names(self) -> list[str]:
        """Returns the names of all that is stored, finished or not."""
        ...

    async def content(self, name: str) -> bytes:
        """Returns a blob as it is stored."""
        ...

    async def replace(self, name: str, content: bytes) -> None:
        """Writes what is stored of a blob."""
        ...


@dataclass(frozen=True)
class FolderShelf:
    """A folder of blobs."""

    folder: Path
    blobs: FolderBlobs

    async def names(self) -> list[str]:
        return [path.name for path in self.folder.rglob("*") if path.is_file()]

    async def content(self, name: str) -> bytes:
        return self._path(name).read_bytes()

    async def replace(self, name: str, content: bytes) -> None:
        self._path(name).parent.mkdir(exist_ok=True)
        self._path(name).write_bytes(content)

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / name


@dataclass(frozen=True)
class S3Shelf:
    """A prefix of a bucket."""

    prefix: str
    raw: Raw
    blobs: Blobs

    async def names(self) -> list[str]:
        found = [*await self.raw.names(self.prefix), *await self.raw.uploads(self.prefix)]
        return [path.rpartition("/")[2] for path in found]

    async def content(self, name: str) -> bytes:
        return await self.raw.call("GET", self._path(name))

    async def replace(self, name: str, content: bytes) -> None:
        await self.raw.call("PUT", self._path(name), content)

    def _path(self, name: str) -> str:
        return f"{self.prefix}/{name[:2]}/{name}"


@pytest.fixture(params=["folder", "s3"])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    if request.param == "folder":
        yield FolderShelf(tmp_path / "blobs", FolderBlobs(tmp_path / "blobs", Names()))
        return
    server, prefix = request.getfixturevalue("seaweedfs"), request.getfixturevalue("s3_prefix")
    async with s3_shelf(server, prefix) as shelf:
        yield shelf


@asynccontextmanager
async def s3_shelf(
    server: SeaweedFS, prefix: str, endpoint: str = "", pause: Pause = at_once
) -> AsyncIterator[S3Shelf]:
    """Opens blobs in the S3 store, at another endpoint if something stands in front of it."""
    url = server.url(prefix, endpoint=endpoint)
    async with (
        server.client() as raw,
        open_blobs(url, Names(), Surroundings(CREDENTIALS), pause) as blobs,
    ):
        yield S3Shelf(prefix, raw, blobs)


async def put(blobs: Blobs, content: bytes, piece: int = 40_000) -> tuple[str, bytes]:
    """Stores a blob that comes in pieces of a size; returns its name and key."""
    async with blobs.writer() as writer:
        for start in range(0, len(content), piece):
            await writer.write(content[start : start + piece])
        return await writer.commit()


async def get(blobs: Blobs, name: str, key: bytes) -> bytes:
    return b"".join([piece async for piece in blobs.read(name, key)])


def content_of(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]
