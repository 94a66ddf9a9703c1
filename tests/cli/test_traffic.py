"""A day of synthetic traffic, examples/traffic.py, in seconds: each view has something to show."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from proxy.cli.demo.case import write_files
from proxy.cli.demo.run import write_environment
from tests.conftest import API_KEY, ROOT, Api, StartProxy, bearer

_SECONDS: Final = 3


async def spent(folder: Path, api: Api, secret_key: str) -> str:
    """Returns what the example prints beside this proxy, once its day is over."""
    environment = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_DATABASE_URL": f"sqlite:///{folder}/michiq.db",
        "MICHIQ_BLOBS_URL": f"file:{folder}/blobs",
        "MICHIQ_MAPPINGS": str(folder / "mappings"),
        "MICHIQ_LLAMALITICA_API_URL": api.sandbox.llamalitica.url,
        "MICHIQ_LLAMALITICA_WEB_URL": api.sandbox.llamalitica.url,
        "MICHIQ_LLAMACHAT_URL": api.sandbox.llamachat.url,
        "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
        "MICHIQ_LEGACY_URL": api.sandbox.michiq.url,
        "MICHIQ_ADMIN_LISTEN": urlsplit(api.proxy.admin_url).netloc,
        "MICHIQ_ADMIN_TOKENS": "demo:token-of-the-demo",
        "CONTRACT_TARGET": api.url,
        "CONTRACT_API_KEY": API_KEY,
    }
    write_files(folder / "var" / "demo")
    write_environment(folder / "var" / "demo.env", environment)
    day = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "examples" / "traffic.py"), "--seconds", str(_SECONDS)),
        cwd=folder,
        env={**os.environ, "COMMAND": str(Path(sys.executable).with_name("michiq-proxy"))},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    printed, _ = await day.communicate()
    assert day.returncode == 0, printed.decode()
    return printed.decode()


@pytest.mark.here_only("the example is for the demo, whose store is on this machine")
async def test_a_day_of_traffic_leaves_something_in_each_view(
    start_proxy: StartProxy, tmp_path: Path, secret_key: str
) -> None:
    async with start_proxy(legacy=True, MICHIQ_ADMIN_TOKENS="demo:token-of-the-demo") as api:

        async def seen(path: str) -> Any:
            headers = bearer("token-of-the-demo")
            async with api.http.get(f"{api.proxy.admin_url}/admin/v1{path}", headers=headers) as response:
                assert response.status == 200, await response.text()
                return await response.json()

        printed = await spent(tmp_path, api, secret_key)
        changes = (await seen("/history"))["changes"]
        clients = (await seen("/clients"))["calls"]
        differences = (await seen("/differences?route=new_case"))["differences"]
        pending = (await seen("/pending"))["pending"]
        series = await seen("/series?route=new_case")
    assert "michiq-proxy contract --record --routes doc,encounters ends with" in printed
    assert "The day is over." in printed
    assert {"legacy", "shadow", "canary", "new"} <= {change["mode"] for change in changes}
    assert "Clínica Sur" in [change["organization"] for change in changes if change["actor"] == "proxy"]
    assert len({client["organization"] for client in clients}) >= 8
    assert "message" in [difference["path"] for difference in differences]
    assert len(pending) == 2
    assert len(series["points"]) > 100
