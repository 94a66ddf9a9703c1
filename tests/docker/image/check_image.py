"""The image of docker/Dockerfile, built and started; only `make image` runs this file."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography.fernet import Fernet

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox
from tests.conftest import IDENTITY, case_form
from tests.docker.image.building import Image, built, committed
from tests.docker.tools import tool

_SECONDS: Final = 60
_CANARY: Final = "CANARY-5d1e"
_KEY: Final = f"-----BEGIN PRIVATE{' '}KEY-----\n{_CANARY}{'A' * 53}\n-----END PRIVATE{' '}KEY-----\n"
# libgnutls has the published keys of its own self-tests.
_SELF_TESTS: Final = re.compile(r"libgnutls[-.\w]*\.so\.[\d.]+")
_HELD: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=-]{16}|" + _CANARY.encode())
# What an operator's folder may hold beside the committed files.
_SECRETS: Final = (
    *(".env", "var/demo.env", "var/michiq.db", "key.pem", "docker/.env", ".git/config"),
    *("proxy/__pycache__/old.pyc", "mappings/__pycache__/old.pyc"),
)
_BUILDERS: Final = ("pip", "setuptools", "wheel", "hatchling", "ensurepip", "editables")
_PROGRAMS: Final = ("pip", "pip3", "gcc", "cc", "c++", "make", "ld", "git", "hatchling", "uv")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Builds from a copy of the repository that also holds secrets."""
    for name in ("buildah", "debootstrap", "unshare", "setpriv"):
        tool(name)
    if os.geteuid() != 0:
        pytest.skip("only root may make a base system and mount an image's files")
    context = tmp_path_factory.mktemp("context")
    committed(context)
    for name in _SECRETS:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(_KEY)
    with built(tmp_path_factory.mktemp("image"), context) as made:
        yield made


@asynccontextmanager
async def serving(image: Image, sandbox: Sandbox) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """Starts the image's own command; yields its process and the addresses that it listens on."""
    settings = {
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_SECRET_KEYS": Fernet.generate_key().decode(),
        "MICHIQ_LLAMALITICA_API_URL": sandbox.llamalitica.url,
        "MICHIQ_LLAMALITICA_WEB_URL": sandbox.llamalitica.url,
    }
    process = await asyncio.create_subprocess_exec(
        *image.started(image.command),
        env=image.environ(**settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    written = []
    try:
        async with asyncio.timeout(_SECONDS):
            async for line in process.stdout:
                written.append(line.decode())
                if '"listening"' in written[-1]:
                    break
        assert written, "it wrote nothing"
        assert '"listening"' in written[-1], "".join(written)
        yield process, json.loads(written[-1])
    finally:
        # As an engine ends it: by a signal to the image's first process, which answers for the others.
        for child in _children(process.pid):
            os.kill(child, signal.SIGTERM)
        async with asyncio.timeout(_SECONDS):
            await process.communicate()


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with run_sandbox(SandboxConfig()) as running:
        yield running


async def test_the_image_serves_read_only_as_its_number_and_is_healthy(
    image: Image, sandbox: Sandbox
) -> None:
    async with serving(image, sandbox) as (process, listening), aiohttp.ClientSession() as http:
        async with http.get(f"{listening['admin']}/healthz") as answer:
            assert answer.status == 200
        async with http.post(
            f"{listening['url']}/michiQ/newCase", data=case_form(), headers=IDENTITY
        ) as answer:
            assert answer.status == 200, answer.headers["X-Michiq-Cause"]
        assert _asked(image, image.healthcheck, MICHIQ_ADMIN_LISTEN=listening["admin"][7:]) == "ready\n"
        assert {*_identities(process.pid)} == {"10001 10001 10001 10001"}
    assert process.returncode == 0


def test_nothing_but_data_and_tmp_can_be_written(image: Image) -> None:
    script = """
import errno, os
def refused(folder):
    try:
        open(f"{folder}/new", "w").close()
    except OSError as error:
        return errno.errorcode[error.errno]
print([refused(folder) for folder in ("/", "/opt/michiq", "/usr/bin", "/data", "/tmp")])
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
"""
    found = _asked(image, ["python", "-c", script]).splitlines()
    assert found == ["['EROFS', 'EROFS', 'EROFS', None, None]", "0" * 16]


def test_the_drivers_of_postgresql_and_s3_are_in_the_image(image: Image) -> None:
    assert _asked(image, ["python", "-c", "import asyncpg, aiohttp_s3_client"]) == ""


def test_no_build_tool_is_in_the_image(image: Image) -> None:
    """Asks the program's Python and the base's."""
    script = f"import importlib.util as u; print([n for n in {_BUILDERS!r} if u.find_spec(n)])"
    pythons = {
        "/opt/michiq/bin/python",
        _asked(image, ["python", "-c", "import sys; print(sys._base_executable)"]).strip(),
    }
    assert {_asked(image, [python, "-c", script]) for python in pythons} == {"[]\n"}
    found = {path.name for path in image.root.glob("**/*bin/*")} & {*_PROGRAMS}
    assert found == set()
    assert [*image.root.glob("**/*.whl")] == []


def test_no_key_and_no_secret_of_the_folder_is_in_the_image(image: Image) -> None:
    held = []
    for path in image.root.rglob("*"):
        plain = path.is_file() and not path.is_symlink() and not _SELF_TESTS.fullmatch(path.name)
        if plain and _HELD.search(path.read_bytes()):
            held.append(path.relative_to(image.root).as_posix())
    assert held == []
    assert _CANARY not in json.dumps(image.config)


def test_nothing_of_the_machine_that_built_it_is_in_the_image(image: Image) -> None:
    """pip's configuration and its packages are mounted for the time of the build."""
    assert not [*(image.root / "root").glob(".config*"), *image.root.glob("**/pip.conf")]
    assert not [*(image.root / "mnt").iterdir()]
    assert image.config["WorkingDir"] == "/data"
    assert image.config["Volumes"] == {"/data": {}}


def _asked(image: Image, command: list[str], **environ: str) -> str:
    """Returns what a command in the image wrote; nobody may have complained."""
    ran = subprocess.run(
        image.started(command),
        env=image.environ(**environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _identities(pid: int) -> Iterator[str]:
    """Yields the user ids of all processes below one."""
    for child in _children(pid):
        status = Path(f"/proc/{child}/status").read_text()
        yield " ".join(re.findall(r"^Uid:\t(.+)$", status, re.MULTILINE)[0].split())
        yield from _identities(child)
