"""`make mutants`: mutates critical modules by mutmut and holds the survivors to survivors.toml.

Every module is mutated in a copy of the project, with its own tests alone. A survivor that is not listed is a
failure, and so is a listed one that a test finds by now. `--write` adds the new ones without a reason.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutation.roster import TESTS

_ROOT: Final = Path(__file__).parents[2]
_LIST: Final = Path(__file__).parent / "survivors.toml"
_COPIED: Final = (
    "proxy",
    "tests",
    "mappings",
    "contracts",
    "examples",
    "docs",
    "README.md",
    "pyproject.toml",
)
_SURVIVED: Final = re.compile(r"^\s*(\S+): survived$", re.MULTILINE)
_COUNTED: Final = re.compile(r"^\s*\S+: (killed|survived|timeout|no tests|suspicious|segfault)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One small bug: a line of a module, and what it was changed to."""

    module: str
    was: str
    now: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="parts of module names; default: all")
    parser.add_argument("--write", action="store_true", help="add new survivors to survivors.toml")
    given = parser.parse_args()
    chosen = [m for m in TESTS if not given.modules or any(part in m for part in given.modules)]
    failed = False
    for module in chosen:
        survivors, count = mutate(module)
        new, found = compared(module, survivors, listed())
        _say(f"{module}: {count} mutants, {count - len(survivors)} found by a test, {len(survivors)} survive")
        for mutant in new:
            _say(f"  survives: {mutant.was}\n       now: {mutant.now}")
        for mutant in found:
            _say(f"  is found by now, take it out of survivors.toml: {mutant.was} -> {mutant.now}")
        if given.write:
            _add(new)
        failed |= bool(new or found)
    return 1 if failed else 0


def mutate(module: str) -> tuple[list[Mutant], int]:
    """Returns the mutants of a module that its tests don't find, and how many were tried."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for each in _COPIED:
            source = _ROOT / each
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / each)
        with (folder / "pyproject.toml").open("a", encoding="utf-8") as file:
            file.write(_settings(module))
        ran = _mutmut(folder, "run", "--max-children", "2")
        results = _mutmut(folder, "results", "--all", "true")
        count = len(_COUNTED.findall(results))
        if not count:
            sys.exit(f"{module}: nothing was mutated\n{ran[-2000:]}")
        names = _SURVIVED.findall(results)
        return [_read(module, _mutmut(folder, "show", each)) for each in names], count


def compared(
    module: str, survivors: Sequence[Mutant], known: Sequence[Mutant]
) -> tuple[list[Mutant], list[Mutant]]:
    """Returns the survivors that are not listed, and the listed ones that did not survive."""
    mine = [mutant for mutant in known if mutant.module == module]
    new = [mutant for mutant in dict.fromkeys(survivors) if mutant not in mine]
    return new, [mutant for mutant in mine if mutant not in survivors]


def listed() -> list[Mutant]:
    """Returns the survivors of survivors.toml."""
    entries = tomllib.loads(_LIST.read_text("utf-8")).get("survivor", [])
    return [Mutant(entry["module"], entry["was"], entry["now"]) for entry in entries]


def _settings(module: str) -> str:
    chosen = {
        "source_paths": ["proxy"],
        "only_mutate": [module],
        "also_copy": list(_COPIED[2:]),
        "pytest_add_cli_args": ["-n0", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": list(TESTS[module]),
        # A log's words and a docstring are for people: no test holds them.
        "do_not_mutate_patterns": [r"_log\."],
        "use_git_change_detection": False,
    }
    lines = (f"{key} = {json.dumps(value)}" for key, value in chosen.items())
    return "\n[tool.mutmut]\n" + "\n".join(lines) + "\n"


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def _read(module: str, shown: str) -> Mutant:
    """Reads the one changed place of a diff."""
    lines = [line for line in shown.splitlines() if not line.startswith(("---", "+++"))]
    was, now = ("\n".join(_marked(lines, sign)) for sign in "-+")
    return Mutant(module, was, now)


def _marked(lines: Sequence[str], sign: str) -> Iterator[str]:
    return (line[1:].strip() for line in lines if line.startswith(sign))


def _add(mutants: Sequence[Mutant]) -> None:
    with _LIST.open("a", encoding="utf-8") as file:
        for mutant in mutants:
            values = {"module": mutant.module, "was": mutant.was, "now": mutant.now, "reason": ""}
            entry = "\n".join(
                f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
            )
            file.write(f"\n[[survivor]]\n{entry}\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
