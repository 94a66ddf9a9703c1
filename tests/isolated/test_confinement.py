"""An isolated process tries what a parser that was taken over would try."""

import ctypes
import os
import platform
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from proxy.isolated import confinement, landlock, seccomp
from proxy.isolated.pool import IsolatedPool

AMPLE: Final = 60.0
REFUSED: Final = frozenset({"PermissionError", "OSError 38"})  # 38: ENOSYS, as an old kernel would

pytestmark = pytest.mark.asyncio(loop_scope="module")


def outcome(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except PermissionError:
        return "PermissionError"
    except OSError as error:
        return f"OSError {error.errno}"
    return "done"


def open_a_socket(family: int) -> str:
    return outcome(lambda: socket.socket(family, socket.SOCK_STREAM))


def make_a_pair_of_sockets() -> str:
    return outcome(socket.socketpair)


def start_a_program() -> str:
    return outcome(lambda: subprocess.run([sys.executable, "-c", ""], check=True, timeout=AMPLE))


def become_a_program() -> str:
    return outcome(lambda: os.execv(sys.executable, [sys.executable, "-c", ""]))


def spawn_a_program() -> str:
    return outcome(lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}))


def fork() -> str:
    return outcome(os.fork)


def read(path: str) -> str:
    return outcome(lambda: os.close(os.open(path, os.O_RDONLY)))


def read_folder(path: str) -> str:
    return outcome(lambda: list(Path(path).iterdir()))


def write(path: str) -> str:
    return outcome(lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)))


def remove(path: str) -> str:
    return outcome(lambda: Path(path).unlink())


def rename(path: str) -> str:
    return outcome(lambda: Path(path).rename(f"{path}-2"))


def open_to_others(path: str) -> str:
    return outcome(lambda: Path(path).chmod(0o777))


def date_back(path: str) -> str:
    return outcome(lambda: os.utime(path, (0, 0)))


def read_descriptors_of(pid: int) -> str:
    return outcome(lambda: list(Path(f"/proc/{pid}/fd").iterdir()))


def read_memory_of(pid: int) -> str:
    return outcome(lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)))


def signal_to(pid: int) -> str:
    return outcome(lambda: os.kill(pid, 0))


def limit(pid: int) -> str:
    return outcome(lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE))


def renice(pid: int) -> str:
    return outcome(lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))


def trace(pid: int) -> str:
    return called("ptrace", 16, pid, 0, 0)


def own_signals_of_a_descriptor(pid: int) -> str:
    import fcntl

    return outcome(lambda: fcntl.fcntl(3, fcntl.F_SETOWN, pid))


