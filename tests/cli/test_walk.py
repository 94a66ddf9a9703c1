"""The walk of one route to the new side and back, examples/migration.sh, on PostgreSQL and S3 as well."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.cli.demo.run import write_environment
from tests.conftest import ROOT, StartProxy
from tests.seaweedfs import CREDENTIALS
from tests.stores import ENGINES


@pytest.mark.parametrize("stored_in", ["replicated"], indirect=True)
async def test_the_walk_of_one_route_goes_to_its_end(
    start_proxy: StartProxy, secret_key: str, tmp_path: Path
) -> None:
    async with start_proxy(legacy=True) as api:
        environment = {
            **CREDENTIALS,
            **await ENGINES.environ(tmp_path),
            "MICHIQ_SECRET_KEYS": secret_key,
            "MICHIQ_MAPPINGS": str(tmp_path / "mappings"),
            "MICHIQ_LLAMALITICA_API_URL": api.sandbox.llamalitica.url,
            "MICHIQ_LLAMALITICA_WEB_URL": api.sandbox.llamalitica.url,
            "MICHIQ_LLAMACHAT_URL": api.sandbox.llamachat.url,
            "MICHIQ_LLAMACHAT_API_KEY": "sandbox-chat-key",
            "MICHIQ_LEGACY_URL": api.sandbox.michiq.url,
            "MICHIQ_ADMIN_LISTEN": urlsplit(api.proxy.admin_url).netloc,
            "CONTRACT_TARGET": api.url,
        }
        (tmp_path / "var" / "demo").mkdir(parents=True)
        (tmp_path / "var" / "demo" / "ehr.json").write_text('{"id": "p-1", "name": "Ana"}')
        write_environment(tmp_path / "var" / "demo.env", environment)
        walk = await asyncio.create_subprocess_exec(
            *("bash", str(ROOT / "examples" / "migration.sh")),
            cwd=tmp_path,
            env={**os.environ, "COMMAND": str(Path(sys.executable).with_name("michiq-proxy"))},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
        )
        printed, _ = await walk.communicate()
    assert printed.decode().endswith("walk complete\n"), printed.decode()
