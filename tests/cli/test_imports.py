"""The imports of a command are the cost of its start: seconds and megabytes in every process, every time."""

import asyncio
import json
import os
import signal
import socket
import sys
from asyncio import create_subprocess_exec, timeout
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

import pytest
from cryptography.fernet import Fernet

from proxy.cli.help_texts import SUMMARIES
from tests.conftest import ROOT

# Says what was imported once the command has ended, however it did.
_PROGRAM: Final = """
import atexit, json, sys
from pathlib import Path
path = Path(sys.argv.pop(1))
atexit.register(lambda: path.write_text(json.dumps([*sys.modules])))
from proxy.cli import main
main(prog_name="michiq-proxy")
"""
_HEAVY: Final = (
    *("aiohttp", "asyncio", "cryptography", "multiprocessing", "pydantic", "sqlalchemy", "ssl", "structlog"),
    *("email", "http", "dotenv", "proxy.settings", "proxy.store", "proxy.web", "uvloop"),
)
# What is rare, and what only worker processes and tests have a use for; the page's at its first view.
_RARE: Final = (
    *("babel", "jinja2"),
    *("alembic", "av", "docx", "hypothesis", "jsonschema", "lxml", "mako", "pypdfium2", "pytest"),
    *(
        "google.protobuf",
        "opentelemetry",
        "referencing",
        "reportlab",
        "requests",
        "rich",
        "ruamel",
        "schemathesis",
        "sqlalchemy.dialects.postgresql",
    ),
)
SECONDS: Final = 60
# Every command, and the subcommands of those that have some.
HELPS: Final = (
    *([name] for name in SUMMARIES),
    *(["mode", name] for name in ("show", "set", "clear", "rollback", "history")),
    *(["pending", "resolve"], ["mode", "query"], ["audit", "list"], ["audit", "verify"]),
)


def found(modules: list[str], names: tuple[str, ...]) -> list[str]:
    return [name for name in names if any(f"{each}.".startswith(f"{name}.") for each in modules)]


async def started(folder: Path, *arguments: str, **environ: str) -> Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MICHIQ_")}
    return await create_subprocess_exec(
        *(sys.executable, "-c", _PROGRAM, str(folder / "modules"), *arguments),
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **environ},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=DEVNULL,
    )


def modules(folder: Path) -> list[str]:
    read: list[str] = json.loads((folder / "modules").read_text())
    return read


@pytest.mark.parametrize(
    "arguments",
    [["healthcheck"], ["--help"], ["--version"], *([*command, "--help"] for command in HELPS)],
    ids=" ".join,
)
async def test_healthcheck_and_every_help_import_nothing_of_the_application(
    tmp_path: Path, arguments: list[str]
) -> None:
    async with timeout(SECONDS):
        process = await started(tmp_path, *arguments, MICHIQ_ADMIN_LISTEN="127.0.0.1:1")
        await process.communicate()
    assert found(modules(tmp_path), _HEAVY + _RARE) == []


async def test_healthcheck_by_https_imports_ssl_and_nothing_else_of_weight(tmp_path: Path) -> None:
    settings = {"MICHIQ_TLS_CERT": "proxy.crt"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings["MICHIQ_ADMIN_LISTEN"] = f"0.0.0.0:{server.getsockname()[1]}"
        async with timeout(SECONDS):
            process = await started(tmp_path, "healthcheck", **settings)
            connection, _ = await asyncio.to_thread(server.accept)
            connection.close()
            await process.communicate()
    assert found(modules(tmp_path), _HEAVY + _RARE) == ["ssl"]


async def test_serve_imports_nothing_that_is_rare(tmp_path: Path) -> None:
    """Looks at the second start: the first one has made the database."""
    settings = {
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(),
        "MICHIQ_DRAIN_SECONDS": "1",
    }
    for _ in range(2):
        async with timeout(SECONDS):
            process = await started(tmp_path, "serve", **settings)
            assert process.stdout
            while b'"listening"' not in await process.stdout.readline():
                pass
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    assert found(modules(tmp_path), _RARE) == []
