"""The listeners: each has an address of its own, or the start fails with the reason."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from proxy.addresses import parse_address, parse_addresses
from proxy.server.listener import CantListen, open_sockets
from proxy.server.sockets import LISTEN, SharedResources, bound
from proxy.web.service import running
from tests.conftest import StartProxy, edited_table, settings_for
from tests.keepalive import Connection, get


@pytest.fixture
def port() -> Iterator[int]:
    """Reserves a port that nobody listens on, and that no other program gets meanwhile."""
    with closing(socket.socket()) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


async def test_listening_34_a_port_that_another_process_listens_on_is_refused_by_setting_and_address(
    start_proxy: StartProxy,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        for setting in ("MICHIQ_LISTEN", "MICHIQ_ADMIN_LISTEN"):
            with pytest.raises(CantListen) as caught:
                async with start_proxy(**{setting: address}):
                    pass
            assert str(caught.value) == f"{setting}: can't listen on {address}: Address already in use"


async def test_listening_34_who_was_quicker_between_binding_and_listening_is_noticed(
    tmp_path: Path, port: int
) -> None:
    """uvloop hides it: the proxy would say that it listens, and get no connection."""
    settings = settings_for(tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:1")
    table = edited_table(tmp_path / "mappings", {})
    ours = open_sockets(LISTEN, parse_address(f"127.0.0.1:{port}"))
    with closing(socket.socket()) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        place = SharedResources(ours, bound(settings).admin)
        with pytest.raises(
            CantListen, match=rf"^MICHIQ_LISTEN: can't listen on 127\.0\.0\.1:{port}: Address already"
        ):
            async with running(settings, table, shared=place):
                pass


async def test_listening_34_names_that_stand_for_one_address_are_refused_once_they_are_looked_up(
    start_proxy: StartProxy, port: int
) -> None:
    environ = {"MICHIQ_LISTEN": f"127.1:{port}", "MICHIQ_ADMIN_LISTEN": f"127.0.0.1:{port}"}
    with pytest.raises(CantListen) as caught:
        async with start_proxy(**environ):
            pass
    both = "MICHIQ_LISTEN and MICHIQ_ADMIN_LISTEN"
    assert str(caught.value) == f"{both} are both on 127.0.0.1:{port}: give each its own port"


@pytest.fixture
def no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have no IPv6 in its kernel, though its names still have ::1."""

    class Socket(socket.socket):
        def __init__(self, family: int = -1, *more: int, **named: object) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "socket", Socket)


@pytest.fixture
def both_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `localhost` ::1 and 127.0.0.1, whatever this machine's own names are."""
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **more: int) -> list[object]:
        hosts = ("::1", "127.0.0.1") if host == "localhost" else (host,)
        return [each for name in hosts for each in real(name, port, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


async def readable(url: str) -> int:
    """Returns the status of a request without a token."""
    connection = await Connection.open(url)
    try:
        return (await connection.ask(get("/michiQ/encounters"))).status
    finally:
        connection.close()


def addresses(sockets: list[socket.socket]) -> list[str]:
    with ExitStack() as stack:
        return [stack.enter_context(each).getsockname()[0] for each in sockets]


@pytest.mark.usefixtures("both_names")
async def test_listening_30_a_name_is_listened_on_at_all_its_addresses_on_one_port(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_LISTEN="localhost:0") as api:
        port = urlsplit(api.url).port
        assert [await readable(f"http://{host}:{port}") for host in ("[::1]", "127.0.0.1")] == [401, 401]


@pytest.mark.usefixtures("both_names", "no_ipv6")
def test_listening_30_a_name_is_listened_on_at_those_of_its_addresses_that_the_machine_has() -> None:
    assert addresses(open_sockets(LISTEN, parse_address("localhost:0"))) == ["127.0.0.1"]


@pytest.mark.usefixtures("no_ipv6")
def test_listening_30_a_name_without_any_address_of_this_machine_is_refused() -> None:
    with pytest.raises(CantListen, match=r"^MICHIQ_LISTEN: can't listen on \[::1\]:0: Address family"):
        open_sockets(LISTEN, parse_address("[::1]:0"))


@pytest.mark.usefixtures("both_names")
def test_listening_30_an_address_that_is_taken_is_refused_though_another_one_of_the_name_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        place = parse_address(f"localhost:{other.getsockname()[1]}")
        with pytest.raises(CantListen, match="Address already in use"):
            open_sockets(LISTEN, place)


async def test_listening_30_both_ipv4_and_ipv6_clients_are_served_at_the_wildcard_of_ipv6(
    start_proxy: StartProxy,
) -> None:
    async with start_proxy(MICHIQ_LISTEN="[::]:0") as api:
        port = urlsplit(api.url).port
        assert [await readable(f"http://{host}:{port}") for host in ("[::1]", "127.0.0.1")] == [401, 401]


@pytest.mark.usefixtures("no_ipv6")
def test_listening_30_the_wildcard_of_ipv6_is_that_of_ipv4_where_there_is_no_ipv6() -> None:
    assert addresses(open_sockets(LISTEN, parse_address("[::]:0"))) == ["0.0.0.0"]


def test_listening_30_both_wildcards_beside_each_other_are_a_socket_each(port: int) -> None:
    both = open_sockets(LISTEN, *parse_addresses(f"0.0.0.0:{port},[::]:{port}"))
    for each in both:
        each.listen()
    assert addresses(both) == ["0.0.0.0", "::"]


async def test_listening_30_several_addresses_are_served(start_proxy: StartProxy, port: int) -> None:
    async with start_proxy(MICHIQ_LISTEN=f"127.0.0.2:{port}, [::1]:{port}") as api:
        assert api.url == f"http://127.0.0.2:{port}"
        assert [await readable(f"http://{host}:{port}") for host in ("127.0.0.2", "[::1]")] == [401, 401]


def test_listening_34_an_address_that_is_not_this_machines_is_refused_by_its_setting() -> None:
    with pytest.raises(CantListen, match=r"^MICHIQ_LISTEN: can't listen on 203\.0\.113\.9:80: Cannot assign"):
        open_sockets(LISTEN, parse_address("203.0.113.9:80"))
