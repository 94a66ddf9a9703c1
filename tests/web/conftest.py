"""The operator's consumer of webhooks, for the tests of what is sent to it."""

import pytest
from pytest_aiohttp import AiohttpServer

from tests.web.consumer import Consumer, consuming


@pytest.fixture
async def consumer(aiohttp_server: AiohttpServer) -> Consumer:
    """Returns a running consumer; a test that wants other answers than 200 sets its `answers`."""
    return await consuming(aiohttp_server)
