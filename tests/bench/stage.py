"""The stage of a run, shared by all loads: the fake upstreams, the two peers, and the run's size."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.bench import machine
from tests.bench.processes import Kind, Peer, Upstream, floor, served, upstream
from tests.bench.stored import InFile, InServer, Stored
from tests.bench.watchers import watching
from tests.postgresql import Postgresql, postgresql

# By then a process has started the others of its own that it starts beside serving.
STARTED_SECONDS: Final = 3.0


class Stage:
    """The stage that all loads of a run share."""

    def __init__(
        self, seconds: float, cases: int, scale: float = 1, *, postgresql: bool = False, watchers: int = 0
    ) -> None:
        self._postgresql = postgresql
        self._watchers = watchers
        self._server: Postgresql | None = None
        self.seconds = seconds
        self.cases = cases
        self._scale = scale
        self._left = ExitStack()
        self._peers: dict[Kind, Peer] = {}

    def __enter__(self) -> "Stage":
        self.folder = Path(self._left.enter_context(tempfile.TemporaryDirectory(prefix="michiq-bench-")))
        self.upstream = self._left.enter_context(upstream(self.folder))
        if self._postgresql:
            with machine.on_core(machine.LOAD_CORE):
                self._server = self._left.enter_context(postgresql(in_memory=False))
        return self

    def __exit__(self, *_: object) -> None:
        self._left.close()

    @property
    def share(self) -> float:
        """Returns the share of the full size at which a run is made."""
        return self._scale

    def scaled(self, size: int) -> int:
        """Returns the size of a load; a run that only looks at answers takes less of everything."""
        return max(1, round(size * self._scale))

    def settle(self, seconds: float) -> None:
        """Waits, at full size, until a process has come to rest."""
        time.sleep(seconds * self._scale)

    def peer(self, kind: Kind) -> Peer:
        """Returns the peer that loads share, started at first use."""
        if kind not in self._peers:
            self._peers[kind] = self._left.enter_context(self.fresh(kind))
            if kind == "proxy":
                self._left.enter_context(watching(self._peers[kind], self._watchers))
        return self._peers[kind]

    def stored(self, folder: Path) -> Stored:
        """Returns a store of its own, on a new folder."""
        folder.mkdir()
        if self._server is None:
            return InFile(folder)
        return InServer(folder, self._server, asyncio.run(self._server.new()))

    @contextmanager
    def fresh(self, kind: Kind, behind: Upstream | None = None, **environ: str) -> Iterator[Peer]:
        """Starts a peer of its own on a new folder, behind these upstreams or those of the run."""
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            start = served if kind == "proxy" else floor
            if self._server is not None and kind == "proxy":
                database = asyncio.run(self._server.new())
                environ = {"MICHIQ_DATABASE_URL": self._server.url(database), **environ}
            with start(Path(name), behind or self.upstream, **environ) as peer:
                yield peer
