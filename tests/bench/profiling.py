"""A sampled profile of a peer while a load runs, by py-spy where it is installed."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.processes import Peer
from tests.bench.stage import Stage

_SHOWN = 25


@contextmanager
def profiled(stage: Stage, peer: Peer, name: str) -> Iterator[None]:
    """Prints where the interpreter's lock was held, by function; says so where py-spy is missing."""
    if shutil.which("py-spy") is None:
        print(f"{name}: no profile: py-spy isn't installed (pip install py-spy)", file=sys.stderr)  # noqa: T201
        yield
        return
    file = stage.folder / f"{name}.stacks"
    command = ["py-spy", "record", "--gil", "--nonblocking", "--function", "--format", "raw", "--rate", "200"]
    recorder = subprocess.Popen(
        [*command, "--duration", "600", "--output", str(file), "--pid", str(peer.pid)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        recorder.send_signal(2)  # it writes what it has
        recorder.wait(30)
    _print(name, file)


def _print(name: str, file: Path) -> None:
    own: Counter[str] = Counter()
    for line in file.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        own[stack.rpartition(";")[2]] += int(count)
    print(f"{name}: {own.total()} samples, by function", file=sys.stderr)  # noqa: T201
    for function, found in own.most_common(_SHOWN):
        print(f"  {found / own.total():6.1%} {function}", file=sys.stderr)  # noqa: T201