def called(name: str, *arguments: int) -> str:
    """Returns the error of a function of libc, or of a system call with that number."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*map(ctypes.c_long, arguments)) >= 0:
        return "done"
    error = ctypes.get_errno()
    return "PermissionError" if error in (1, 13) else f"OSError {error}"


def start_a_thread() -> int:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return threading.active_count()


def threads_and_descriptors() -> tuple[int, list[int]]:
    return threading.active_count(), [number for number in range(64) if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def environment() -> list[str]:
    return sorted(os.environ)


def size_of(file: IO[bytes]) -> int:
    return len(file.read())


def write_into(file: IO[bytes]) -> str:
    return outcome(lambda: os.write(file.fileno(), b"x"))


def decoded(data: bytes, codec: str) -> str:
    return data.decode(codec)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("blobs")
    (made / "blob").write_bytes(b"sealed")
    return made


@pytest.fixture(scope="module")
def secret() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MICHIQ_SECRET_KEYS", "CANARY")
        yield


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def workers(folder: Path, secret: None) -> AsyncIterator[IsolatedPool]:
    if missing := confinement.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"this kernel lacks {missing}")
        pytest.skip(f"this kernel lacks {missing}")
    async with IsolatedPool((__name__,), [str(folder)]) as started:
        yield started


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
async def test_isolation_an_isolated_process_opens_no_socket(workers: IsolatedPool, family: int) -> None:
    assert await workers.run(open_a_socket, family, seconds=AMPLE) in REFUSED


@pytest.mark.parametrize(
    "attempt", [make_a_pair_of_sockets, start_a_program, become_a_program, spawn_a_program, fork]
)
async def test_isolation_an_isolated_process_starts_no_program_and_no_process(
    workers: IsolatedPool, attempt: Callable[[], str]
) -> None:
    assert await workers.run(attempt, seconds=AMPLE) in REFUSED


async def test_isolation_an_isolated_process_reads_no_file_by_its_path(
    workers: IsolatedPool, tmp_path: Path
) -> None:
    (tmp_path / "other").write_bytes(b"")
    for path in ("/etc/passwd", str(tmp_path / "other"), __file__, "/proc/self/environ", "/dev/urandom"):
        assert await workers.run(read, path, seconds=AMPLE) in REFUSED, path
    assert await workers.run(read_folder, "/", seconds=AMPLE) in REFUSED


@pytest.mark.parametrize("attempt", [write, remove, rename, open_to_others, date_back])
async def test_isolation_an_isolated_process_changes_no_file_not_even_a_blob(
    workers: IsolatedPool, folder: Path, tmp_path: Path, attempt: Callable[[str], str]
) -> None:
    (tmp_path / "there").write_bytes(b"")
    for path in (tmp_path / "there", folder / "blob"):
        assert await workers.run(attempt, str(path), seconds=AMPLE) in REFUSED
    assert await workers.run(write, str(tmp_path / "new"), seconds=AMPLE) in REFUSED
    assert (folder / "blob").read_bytes() == b"sealed"


async def test_isolation_an_isolated_process_reads_the_sealed_blobs(
    workers: IsolatedPool, folder: Path
) -> None:
    assert await workers.run(read, str(folder / "blob"), seconds=AMPLE) == "done"


async def test_isolation_an_isolated_process_reads_what_it_is_handed_and_cannot_write_it(
    workers: IsolatedPool,
) -> None:
    with TemporaryFile() as file:
        file.write(b"tos")
        file.flush()
        assert await workers.run(size_of, file, seconds=AMPLE) == 3
        assert await workers.run(write_into, file, seconds=AMPLE) == "OSError 9"
        assert file.tell() == 3  # the place to read from is the process's own


@pytest.mark.parametrize(
    "attempt",
    [
        *(read_descriptors_of, read_memory_of, signal_to, limit, renice, trace),
        own_signals_of_a_descriptor,
    ],
)
async def test_isolation_an_isolated_process_reaches_no_other_process(
    workers: IsolatedPool, attempt: Callable[[int], str]
) -> None:
    assert await workers.run(attempt, os.getpid(), seconds=AMPLE) in REFUSED


@pytest.mark.parametrize(
    ("number", "arguments"),
    [(425, (1, 0)), (434, (1, 0)), (438, (0, 0, 0)), (435, (0, 0)), (9999, ()), (0x40000000 + 41, (2, 1, 0))],
    ids=["io_uring", "pidfd_open", "pidfd_getfd", "clone3", "a call of tomorrow", "x32"],
)
async def test_isolation_an_isolated_process_has_no_use_of_newer_system_calls(
    workers: IsolatedPool, number: int, arguments: tuple[int, ...]
) -> None:
    assert await workers.run(called, "syscall", number, *arguments, seconds=AMPLE) in REFUSED


async def test_isolation_an_isolated_process_begins_with_one_thread_and_one_descriptor(
    workers: IsolatedPool,
) -> None:
    assert await workers.run(threads_and_descriptors, seconds=AMPLE) == (1, [0, 1, 2, 3])
    assert await workers.run(start_a_thread, seconds=AMPLE) == 1


async def test_isolation_an_isolated_process_has_no_secret_in_its_environment(workers: IsolatedPool) -> None:
    assert [name for name in await workers.run(environment, seconds=AMPLE) if "MICHIQ" in name] == []


@pytest.mark.parametrize("codec", ["utf-8-sig", "cp1252", "utf-16", "koi8-r", "shift_jis", "idna"])
async def test_isolation_every_codec_is_there_though_no_file_can_be_opened(
    workers: IsolatedPool, codec: str
) -> None:
    assert await workers.run(decoded, "tos".encode(codec), codec, seconds=AMPLE) == "tos"


async def test_isolation_what_a_kernel_lacks_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setattr("proxy.isolated.forkserver.COMMAND", LACKING)
    with capture_logs() as lines:
        async with IsolatedPool((__name__,)) as workers:
            await workers.warm()
            assert await workers.run(read, "/dev/null", seconds=AMPLE) == "done"
    said = [line for line in lines if line["event"] == "isolation_incomplete"]
    assert [(line["log_level"], line["missing"]) for line in said] == [("warning", ["landlock", "seccomp"])]


LACKING: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path'];"
    "from proxy.isolated import confinement; confinement.missing = lambda: ['landlock', 'seccomp'];"
    "from proxy.isolated.forkserver import main; main()"
)


@pytest.mark.parametrize("architecture", [(0xC000003E, 0), (0xC00000B7, 1)], ids=["x86_64", "aarch64"])
async def test_isolation_the_filter_of_each_machine_is_a_program_that_ends(
    architecture: tuple[int, int],
) -> None:
    program = list(seccomp.program(*architecture, 7))
    assert len(program) <= 4096  # BPF_MAXINSNS
    for at, (code, yes, no, _) in enumerate(program):
        assert code == 0x06 or at + 1 + max(yes, no) < len(program)
    assert program[-1][0] == 0x06


async def test_isolation_this_machine_has_both_means() -> None:
    if platform.machine() in ("x86_64", "aarch64"):
        assert seccomp.available()
    assert landlock.version() >= 0
