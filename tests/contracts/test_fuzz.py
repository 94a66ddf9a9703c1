"""Schemathesis, led by the legacy description, against the running proxy and the sandbox's old server.

Both run in a process of their own, the fuzzer in another. All of its checks count, and one of ours, but the
two that fuzz/schemathesis.toml switches off with its reasons.
"""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests import samples
from tests.cli.test_processes import command, until
from tests.conftest import IDENTITY, ROOT
from tests.contracts.description import CONTRACTS
from tests.contracts.visits import Visitor

CONFIG: Final = ROOT / "tests" / "contracts" / "fuzz" / "schemathesis.toml"
NAME: Final = "michiq-legacy.yaml"
SECONDS: Final = 900  # against a fuzzer that hangs: a busy machine takes minutes
LISTEN: Final = {"MICHIQ_LISTEN": "127.0.0.1:0", "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0"}
PROXY: Final = r"michiq-proxy +(http://\S+)"
OLD_SERVER: Final = r"legacy michiQ (http://\S+)"
# What the fuzzer has to say of it, and what the description is made to say instead of the truth.
LIES: Final = {
    "'Método prohibido' was expected": ("Método no permitido", "Método prohibido"),
    "Received: 404": ('"404":', '"410":'),
    '"more" is a required property': ("required: [response]", "required: [response, more]"),
    "instead of text/plain; charset=latin-1": ("charset=utf-8:", "charset=latin-1:"),  # newCase's 401
}


async def test_no_generated_call_gets_an_answer_that_is_not_documented(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with demo(tmp_path) as printed, asyncio.timeout(SECONDS):
        for server, most in ((PROXY, "100"), (OLD_SERVER, "30")):
            url = _url(printed, server)
            code, output = await fuzzed(url, CONTRACTS, tmp_path, "--max-examples", most)
            assert code == 0, output
            with capsys.disabled():
                sys.stdout.write(f"\nschemathesis, {server.split()[0]}: {', '.join(_summary(output))}\n")


async def test_the_fuzzer_bites_when_the_description_asks_for_something_else(tmp_path: Path) -> None:
    described = (CONTRACTS / NAME).read_text("utf-8")
    for truth, lie in LIES.values():
        assert truth in described
        described = described.replace(truth, lie, 1)
    (tmp_path / NAME).write_text(described, "utf-8")
    async with demo(tmp_path) as printed, asyncio.timeout(SECONDS):
        code, output = await fuzzed(_url(printed, PROXY), tmp_path, tmp_path, "--max-examples", "5")
    assert code == 1
    assert [said for said in LIES if said not in output] == [], output


@asynccontextmanager
async def demo(folder: Path) -> AsyncIterator[str]:
    """A running demo, by what it printed."""
    async with command(folder, "demo", "--ports", "0", "0", "0", **LISTEN) as process:
        yield await until(process, "Ready.")


async def fuzzed(url: str, descriptions: Path, folder: Path, *options: str) -> tuple[int, str]:
    """The fuzzer's exit code and all it said; it works with a case that has audio, and its owner's token."""
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout) as http:
        guest = await Visitor(http, url).signed_in()
        await guest.upload(samples.wav(1))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", str(descriptions / NAME), "--url", url, "--no-color", *options),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **_told(guest, descriptions)},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode()


def _told(guest: Visitor, descriptions: Path) -> dict[str, str]:
    """Returns the environment that the configuration and the hooks read."""
    return {
        "FUZZ_DESCRIPTIONS": str(descriptions),
        "FUZZ_TOKEN": guest.token,
        "FUZZ_CASE_ID": guest.id,
        "FUZZ_API_KEY": IDENTITY["API_KEY"],
        "FUZZ_USER": IDENTITY["user_mail"],
        "FUZZ_ORGANIZATION": IDENTITY["organization"],
    }


def _url(printed: str, pattern: str) -> str:
    found = re.search(pattern, printed)
    assert found, printed
    return found[1]


def _summary(output: str) -> list[str]:
    """The seed and the number of cases, as the fuzzer gives them."""
    return [" ".join(line.split()) for line in re.findall(r"^Seed: .+|^  \d+ generated.+", output, re.M)]
