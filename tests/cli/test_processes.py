"""`serve`, `demo` and `sandbox` as processes of their own: they start, work, and end when told."""

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from proxy.cli.demo.run import write_environment
from tests.certificates import make
from tests.conftest import ROOT

_SECONDS = 30


def command(folder: Path, *arguments: str, **environ: str) -> AbstractAsyncContextManager[Process]:
    """Yields a running `michiq-proxy`, and kills it if it doesn't end by itself."""
    return started(folder, arguments, environ)


@asynccontextmanager
async def started(
    folder: Path, arguments: Sequence[str], environ: Mapping[str, str], limit: int = 1024 * 1024
) -> AsyncIterator[Process]:
    """Yields a started process; `limit` bytes of its output are read before a test asks for them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "proxy",
        *arguments,
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
        limit=limit,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(process: Process, text: str) -> str:
    """Returns the output of the process up to the line that has `text`."""
    assert process.stdout
    printed = ""
    async with asyncio.timeout(_SECONDS):
        while text not in printed:
            line = await process.stdout.readline()
            assert line, f"it ended before {text!r}: {printed}"
            printed += line.decode()
    return printed


async def rest(process: Process) -> str:
    """Returns the output of the process until its end."""
    assert process.stdout
    async with asyncio.timeout(_SECONDS):
        return (await process.stdout.read()).decode()


async def ended(process: Process, number: signal.Signals) -> int:
    process.send_signal(number)
    async with asyncio.timeout(_SECONDS):
        return await process.wait()


async def test_serve_listens_is_healthy_and_ends_with_0_on_sigterm(tmp_path: Path, secret_key: str) -> None:
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
    }
    async with command(tmp_path, "serve", **settings) as process:
        listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
        admin = listening["admin"].removeprefix("http://")
        check = command(tmp_path, "healthcheck", **{**settings, "MICHIQ_ADMIN_LISTEN": admin})
        async with check as healthcheck:
            assert await healthcheck.wait() == 0
        assert await ended(process, signal.SIGTERM) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_log_that_nobody_reads_stops_no_request_and_loses_no_line_by_sigterm(
    tmp_path: Path, secret_key: str, workers: str
) -> None:
    """Fills the pipe, which holds 64 KiB, so that later lines wait in the process."""
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_DRAIN_SECONDS": "1",
        "MICHIQ_WORKERS": workers,
    }
    made_up, requests = "r" * 120, 600
    async with started(tmp_path, ["serve"], settings, limit=4096) as process:
        listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SECONDS)) as http:
            for number in range(requests):
                headers = {"X-Request-ID": f"{made_up}-{number}"}
                async with http.get(f"{listening['url']}/nowhere", headers=headers) as response:
                    assert response.status == 404
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in (await rest(process)).splitlines()]
        assert await process.wait() == 0
    named = {line["request_id"] for line in lines if line["event"] == "request"}
    assert named == {f"{made_up}-{number}" for number in range(requests)}
    assert lines[-1]["event"] == "draining" or workers == "2"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_healthcheck_34_asks_the_listener_for_probes_where_there_is_one(
    tmp_path: Path, secret_key: str, workers: str
) -> None:
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_WORKERS": workers,
    }
    async with command(tmp_path, "serve", **settings, MICHIQ_STATUS_LISTEN="[::]:0") as process:
        listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
        port = listening["status"].rpartition(":")[2]
        check = command(tmp_path, "healthcheck", **settings, MICHIQ_STATUS_LISTEN=f"[::]:{port}")
        async with check as healthcheck:
            assert await healthcheck.wait() == 0
        assert await ended(process, signal.SIGTERM) == 0


@pytest.mark.parametrize("status", ["", "127.0.0.1:0"], ids=["by https", "by the plain listener"])
async def test_healthcheck_asks_by_the_scheme_that_the_listener_has(
    tmp_path: Path, secret_key: str, status: str
) -> None:
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "0.0.0.0:0",
        "MICHIQ_STATUS_LISTEN": status,
        **make(tmp_path, "served").settings,
    }
    async with command(tmp_path, "serve", **settings) as process:
        listening = json.loads((await until(process, '"listening"')).splitlines()[-1])
        assert listening["admin"].startswith("https://")
        asked = {
            "MICHIQ_ADMIN_LISTEN": listening["admin"].removeprefix("https://"),
            "MICHIQ_STATUS_LISTEN": listening.get("status", "").removeprefix("http://"),
        }
        async with command(tmp_path, "healthcheck", **{**settings, **asked}) as healthcheck:
            assert await healthcheck.wait() == 0
        assert await ended(process, signal.SIGTERM) == 0


_TOLD_TWICE: Final = """
import signal, sys
import structlog
from proxy.cli.shared.running import Stop
from proxy.observe.logs import setup
setup(sys.stdout, pretty=False)
stop = Stop()
structlog.get_logger().info("said before")
stop.on_signal(signal.SIGTERM)
stop.on_signal(signal.SIGTERM)
structlog.get_logger().info("never")
"""


async def test_a_second_sigterm_ends_at_once_and_loses_no_line_either() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _TOLD_TWICE, stdout=PIPE, cwd=ROOT)
    lines = (await rest(process)).splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["said before"]
    assert await process.wait() == -signal.SIGTERM


def demo(folder: Path) -> AbstractAsyncContextManager[Process]:
    """Yields a demo on free ports."""
    listen = {"MICHIQ_LISTEN": "127.0.0.1:0", "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0"}
    return command(folder, "demo", "--ports", "0", "0", "0", **listen)


async def test_demo_prints_a_curl_line_for_every_route_that_works_as_pasted_and_as_the_readme_shows(
    tmp_path: Path,
) -> None:
    async with demo(tmp_path) as process:
        printed = await until(process, "Ready.")
        answers = [await pasted(line, tmp_path) for line in printed.splitlines() if line.startswith("curl ")]
        assert await ended(process, signal.SIGINT) == 0
    assert len(answers) == 7
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = [answer for answer in map(_without_ids, answers[:4]) if answer not in _without_ids(readme)]
    assert shown == []


async def pasted(line: str, folder: Path) -> str:
    """Returns the answer to a line in a shell."""
    shell = await asyncio.create_subprocess_shell(
        f"{line} -sS --fail-with-body --max-time 20", cwd=folder, stdin=DEVNULL, stdout=PIPE
    )
    answer, _ = await shell.communicate()
    assert (shell.returncode, bool(answer)) == (0, True), f"{line}: {answer.decode()}"
    return answer.decode()


def _without_ids(text: str) -> str:
    """Returns the text with the same ids and tokens everywhere: they are new at every start."""
    return re.sub(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?<="token":")[^"]*', "…", text)


async def test_demo_makes_its_secrets_once_and_starts_again_on_the_same_state(tmp_path: Path) -> None:
    secrets = set()
    for _ in range(2):
        async with demo(tmp_path) as process:
            shown = re.search(
                r"operator's page +(http://\S+/) +\(token: (\S+)\)", await until(process, "Ready.")
            )
            assert shown
            secrets.add((shown[2], (tmp_path / "var" / "secret.key").read_text()))
            headers = {"Authorization": f"Bearer {shown[2]}"}
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"{shown[1]}admin/v1/routes", headers=headers) as response,
            ):
                assert response.status == 200
            assert await ended(process, signal.SIGTERM) == 0
    assert len(secrets) == 1
    assert stat.filemode((tmp_path / "var" / "admin.token").stat().st_mode) == "-rw-------"


async def test_the_contract_goes_against_the_demo_as_the_page_shows(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "operate.md").read_text("utf-8")
    [shown] = re.findall(r"\$ michiq-proxy contract\n(.*?)```", page, re.DOTALL)
    async with demo(tmp_path) as process:
        await until(process, "Ready.")
        printed = await typed("set -a; . var/demo.env; set +a; $PYTHON -m proxy contract", tmp_path)
        assert await ended(process, signal.SIGTERM) == 0
    happened = {_without_changes(line) for line in printed.splitlines()}
    assert [line for line in shown.splitlines() if _without_changes(line) not in {*happened, "…"}] == []


def _without_changes(line: str) -> str:
    """Returns a line without what is another in each run: the port, the patient's name, the seconds."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+|(?<=Prueba michiq-proxy )[^\"]*|[\d.]+(?= s: )", "…", line)


