"""The proxy's own https, for clients and for operators at other machines; its certificate can be replaced."""

import asyncio
import json
import socket
import ssl
from asyncio import IncompleteReadError
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.server.handshakes import Handshakes, offered_version
from proxy.server.tls import BadCertificate
from tests.captured import captured_log
from tests.certificates import Made, make, trusting
from tests.conftest import Api, StartProxy
from tests.flows._wire import form, new_case, part
from tests.keepalive import Connection, get
from tests.rollout.moving import eventually

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


def reached(url: str) -> str:
    """Returns the URL at which a client reaches a listener on a wildcard address."""
    return url.replace("0.0.0.0", "127.0.0.1")


async def test_operators_at_other_machines_are_served_by_https_and_probes_as_before(
    start_proxy: StartProxy, made: Made
) -> None:
    listeners = {"MICHIQ_ADMIN_LISTEN": "0.0.0.0:0", "MICHIQ_STATUS_LISTEN": "0.0.0.0:0"}
    with captured_log() as log:
        async with start_proxy(**listeners, **made.settings) as api:
            urls = [api.url, api.proxy.admin_url, api.proxy.status_url or ""]
            admin = await Connection.open(reached(urls[1]), trusting(made))
            status = await Connection.open(reached(urls[2]))
            for each in (admin, status):
                assert [(await each.ask(READY)).status for _ in range(2)] == [200, 200]
                each.close()
    assert [url.partition(":")[0] for url in urls] == ["https", "https", "http"]
    [line] = [json.loads(each) for each in log.getvalue().splitlines() if '"listening"' in each]
    assert [line[name] for name in ("url", "admin", "status")] == urls


async def test_plain_http_to_operators_https_is_closed_and_counted(
    start_proxy: StartProxy, made: Made
) -> None:
    with captured_log() as log:
        async with start_proxy(MICHIQ_ADMIN_LISTEN="0.0.0.0:0", **made.settings) as api:
            url = reached(api.proxy.admin_url)
            connection = await Connection.open(url.replace("https", "http"))
            with pytest.raises((IncompleteReadError, ConnectionError)):
                await connection.ask(READY)
            connection.close()
            after = await Connection.open(url, trusting(made))
            assert (await after.ask(READY)).status == 200
            after.close()
    [line] = [json.loads(each) for each in log.getvalue().splitlines() if "tls_handshake_failed" in each]
    assert (line["version"], line["reason"]) == ("none", "not-tls")


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


async def shown(api: Api) -> list[str]:
    async with api.http.get(f"{api.proxy.admin_url}/metrics") as response:
        lines = (await response.text()).replace(',worker="worker-1"', "").splitlines()
    return sorted(line for line in lines if line.startswith("michiq_tls_failures_total{"))


async def counted(api: Api, kinds: int = 1) -> list[str]:
    """Returns the metrics of failed handshakes, once there are this many kinds."""
    return await eventually(lambda: shown(api), lambda lines: len(lines) == kinds)


async def tried(api: Api, context: ssl.SSLContext) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await (await Connection.open(api.url, context)).ask(CASES)


def refused(url: str, context: ssl.SSLContext) -> None:
    """The client closes it with an alert: asyncio itself would only close the connection."""
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 0)
    with socket.create_connection(address, timeout=20) as line, pytest.raises(ssl.SSLError):
        context.wrap_socket(line, server_hostname=parts.hostname)


