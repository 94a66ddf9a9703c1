"""A running sandbox with a clock and ids that tests decide, a client, and a receiver of webhooks."""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer

from proxy.sandbox import Sandbox, SandboxConfig, run_sandbox

KEY = "key-of-the-hospital"
CHAT_KEY = "chat-key"
OTHER_CHAT_KEY = "chat-key-of-another"
WEBHOOK_SECRET = "ñ-secret"


@dataclass
class SetClock:
    """A clock that stands until a test moves it."""

    now: datetime = datetime(2025, 3, 21, 10, 0, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Receiver:
    """A webhook's endpoint: the deliveries that it got, and the statuses that it answers first (then 200)."""

    url: str = ""
    got: list[tuple[bytes, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append((await request.read(), request.headers["X-Webhook-Signature"]))
        return web.json_response({"received": True}, status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def sandbox(clock: SetClock) -> AsyncIterator[Sandbox]:
    config = SandboxConfig(
        api_keys=frozenset({KEY, "key-without-credits"}),
        chat_keys={"proxy": CHAT_KEY, "another": OTHER_CHAT_KEY},
        webhook_secret=WEBHOOK_SECRET,
        webhook_retries=(0.0, 0.0),
        clock=clock,
        random_bytes=random.Random(7).randbytes,
    )
    async with run_sandbox(config) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def receiver(aiohttp_server: AiohttpServer) -> Receiver:
    endpoint = Receiver()
    app = web.Application()
    app.router.add_post("/hook", endpoint.receive)
    server = await aiohttp_server(app)
    endpoint.url = str(server.make_url("/hook"))
    return endpoint
