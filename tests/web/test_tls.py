"""https by the proxy's own certificate, exchanged while it serves; the admin listener stays as it is."""

import asyncio
import ssl
from asyncio import IncompleteReadError
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.web.tls import BadCertificate
from tests.captured import captured_log
from tests.certificates import Made, make, trusting
from tests.conftest import StartProxy
from tests.flows._wire import form, new_case, part
from tests.keepalive import Connection, get

CASE = new_case(form(part("ehr", '{"id": "p-1"}'), part("conversation", "Hola.")))
CASES = get("/michiQ/encounters")  # answered 401: nobody asks who it is
READY = get("/readyz")


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path, "served", "rsa")


@pytest.mark.parametrize("name", [None, "proxy.example"], ids=["by address", "by name"])
async def test_clients_are_served_by_https_and_operators_as_before(
    start_proxy: StartProxy, made: Made, name: str | None
) -> None:
    async with start_proxy(**made.settings) as api:
        assert api.url.startswith("https://127.0.0.1:")
        connection = await Connection.open(api.url, trusting(made), name)
        assert [(await connection.ask(data)).status for data in (CASE, CASES, CASE)] == [200, 401, 200]
        admin = await Connection.open(api.proxy.admin_url)
        assert (await admin.ask(READY)).status == 200
        for each in (connection, admin):
            each.close()


async def test_http_to_the_same_port_is_not_answered(start_proxy: StartProxy, made: Made) -> None:
    async with start_proxy(**made.settings) as api:
        connection = await Connection.open(api.url.replace("https", "http"))
        with pytest.raises((IncompleteReadError, ConnectionError)):
            await connection.ask(CASE)
        connection.close()


@pytest.mark.parametrize(
    ("version", "served"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_tls_is_1_2_or_newer(
    start_proxy: StartProxy, made: Made, version: ssl.TLSVersion, served: bool
) -> None:
    context = trusting(made)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    async with start_proxy(**made.settings) as api:
        try:
            connection = await Connection.open(api.url, context)
        except (ssl.SSLError, ConnectionError):
            assert not served
        else:
            assert served
            assert (await connection.ask(CASES)).status == 401
            connection.close()


@pytest.mark.parametrize("name", [None, "proxy.example"], ids=["by address", "by name"])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_a_new_certificate_is_shown_to_those_who_connect_after_the_reload(
    start_proxy: StartProxy, tmp_path: Path, made: Made, name: str | None, kind: str
) -> None:
    other = make(tmp_path, "other", "ec" if kind == "ec" else "rsa")
    both = trusting(made, other)
    async with start_proxy(**made.settings) as api:
        before = await Connection.open(api.url, both, name)
        made.take(other)
        unasked = await Connection.open(api.url, both, name)
        api.proxy.reload_soon()
        after = await Connection.open(api.url, both, name)
        connections = [before, unasked, after]
        assert [each.certificate() for each in connections] == [made.der, made.der, other.der]
        assert [(await each.ask(CASES)).status for each in connections] == [401] * 3
        for each in connections:
            each.close()


async def test_files_that_can_not_be_served_with_leave_the_old_certificate_in_force(
    start_proxy: StartProxy, tmp_path: Path, made: Made
) -> None:
    trusted = trusting(made)
    with captured_log() as log:
        async with start_proxy(**made.settings) as api:
            made.key.write_bytes(make(tmp_path, "other").key.read_bytes())
            api.proxy.reload_soon()
            connection = await Connection.open(api.url, trusted)
            assert (await connection.ask(CASES)).status == 401
            connection.close()
    assert '"certificate_rejected"' in log.getvalue()


@pytest.mark.parametrize("wrong", ["no file", "no certificate", "another one's key", "a password"])
async def test_without_a_certificate_and_its_key_nothing_is_served(
    start_proxy: StartProxy, tmp_path: Path, made: Made, wrong: str
) -> None:
    if wrong == "no file":
        made.certificate.unlink()
    elif wrong == "no certificate":
        made.certificate.write_text("none")
    else:
        password = b"secret" if wrong == "a password" else None
        made.key.write_bytes(make(tmp_path, "other", "rsa", password).key.read_bytes())
    with pytest.raises(
        BadCertificate, match=r"^MICHIQ_TLS_CERT, MICHIQ_TLS_KEY: no certificate with its key"
    ):
        async with start_proxy(**made.settings):
            pass


async def test_a_connection_is_seen_out_as_one_without_tls(start_proxy: StartProxy, made: Made) -> None:
    async with start_proxy(MICHIQ_DRAIN_SECONDS="60", **made.settings) as api:
        asked, idle = [await Connection.open(api.url, trusting(made)) for _ in range(2)]
        for connection in (asked, idle):
            assert not (await connection.ask(CASES)).last
        notice = asyncio.create_task(api.proxy.ending.notice())
        await asyncio.sleep(0)
        assert (await asked.ask(CASES)).last
        assert await asked.ended()
        notice.cancel()
        with suppress(asyncio.CancelledError):
            await notice
    assert await idle.ended()
    for connection in (asked, idle):
        connection.close()
