"""Where a proxy listens: each listener on an address of its own, or an end with the reason."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.addresses import parse_address
from proxy.web.listening import CantListen, open_sockets
from proxy.web.place import LISTEN, Place, bound
from proxy.web.server import running
from tests.conftest import StartProxy, edited_table, settings_for


@pytest.fixture
def port() -> Iterator[int]:
    """One that nobody listens on, and that the system gives to nobody else meanwhile."""
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
        place = Place(ours, bound(settings).admin)
        with pytest.raises(
            CantListen, match=rf"^MICHIQ_LISTEN: can't listen on 127\.0\.0\.1:{port}: Address already"
        ):
            async with running(settings, table, place=place):
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


def test_listening_34_an_address_that_is_not_this_machines_is_refused_by_its_setting() -> None:
    with pytest.raises(CantListen, match=r"^MICHIQ_LISTEN: can't listen on 203\.0\.113\.9:80: Cannot assign"):
        open_sockets(LISTEN, parse_address("203.0.113.9:80"))