async def typed(commands: str, folder: Path) -> str:
    """Returns what bash prints of commands that all succeed, in an environment that knows of no proxy."""
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        commands,
        cwd=folder,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "PYTHON": sys.executable,
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "80",
        },
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    output, _ = await shell.communicate()
    assert shell.returncode == 0, output.decode()
    return output.decode()


_LOOKS: Final = (
    "healthcheck",
    "check --online",
    "routes",
    "routes --pending",
    "mode --history",
    "mode query shadow --reason 'to try it' --wait",
    "clients",
    "audit verify",
    "contract --read-only --routes doc,encounters",
)


async def test_demo_env_lets_a_shell_in_another_folder_work_on_the_demo(tmp_path: Path) -> None:
    """`. var/demo.env` as the README has it; what the shell had before gives way."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with demo(tmp_path) as process:
        await until(process, "Ready.")
        file = tmp_path / "var" / "demo.env"
        assert stat.filemode(file.stat().st_mode) == "-rw-------"
        for arguments in _LOOKS:
            shell = await asyncio.create_subprocess_exec(
                "sh",
                "-ec",
                f'set -a; . {file}; set +a; "$0" -m proxy {arguments}',
                sys.executable,
                cwd=elsewhere,
                env={"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", "MICHIQ_SECRET_KEYS_FILE": "/nowhere"},
                stdout=PIPE,
                stderr=STDOUT,
            )
            output, _ = await shell.communicate()
            assert shell.returncode == 0, f"{arguments}: {output.decode()}"
        assert await ended(process, signal.SIGTERM) == 0
    assert [*elsewhere.iterdir()] == []


def test_demo_env_is_for_its_owner_alone_and_keeps_any_value(tmp_path: Path) -> None:
    file = tmp_path / "demo.env"
    file.write_text("MICHIQ_X='of the last demo'\n")
    file.chmod(0o644)
    values = {"MICHIQ_A": "it's $HOME `id` \\", "MICHIQ_B": "Clínica Norte", "MICHIQ_C": ""}
    write_environment(file, values)
    assert stat.filemode(file.stat().st_mode) == "-rw-------"
    shell = subprocess.run(
        ["sh", "-c", f"set -a; . {file}; env -0"], capture_output=True, check=True, timeout=30
    )
    found = dict(line.split("=", 1) for line in shell.stdout.decode().split("\0") if line)
    assert {name: value for name, value in found.items() if name.startswith("MICHIQ_")} == values


async def test_sandbox_runs_the_three_systems(tmp_path: Path) -> None:
    async with command(tmp_path, "sandbox", "--ports", "0", "0", "0") as process:
        urls = re.findall(r"http://127\.0\.0\.1:\d+", await until(process, "Ctrl+C"))
        async with aiohttp.ClientSession() as http:
            for url in urls:
                async with http.get(f"{url}/_sandbox/calls") as response:
                    assert response.status == 200
        assert len(urls) == 3
        assert await ended(process, signal.SIGTERM) == 0
