"""The hospital's proxy between the running service and every system that it calls by https."""

from pathlib import Path

import pytest

from tests.captured import captured_log
from tests.certificates import make
from tests.conftest import StartProxy
from tests.flows._client import until
from tests.flows.test_webhooks import accepted, event
from tests.rollout.moving import new_case
from tests.upstream.http1.tinyproxy import NEEDED, PASSWORD, tinyproxy
from tests.web.consumer import Consumer
from tests.web.test_trust import asked, hospital, unmapped


@NEEDED
async def test_outbound_proxy_leads_to_every_system_and_its_password_is_in_no_log(
    start_proxy: StartProxy, tmp_path: Path, consumer: Consumer
) -> None:
    """Each system has a tunnel, with the hospital's own certificate authorities."""
    made = make(tmp_path, "hospital")
    with captured_log() as log:
        async with tinyproxy(tmp_path) as outside:
            environ = {
                "MICHIQ_CA_FILE": str(made.certificate),
                "MICHIQ_OUTBOUND_PROXY": outside.url,
                "MICHIQ_NO_PROXY": "elsewhere.example",
            }
            async with hospital(start_proxy, made, consumer, **environ) as (api, taken):
                assert await asked(api, await api.new_case()) == 200
                assert await unmapped(api) == 404
                await accepted(api, event())
                await until(lambda: taken)
                api.proxy.deps.metrics.stepped_back("doc")
                await until(lambda: any(b'"step-back"' in body for body in taken))
            assert outside.tunnels >= 5
    assert PASSWORD not in log.getvalue()


@pytest.mark.parametrize(("listed", "status"), [("127.0.0.1", 200), ("elsewhere.example", 500)])
async def test_no_proxy_decides_what_is_called_directly(
    start_proxy: StartProxy, tmp_path: Path, listed: str, status: int, consumer: Consumer
) -> None:
    made = make(tmp_path, "hospital")
    environ = {
        "MICHIQ_CA_FILE": str(made.certificate),
        "MICHIQ_OUTBOUND_PROXY": "http://127.0.0.1:1",
        "MICHIQ_NO_PROXY": listed,
    }
    async with hospital(start_proxy, made, consumer, **environ) as (api, _):
        said, headers, _ = await new_case(api)
        cause = None if status == 200 else "llamalitica-proxy-unreachable"
        assert (said, headers.get("X-Michiq-Cause")) == (status, cause)
