"""Commands where nothing can be printed or written: a sentence and an exit code, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def run(folder: Path, *arguments: str, to: str | None = None, **environ: str) -> tuple[int, str, str]:
    """Runs a command as a process of its own; returns exit code, stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
    out = Path(to).open("wb") if to else subprocess.PIPE  # noqa: SIM115  closed with the process
    process = subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    return process.returncode, (process.stdout or b"").decode("latin-1"), process.stderr.decode("latin-1")


@pytest.mark.parametrize(
    "arguments", [("check",), ("--help",), ("routes",), ("check", "--json")], ids=" ".join
)
def test_a_full_disk_behind_stdout_is_said_and_is_no_traceback(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    code, _, said = run(tmp_path, *arguments, to="/dev/full")
    assert (code, said) == (1, "Error: the output can't be written or read: No space left on device\n")


@pytest.mark.parametrize(
    "environ", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONIOENCODING": "ascii"}], ids=str
)
def test_a_terminal_without_a_letter_gets_the_rest(
    tmp_path: Path, environ: dict[str, str], secret_key: str
) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "→ Clínica.toml").write_text("x = 1")
    code, _, said = run(tmp_path, "check", **environ)
    assert (code, "Traceback" in said) == (1, False)


def test_init_in_a_folder_that_takes_no_file_says_so(tmp_path: Path) -> None:
    code, _, said = run(tmp_path, "init", "/proc/michiq")
    assert (code, "Traceback" in said, "can't be written" in said) == (1, False, True)
