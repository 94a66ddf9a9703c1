"""The page over TLS, for operators at other machines."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli.healthcheck import healthcheck
from tests import certificates
from tests.conftest import StartProxy
from tests.web.page.browsing import ANA, TOKENS


async def test_beyond_this_machine_the_admin_listener_has_tls_and_the_session_stays_on_it(
    start_proxy: StartProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates.make(tmp_path, "proxy")
    trust = certificates.trusting(made)
    environ = {"MICHIQ_ADMIN_TOKENS": TOKENS, "MICHIQ_ADMIN_LISTEN": "0.0.0.0:0", **made.settings}
    async with start_proxy(**environ) as api:
        address = api.proxy.admin_url.replace("0.0.0.0", "127.0.0.1")
        async with api.http.post(
            f"{address}/login",
            data={"token": ANA},
            headers={"Host": "admin.hospital.example"},
            ssl=trust,
            allow_redirects=False,
        ) as answer:
            name, cookie = answer.cookies.popitem()
        monkeypatch.setenv("MICHIQ_ADMIN_LISTEN", api.proxy.admin_url.removeprefix("https://"))
        monkeypatch.setenv("MICHIQ_TLS_CERT", str(made.certificate))
        asked = await asyncio.to_thread(CliRunner().invoke, healthcheck)
    assert address.startswith("https://")
    assert (answer.status, name) == (303, "__Host-michiq-session")
    assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
    assert (asked.exit_code, asked.output.splitlines()[-1]) == (0, "ready")


async def test_within_this_machine_the_admin_listener_has_no_tls(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    made = certificates.make(tmp_path, "proxy")
    async with start_proxy(**made.settings) as api:
        assert api.proxy.url.startswith("https://")
        assert api.proxy.admin_url.startswith("http://127.0.0.1:")