def old(made: Made, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Returns the context of a program with only one version of TLS, as with OpenSSL 1.0."""
    context = trusting(made)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "label"), [(ssl.TLSVersion.TLSv1, "tls1.0"), (ssl.TLSVersion.TLSv1_1, "tls1.1")]
)
async def test_tls_33_a_client_that_is_too_old_is_counted_and_told_of_once_by_its_version(
    start_proxy: StartProxy, made: Made, version: ssl.TLSVersion, label: str
) -> None:
    with captured_log() as log:
        async with start_proxy(**made.settings) as api:
            for _ in range(3):
                await tried(api, old(made, version))
            assert await counted(api) == [
                f'michiq_tls_failures_total{{reason="version",version="{label}"}} 3.0'
            ]
    [line] = [json.loads(each) for each in log.getvalue().splitlines() if "tls_handshake_failed" in each]
    assert (line["version"], line["reason"], line["times"]) == (label, "version", 1)
    assert "docs/clients.md" in line["hint"]


async def test_tls_33_a_client_that_shares_no_cipher_or_no_trust_is_counted_by_that(
    start_proxy: StartProxy, tmp_path: Path, made: Made
) -> None:
    ciphers = old(made, ssl.TLSVersion.TLSv1_2)
    ciphers.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")  # the certificate is RSA's
    async with start_proxy(**made.settings) as api:
        await tried(api, ciphers)
        await asyncio.to_thread(refused, api.url, trusting(make(tmp_path, "other")))
        assert await counted(api, kinds=2) == [
            'michiq_tls_failures_total{reason="certificate",version="tls1.3"} 1.0',
            'michiq_tls_failures_total{reason="cipher",version="tls1.2"} 1.0',
        ]


async def test_tls_33_what_is_no_tls_is_counted_so_and_a_look_at_the_port_is_nothing(
    start_proxy: StartProxy, made: Made
) -> None:
    async with start_proxy(**made.settings) as api:
        (await Connection.open(api.url.replace("https", "http"))).close()
        connection = await Connection.open(api.url.replace("https", "http"))
        with pytest.raises((IncompleteReadError, ConnectionError)):
            await connection.ask(CASES)
        connection.close()
        assert await counted(api) == ['michiq_tls_failures_total{reason="not-tls",version="none"} 1.0']


def hello(version: int, *supported: int) -> bytes:
    """Returns a ClientHello with one cipher suite."""
    listed = b"".join(each.to_bytes(2) for each in supported)
    versions = b"\0\x2b" + (len(listed) + 1).to_bytes(2) + bytes([len(listed)]) + listed
    extensions = b"\0\x17\0\0" + (versions if supported else b"")
    body = version.to_bytes(2) + bytes(32) + b"\0" + b"\0\2\0\x2f" + b"\1\0"
    body += len(extensions).to_bytes(2) + extensions
    return b"\x16\3\1" + (len(body) + 4).to_bytes(2) + b"\1" + len(body).to_bytes(3) + body


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (hello(0x0300), "ssl3"),
        (hello(0x0301), "tls1.0"),
        (hello(0x0302), "tls1.1"),
        (hello(0x0303), "tls1.2"),
        (hello(0x0303, 0x0304, 0x0303), "tls1.3"),
        (hello(0x0303, 0x1A1A, 0x0303, 0x0302), "tls1.2"),
        (hello(0x0303, 0x0304)[:60], "tls1.2"),
        (hello(0x0505), "other"),
        (b"\x80\x2e\1\3\1" + bytes(40), "tls1.0"),
        (b"GET / HTTP/1.1\r\n\r\n", "none"),
        (b"", "none"),
        (b"\x16\3\1\0", "none"),
        (bytes(200), "none"),
        (b"\xff" * 200, "none"),
    ],
)
def test_tls_33_the_version_is_the_newest_that_the_client_offers(data: bytes, version: str) -> None:
    assert offered_version(data) == version


def test_tls_33_a_kind_of_failure_is_logged_at_most_once_a_minute_with_how_many_there_were() -> None:
    now, counted = [0.0], []
    handshakes = Handshakes(lambda *kind: counted.append(kind), lambda: now[0])
    with captured_log() as log:
        for now[0] in (0, 1, 59, 60, 61):
            handshakes.failed("tls1.0", "version")
        handshakes.failed("tls1.1", "version")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["version"], line["times"]) for line in lines] == [
        ("tls1.0", 1),
        ("tls1.0", 3),
        ("tls1.1", 1),
    ]
    assert len(counted) == 6


@pytest.mark.parametrize("name", [None, "proxy.example"], ids=["by address", "by name"])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
async def test_a_new_certificate_is_shown_to_those_who_connect_after_the_reload(
    start_proxy: StartProxy, tmp_path: Path, made: Made, name: str | None, kind: str
) -> None:
    other = make(tmp_path, "other", "ec" if kind == "ec" else "rsa")
    both = trusting(made, other)
    async with start_proxy(MICHIQ_ADMIN_LISTEN="0.0.0.0:0", **made.settings) as api:
        before = await Connection.open(api.url, both, name)
        made.take(other)
        unasked = await Connection.open(api.url, both, name)
        api.proxy.reload_soon()
        after = await Connection.open(api.url, both, name)
        operator = await Connection.open(reached(api.proxy.admin_url), both, name)
        connections = [before, unasked, after, operator]
        assert [each.certificate() for each in connections] == [made.der, made.der, other.der, other.der]
        assert [(await each.ask(CASES)).status for each in connections[:3]] == [401] * 3
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
        BadCertificate, match=r"^MICHIQ_TLS_CERT, MICHIQ_TLS_KEY: need a certificate and its key"
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
