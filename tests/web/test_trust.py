"""The proxy's https calls to systems whose certificate only MICHIQ_CA_FILE verifies."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from proxy.trust import BadAuthorities
from tests.certificates import Made, make
from tests.conftest import Api, StartProxy, bearer
from tests.flows._client import until
from tests.flows.test_webhooks import accepted, event
from tests.rollout.moving import eventually, new_case
from tests.web.consumer import Consumer

SYSTEMS = (
    "MICHIQ_LLAMALITICA_API_URL",
    "MICHIQ_LLAMACHAT_URL",
    "MICHIQ_LEGACY_URL",
    "MICHIQ_TEE_URL",
    "MICHIQ_ALERT_URL",
)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path, "hospital")


class Front:
    """A server that ends TLS in front of another one, whose address is set later."""

    def __init__(self) -> None:
        self.behind = ""
        self.url = ""

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.behind)
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    finally:
        sink.close()


@asynccontextmanager
async def fronts(made: Made) -> AsyncIterator[dict[str, Front]]:
    """Runs one for each system, all with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    async with AsyncExitStack() as stack:
        found = {name: Front() for name in SYSTEMS}
        for front in found.values():
            server = await asyncio.start_server(front.relay, "127.0.0.1", 0, ssl=context)
            await stack.enter_async_context(server)
            front.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield found


@asynccontextmanager
async def hospital(
    start_proxy: StartProxy, made: Made, consumer: Consumer, **environ: str
) -> AsyncIterator[tuple[Api, list[bytes]]]:
    """Runs a proxy with https systems only; yields what the consumer of webhooks and alerts gets, too."""
    async with fronts(made) as tls:
        urls = {name: front.url for name, front in tls.items()}
        urls["MICHIQ_LLAMALITICA_WEB_URL"] = urls["MICHIQ_LLAMALITICA_API_URL"]
        urls["MICHIQ_ALERT_SECRET"] = "alert"
        async with start_proxy(**urls, **environ) as api:
            behind = (
                api.sandbox.llamalitica.url,
                api.sandbox.llamachat.url,
                api.sandbox.michiq.url,
                consumer.url,
                consumer.url,
            )
            for front, url in zip(tls.values(), behind, strict=True):
                front.behind = url
            yield api, consumer.bodies


async def asked(api: Api, case: dict[str, Any]) -> int:
    """Returns the status of a question, which LlamaChat answers."""
    url, headers = f"{api.url}/michiQ/query/{case['michiq_uuid']}", bearer(case["token"])
    async with api.http.post(url, json={"query": "¿Fiebre?"}, headers=headers) as response:
        return response.status


async def unmapped(api: Api) -> int:
    """Returns the status of a path that only the legacy server has."""
    async with api.http.get(f"{api.url}/michiQ/otra") as response:
        return response.status


async def test_trust_31_a_hospitals_own_authority_counts_for_every_system_that_is_called(
    start_proxy: StartProxy, made: Made, consumer: Consumer
) -> None:
    async with hospital(start_proxy, made, consumer, MICHIQ_CA_FILE=str(made.certificate)) as (api, taken):
        assert await asked(api, await api.new_case()) == 200
        assert await unmapped(api) == 404
        await accepted(api, event())
        await until(lambda: taken)


async def test_trust_31_without_the_file_no_such_system_is_called(
    start_proxy: StartProxy, made: Made, consumer: Consumer
) -> None:
    async with hospital(start_proxy, made, consumer) as (api, taken):
        status, headers, _ = await new_case(api)
        assert (status, headers["X-Michiq-Cause"]) == (500, "llamalitica-tls")
        assert await unmapped(api) == 502
        await accepted(api, event())
        await eventually(api.proxy.deps.store.deliveries.waiting, lambda waiting: waiting == 1)
        assert taken == []


async def test_trust_31_a_certificate_of_another_authority_is_still_refused(
    start_proxy: StartProxy, tmp_path: Path, made: Made, consumer: Consumer
) -> None:
    other = make(tmp_path, "other")
    async with hospital(start_proxy, made, consumer, MICHIQ_CA_FILE=str(other.certificate)) as (api, _):
        status, headers, _ = await new_case(api)
        assert (status, headers["X-Michiq-Cause"]) == (500, "llamalitica-tls")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "MICHIQ_CA_FILE can't be read: No such file or directory"),
        (b"no certificate\n", "MICHIQ_CA_FILE needs certificates in PEM form"),
        (b"", "MICHIQ_CA_FILE needs certificates in PEM form"),
        (b"\xff\xfe\x00", "MICHIQ_CA_FILE needs certificates in PEM form"),
    ],
    ids=["no file", "a text", "nothing", "bytes"],
)
async def test_trust_31_a_file_without_authorities_is_refused_at_the_start(
    start_proxy: StartProxy, tmp_path: Path, content: bytes | None, said: str
) -> None:
    ca_file = tmp_path / "ca.pem"
    if content is not None:
        ca_file.write_bytes(content)
    with pytest.raises(BadAuthorities) as caught:
        async with start_proxy(MICHIQ_CA_FILE=str(ca_file)):
            pass
    assert str(caught.value) == said
