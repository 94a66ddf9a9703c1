"""examples/migration.sh: one route from the legacy server to the new side and back, as the README has it."""

import re
import sys
from asyncio.subprocess import PIPE, STDOUT, create_subprocess_exec
from pathlib import Path

from tests.cli.test_processes import demo, until
from tests.conftest import ROOT

# What is another one in every run: ids, hashes, times, processes, milliseconds; and who opened a case.
_CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16}\b|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?Z"
    r"|(?<=followed by )\S+|\d+(?= ms)|\d+(?= bytes)|\d+(?= rows)"
)


async def test_the_walk_of_one_route_goes_as_the_readme_shows(tmp_path: Path) -> None:
    async with demo(tmp_path) as process:
        printed = await until(process, "Ready.")
        proxy, *_, legacy = re.findall(r"http://127\.0\.0\.1:\d+(?=\s)", printed.split("# newCase")[0])
        walk = await create_subprocess_exec(
            "bash",
            str(ROOT / "examples" / "migration.sh"),
            cwd=tmp_path,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "COLUMNS": "80",
                "PYTHONPATH": str(ROOT),
                "COMMAND": str(Path(sys.executable).with_name("michiq-proxy")),
                "PROXY": proxy,
                "MICHIQ_LEGACY_URL": legacy,
            },
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await walk.communicate()
    went = output.decode()
    assert went.endswith("walk complete\n"), went
    happened = {_constant(line) for line in went.splitlines()}
    assert [line for line in _shown() if _constant(line) not in happened] == []


def _shown() -> list[str]:
    """Returns the README's lines of the walk."""
    readme = (ROOT / "README.md").read_text("utf-8")
    [block] = re.findall(r"this is from its output:\n\n```console\n(.*?)```", readme, re.DOTALL)
    return [line for line in block.splitlines() if line]


def _constant(line: str) -> str:
    return re.sub(r"\s+", " ", _CHANGING.sub("…", line)).strip()
