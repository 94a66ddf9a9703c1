"""The house rules that no linter knows, for every file that is, or is about to be, committed."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
# Where an error becomes an answer, and where a failed task becomes a line of the log; nowhere else.
MAY_CATCH_ALL: Final = frozenset({"proxy/web/middlewares.py"})
LOCKS: Final = (
    "requirements.lock",
    "requirements-scale.lock",
    "requirements-build.lock",
    "requirements-dev.lock",
)
# Written so that this file doesn't hold what it looks for.
HOSTS: Final = re.compile(
    r"pypi\.(?:org|io)|python[h]osted|\b(?:ghcr|gcr|quay)\.io|docker\.io|[r]egistry\.\w+\.\w"
)
PATHS: Final = re.compile(r"(?<![\w.*~}-])/(?:work|root|home|Users|opt/wheels|opt/pypi)/")
KEYS: Final = re.compile(r"BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{36}")


def git(*arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={ROOT}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout


def files() -> list[str]:
    """Returns tracked files, and new ones that no .gitignore excludes."""
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z").split("\0")
    return sorted({name for name in listed if name and (ROOT / name).is_file()})


def modules(*folders: str) -> list[str]:
    return [name for name in files() if name.startswith(folders) and name.endswith(".py")]


def text(name: str) -> str:
    """Returns the file's text; nothing for a binary file."""
    try:
        return (ROOT / name).read_text("utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("pattern", [HOSTS, PATHS, KEYS], ids=["registry-host", "machine-path", "key"])
def test_no_file_names_a_registry_a_machines_path_or_a_key(pattern: re.Pattern[str]) -> None:
    found = [(name, match[0]) for name in files() for match in pattern.finditer(text(name))]
    assert found == []


def test_what_belongs_to_one_machine_is_not_tracked() -> None:
    own = re.compile(r"(?:^|/)(?:uv\.lock|\.env|var/.*|\.venv/.*|__pycache__/.*)$")
    assert [name for name in files() if own.search(name)] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_distribution_by_hash_and_names_no_index(name: str) -> None:
    entries = (ROOT / name).read_text().replace("\\\n", "").splitlines()
    wrong = [
        line
        for line in entries
        if not re.fullmatch(r"\S+==\S+ (?:; [^#]+? )?(?:\s*--hash=sha256:[0-9a-f]{64}\s*)+", line)
    ]
    assert entries
    assert wrong == []


def test_the_locks_agree_with_each_other_and_with_pyproject() -> None:
    run, scale, build, dev = (dict(_pins(name)) for name in LOCKS)
    assert run.items() <= scale.items() <= dev.items()
    assert build.items() <= dev.items()
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert _names(declared["project"]["dependencies"]) <= {name for name, _ in run}
    assert _names(declared["dependency-groups"]["build"]) <= {name for name, _ in build}
    assert _names(declared["dependency-groups"]["dev"]) <= {name for name, _ in dev}


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9-]", each)[0].lower() for each in requirements}


def _pins(name: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yields (name, marker) and version: one name may be pinned differently for different Pythons."""
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"([a-z0-9-]+)(?:\[\S+\])?==(\S+)(?: ; (.+))? \\$", line):
            yield (match[1], match[3] or ""), match[2]


def test_every_module_begins_by_saying_what_it_does() -> None:
    silent = [name for name in modules("proxy/", "tests/") if not text(name).startswith('"""')]
    assert [name for name in silent if text(name) or name.startswith("proxy/")] == []


def test_no_test_makes_its_server_by_hand() -> None:
    """pytest-aiohttp's `aiohttp_server` and `tests/serving.py` do it; the bench's floor is a process."""
    by_hand = re.compile(r"\b(?:App|Server)Runner\(|\b(?:TCP|Sock)Site\(")
    assert [name for name in modules("tests/") if by_hand.search(text(name))] == ["tests/bench/floor.py"]


def test_only_the_two_rims_catch_everything() -> None:
    places = [f"{name}:{handler.lineno}" for name in modules("proxy/") for handler in _catching_all(name)]
    assert {place.split(":")[0] for place in places} <= MAY_CATCH_ALL, places
    assert len(places) <= len(MAY_CATCH_ALL), places


def _catching_all(name: str) -> Iterator[ast.ExceptHandler]:
    for node in ast.walk(ast.parse(text(name))):
        if isinstance(node, ast.ExceptHandler) and not _caught(node).isdisjoint(
            {"Exception", "BaseException"}
        ):
            yield node


def _caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    return {each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)}


def test_only_commands_print() -> None:
    others = [name for name in modules("proxy/") if not name.startswith("proxy/cli/")]
    assert [name for name in others if _prints(name)] == []


def _prints(name: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(text(name))) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "print" for called in calls)
