"""The processes of a run: fake upstreams on the load's core, the peer under test on a core of its own."""

import base64
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tests.bench import machine
from tests.bench.client import Client

ROOT: Final = Path(__file__).parents[2]  # conftest has it too, and imports everything
Kind: TypeAlias = Literal["floor", "proxy"]
CHAT_KEY: Final = "bench-chat-key"
ADMIN_TOKEN: Final = "bench-admin-token-0123456789"
_START_SECONDS: Final = 60
_STOP_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Upstream:
    """The fake upstreams, and what they counted."""

    new: str
    legacy: str
    control: int

    def counts(self) -> dict[str, int]:
        return self.tell("counts=1")

    def tell(self, order: str) -> dict[str, int]:
        """Sets `delay` (seconds) or `keep` (0 or 1) and returns the counters."""
        with Client(self.control) as client:
            found: dict[str, int] = client.call("GET", f"/_control?{order}").json()
            return found

    def last(self) -> tuple[str, bytes]:
        """Returns content type and body of the newest form; kept where `keep` was told."""
        with Client(self.control) as client:
            content_type, _, body = client.call("GET", "/_last").body.partition(b"\n")
            return content_type.decode(), body

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        self.tell(f"delay={seconds}")
        try:
            yield
        finally:
            self.tell("delay=0")


@dataclass(frozen=True, slots=True)
class Peer:
    """A running proxy or floor."""

    kind: Kind
    port: int
    pid: int
    folder: Path
    ready_seconds: float
    environ: Mapping[str, str] = field(repr=False)

    def tree(self) -> list[int]:
        return machine.tree(self.pid)


def admin_port(peer: Peer) -> int:
    """Returns the port of the proxy's listener for operators."""
    return int(peer.environ["MICHIQ_ADMIN_LISTEN"].rpartition(":")[2])


@contextmanager
def upstream(folder: Path, *arguments: str) -> Iterator[Upstream]:
    command = [sys.executable, "-m", "tests.bench.upstream", *arguments]
    with _process(command, folder, {}, machine.LOAD_CORE) as process:
        scheme, host = ("https", "127.0.0.1") if arguments else ("http", "127.0.0.1")
        new, legacy, control = json.loads(_line(process, "["))
        yield Upstream(f"{scheme}://{host}:{new}", f"{scheme}://{host}:{legacy}", control)


@contextmanager
def floor(folder: Path, behind: Upstream, **environ: str) -> Iterator[Peer]:
    command = [sys.executable, "-m", "tests.bench.floor", behind.new, behind.legacy, CHAT_KEY]
    started = time.perf_counter()
    with _process(command, folder, environ, machine.PEER_CORE) as process:
        port = json.loads(_line(process, '"listening"'))["port"]
        yield Peer("floor", port, process.pid, folder, time.perf_counter() - started, environ)


@contextmanager
def served(folder: Path, behind: Upstream, **environ: str) -> Iterator[Peer]:
    """Starts `michiq-proxy serve` with encounters in mode legacy, unless `environ` names other mappings."""
    settings = _settings(folder, behind) | environ
    if "MICHIQ_MAPPINGS" not in environ:
        settings["MICHIQ_MAPPINGS"] = str(_mappings(folder))
    command, started = [sys.executable, "-m", "proxy", "serve"], time.perf_counter()
    with _process(command, folder, settings, machine.PEER_CORE) as process:
        listening = json.loads(_line(process, '"listening"'))
        admin = int(listening["admin"].rpartition(":")[2])
        _until_ready(admin)
        ready = time.perf_counter() - started
        with _unread(process):
            port, named = (
                int(listening["url"].rpartition(":")[2]),
                {"MICHIQ_ADMIN_LISTEN": f"127.0.0.1:{admin}"},
            )
            yield Peer("proxy", port, process.pid, folder, ready, settings | named)


def _settings(folder: Path, behind: Upstream) -> dict[str, str]:
    return {
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_TOKENS": f"bench:{ADMIN_TOKEN}",
        "MICHIQ_DATABASE_URL": f"sqlite:///{folder}/michiq.db",
        "MICHIQ_BLOBS_URL": f"file:{folder}/blobs",
        "MICHIQ_SECRET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "MICHIQ_LLAMALITICA_API_URL": behind.new,
        "MICHIQ_LLAMALITICA_WEB_URL": behind.new,
        "MICHIQ_LLAMACHAT_URL": behind.new,
        "MICHIQ_LLAMACHAT_API_KEY": CHAT_KEY,
        "MICHIQ_LEGACY_URL": behind.legacy,
        "MICHIQ_DRAIN_SECONDS": "2",
    }


def _mappings(folder: Path) -> Path:
    shutil.copytree(ROOT / "mappings", copied := folder / "mappings")
    encounters = copied / "encounters.toml"
    encounters.write_text(re.sub(r'^mode = "new"', 'mode = "legacy"', encounters.read_text(), flags=re.M))
    return copied


@contextmanager
def _process(
    command: list[str], folder: Path, environ: Mapping[str, str], core: int
) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a command of this checkout on one core; ends it, and what is left of its own children."""
    # As an installed program does, it keeps what it has compiled.
    left_out = ("MICHIQ_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    with machine.on_core(core), (folder / "errors").open("ab") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**inherited, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield process
    finally:
        children = machine.tree(process.pid)[1:]
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        process.kill()
        process.wait()
        _killed(children)


def _killed(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def _unread(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Hands the log to a process that throws it away, as cheaply as a container's runtime reads one."""
    with machine.on_core(machine.LOAD_CORE):
        reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
    assert process.stdout
    process.stdout.close()
    try:
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        reader.kill()
        reader.wait()


def _line(process: "subprocess.Popen[bytes]", text: str) -> str:
    assert process.stdout
    for line in process.stdout:
        if text in line.decode():
            return line.decode()
    raise SystemExit(f"{process.args!r} ended before it listened: {process.wait()}")


def _until_ready(admin: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with Client(admin) as client:
        while client.call("GET", "/readyz").status != 200:
            if time.monotonic() > deadline:
                raise SystemExit("the proxy listens and isn't ready")
            time.sleep(0.005)
