"""The legacy server makes a case while the store is away: the proxy stores it when the store is back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.web.legacy import relay
from tests.captured import captured_log
from tests.conftest import Api, StartProxy, bearer
from tests.rollout.moving import eventually, mode
from tests.stores import ENGINES


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    """Runs a proxy that moves all but newCase."""
    async with start_proxy({"new_case": mode("legacy")}, legacy=True) as started:
        yield started


async def test_passthrough_G07_a_case_is_stored_once_the_store_is_back(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_WAITS", (0.02,) * 500)
    with captured_log() as log:
        ENGINES.tamper(tmp_path, "ALTER TABLE homes RENAME TO away")
        made = await api.new_case()
        assert await status_of_doc(api, made) == 500
        ENGINES.tamper(tmp_path, "ALTER TABLE away RENAME TO homes")
        assert await eventually(lambda: status_of_doc(api, made), lambda status: status == 200)
    assert "legacy_case_not_kept" in log.getvalue()
    assert made["token"] not in log.getvalue()


async def status_of_doc(api: Api, made: dict[str, str]) -> int:
    url = f"{api.url}/michiQ/doc/{made['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(made["token"])) as response:
        return response.status
