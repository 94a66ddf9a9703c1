"""An S3 store that can be killed and started again on its data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.seaweedfs import SeaweedFS, own_seaweedfs


@dataclass(slots=True)
class Storage:
    """One SeaweedFS, always on the same ports."""

    folder: Path
    server: SeaweedFS | None = None
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url("replicas")

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.ports["s3"]

    async def start(self) -> None:
        ports = self.server.ports if self.server else None
        self.server = await asyncio.to_thread(
            lambda: self._running.enter_context(own_seaweedfs(self.folder, ports))
        )

    async def kill(self) -> None:
        await asyncio.to_thread(self._running.close)


@asynccontextmanager
async def storage(folder: Path) -> AsyncIterator[Storage]:
    made = Storage(folder)
    await made.start()
    try:
        yield made
    finally:
        await made.kill()
