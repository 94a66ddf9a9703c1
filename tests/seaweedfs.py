"""A real S3 store for tests: one SeaweedFS for all test processes, ended when the last of them has ended.

Each test process holds a shared lock on a file. A guard, which starts the server, waits for that lock alone:
it gets it when no test process lives, however they ended.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import aiohttp
from aiohttp_s3_client import S3Client
from aiohttp_s3_client.credentials import StaticCredentials

ROOT: Final = Path(__file__).parent.parent
WEED: Final = Path(sys.executable).with_name("weed")
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "tests-key-id", "AWS_SECRET_ACCESS_KEY": "tests-secret-canary"}
BUCKET: Final = "audio"
_SECONDS: Final = 30.0
_PORTS: Final = ("master", "volume", "filer", "admin", "s3")
_GRPC: Final = 10_000  # above a part's port, as its other parts expect


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """A running server, and what a test needs to call it."""

    endpoint: str
    pid: int
    ports: Mapping[str, int] = field(repr=False)
    folder: Path = field(repr=False)

    def url(self, prefix: str = "", bucket: str = BUCKET, endpoint: str = "") -> str:
        """Returns the setting of a blob store under this prefix."""
        return f"s3://{bucket}/{prefix}?endpoint={endpoint or self.endpoint}"

    @asynccontextmanager
    async def client(self, bucket: str = BUCKET) -> AsyncIterator["Raw"]:
        """Gives a client that knows nothing of blobs."""
        async with aiohttp.ClientSession() as session:
            yield Raw(S3Client(session, f"{self.endpoint}/{bucket}", credentials=_credentials()))

    def kill(self) -> None:
        """Kills the server, as by a loss of power."""
        os.kill(self.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Raw:
    """The S3 interface of a bucket, without retries."""

    client: S3Client

    async def call(
        self,
        method: str,
        path: str = "",
        data: bytes = b"",
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Returns the body of an answer that must be good."""
        async with self.client.request(
            method,
            path,
            dict(headers or {}),
            dict(params or {}) or None,
            data or None,
            content_sha256=hashlib.sha256(data).hexdigest(),
        ) as response:
            content = await response.read()
            assert response.status < 300, content
            return content

    async def names(self, prefix: str = "") -> list[str]:
        """Returns the paths of all objects under a prefix."""
        page = await self.call("GET", params={"list-type": "2", "prefix": prefix})
        return [each.decode() for each in re.findall(rb"<Key>([^<]+)</Key>", page)]

    async def uploads(self, prefix: str = "") -> list[str]:
        """Returns the paths of all uploads under a prefix that have not ended."""
        page = await self.call("GET", params={"uploads": "", "prefix": prefix})
        return [each.decode() for each in re.findall(rb"<Key>([^<]+)</Key>", page)]


@contextmanager
def shared_seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """Starts the server of all processes that name this folder, unless it runs; holds it for the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "starting").open("w") as starting, (folder / "users").open("w") as users:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for the end of a server whose users have all ended
        said = folder / "server.json"
        if not said.exists():
            guard = [sys.executable, "-m", "tests.seaweedfs", str(folder)]
            subprocess.Popen(guard, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL)
        found = _until_said(said)
        fcntl.flock(starting, fcntl.LOCK_UN)
        yield found


@contextmanager
def own_seaweedfs(folder: Path, ports: Mapping[str, int] | None = None) -> Iterator[SeaweedFS]:
    """Starts a server for one test, which may kill it; again on the same folder and ports if given."""
    ports = ports or dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    process = _started(folder, ports)
    try:
        yield _ready(folder, ports, process)
    finally:
        process.kill()
        process.wait()


def bucket_answers(endpoint: str, bucket: str = BUCKET) -> bool:
    """Returns whether the server is ready to take objects."""
    url = f"{endpoint}/{bucket}"
    signed = _credentials().signer.sign_with_headers("HEAD", url)
    try:
        with urlopen(Request(url, method="HEAD", headers=signed), timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _credentials() -> StaticCredentials:
    key, secret = CREDENTIALS.values()
    return StaticCredentials(key, secret, region="us-east-1")


def _started(folder: Path, ports: Mapping[str, int]) -> "subprocess.Popen[bytes]":
    folder.mkdir(parents=True, exist_ok=True)
    options = [f"-{name}.port={port}" for name, port in ports.items()]
    options += [f"-{name}.port.grpc={port + _GRPC}" for name, port in ports.items()]
    command = [
        *(str(WEED), "-logtostderr=true", "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        *(*options, f"-bucket={BUCKET}", "-s3.autoCreateBucket=false", "-webdav=false", "-admin.ui=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
    ]
    with folder.with_name(f"{folder.name}.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **CREDENTIALS}
        )


def _ready(folder: Path, ports: Mapping[str, int], process: "subprocess.Popen[bytes]") -> SeaweedFS:
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    end = time.monotonic() + _SECONDS
    while not bucket_answers(endpoint):
        assert process.poll() is None, f"weed has ended; see {folder}.log"
        assert time.monotonic() < end, f"weed is not ready; see {folder}.log"
        time.sleep(0.05)
    return SeaweedFS(endpoint, process.pid, ports, folder)


def _free_ports(count: int) -> list[int]:
    """Returns ports that are free, and whose gRPC ports are, too."""
    with ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            one, other = (stack.enter_context(socket.socket()) for _ in range(2))
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + _GRPC))
            except (OSError, OverflowError):
                continue
            found.append(port)
        return found


def _until_said(path: Path) -> SeaweedFS:
    end = time.monotonic() + _SECONDS
    while not path.exists():
        assert time.monotonic() < end, f"no server: see {path.parent}"
        time.sleep(0.05)
    said = json.loads(path.read_text())
    return SeaweedFS(said["endpoint"], said["pid"], said["ports"], Path(said["folder"]))


def _guard(folder: Path) -> None:
    """Runs the server until no other process holds the lock of its users."""
    data, said = folder / f"data-{os.getpid()}", folder / "server.json"
    with own_seaweedfs(data) as server, (folder / "users").open() as users:
        content = {
            "endpoint": server.endpoint,
            "pid": server.pid,
            "ports": dict(server.ports),
            "folder": str(data),
        }
        said.with_suffix(".new").write_text(json.dumps(content))
        said.with_suffix(".new").rename(said)
        fcntl.flock(users, fcntl.LOCK_EX)
        said.unlink()
        server.kill()
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
