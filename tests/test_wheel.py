"""The wheel: it is built from what the image copies, and has all that the program reads of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from proxy import __version__
from tests.conftest import ROOT

_COPIED: Final = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the wheel that hatchling builds from the files that docker/Dockerfile copies, and no others."""
    sources, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    copied = _COPIED.findall((ROOT / "docker" / "Dockerfile").read_text("utf-8"))
    for path in (ROOT / name for line in copied for name in line.split()):
        if path.is_dir():
            shutil.copytree(path, sources / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, sources)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    built = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    [found] = out.glob("*.whl")
    return found


def test_the_wheel_says_that_it_is_typed(wheel: Path) -> None:
    assert "proxy/py.typed" in ZipFile(wheel).namelist()


def test_the_wheel_the_program_and_the_changelog_name_one_version(wheel: Path) -> None:
    newest = re.search(r"(?m)^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert newest
    assert wheel.name.split("-")[1] == __version__ == newest[1]


@pytest.mark.parametrize(
    ("folder", "packed"), [("mappings", "default_mappings"), ("contracts", "descriptions"), ("proxy", "")]
)
def test_the_wheel_has_each_file_of(folder: str, packed: str, wheel: Path) -> None:
    names = {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob("*.*")}
    expected = {f"proxy/{packed}/{name}".replace("//", "/") for name in names if "__pycache__" not in name}
    assert expected - {*ZipFile(wheel).namelist()} == set()
