"""The README's commands of a second shell work beside a demo; the last of them is examples/migration.sh.

It walks one route from the legacy server to the new side and back, as docs/move.md shows.
"""

import asyncio
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.test_processes import demo, ended, typed, until
from tests.conftest import ROOT

# What is another one in every run: ids, hashes, times, processes, milliseconds; and who opened a case.
_CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16}\b|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z"
    r"|(?<=followed by )\S+|\d+(?= ms)|\d+(?= bytes)|\d+(?= rows)"
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns what the commands print in a folder like the checkout: programs and examples beside `var/`."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / "examples").symlink_to(ROOT / "examples")
    readme = (ROOT / "README.md").read_text("utf-8")
    [block] = re.findall(r"from a second shell:\n\n```sh\n(.*?)```", readme, re.DOTALL)

    async def typed_beside_the_demo() -> str:
        async with demo(folder) as process:
            await until(process, "Ready.")
            output = await typed(f"set -e\n{block}", folder)
            assert await ended(process, signal.SIGTERM) == 0
        return output

    return asyncio.run(typed_beside_the_demo())


def test_the_readmes_commands_of_a_second_shell_work_as_they_stand(printed: str) -> None:
    assert "session complete" in printed
    assert printed.endswith("walk complete\n")


def test_the_walk_of_one_route_goes_as_the_page_shows(printed: str) -> None:
    walk = printed.partition("session complete")[2]
    happened = {_constant(line) for line in walk.splitlines()}
    assert [line for line in _shown() if _constant(line) not in happened] == []


def _shown() -> list[str]:
    """Returns the lines of the walk in docs/move.md."""
    page = (ROOT / "docs" / "move.md").read_text("utf-8")
    [block] = re.findall(r"This is from its output:\n\n```console\n(.*?)```", page, re.DOTALL)
    return [line for line in block.splitlines() if line]


def _constant(line: str) -> str:
    return re.sub(r"\s+", " ", _CHANGING.sub("…", line)).strip()
