"""The operator's own servers, for the tests of what is sent to them."""

import pytest
from pytest_aiohttp import AiohttpServer

from tests.web.collector import Collector, collecting
from tests.web.consumer import Consumer, consuming


@pytest.fixture
async def consumer(aiohttp_server: AiohttpServer) -> Consumer:
    """Returns a running consumer; a test that wants other answers than 200 sets its `answers`."""
    return await consuming(aiohttp_server)


@pytest.fixture
async def collector(aiohttp_server: AiohttpServer, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Returns a running collector of traces, and makes every proxy of the test export to it."""
    collector = await collecting(aiohttp_server)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    return collector
