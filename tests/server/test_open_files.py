"""A process with few open files: it refuses connections before no file is left for its work."""

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from proxy.server.open_files import Room, room_for
from tests.cli.test_processes import command, until
from tests.flows._wire import form, new_case, part
from tests.keepalive import Connection, get

CASES: Final = get("/michiQ/encounters")  # answered 401: nobody asks who it is
CASE: Final = new_case(form(part("ehr", '{"id": "p-1"}'), part("conversation", "Hola.")))
READY: Final = get("/readyz")
CLIENTS: Final = 1100
AT_ONCE: Final = 50


@pytest.fixture
def many_files() -> Iterator[None]:
    """Raises this process's own limit: it has the clients' ends of the connections."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("wanted", "limit", "opened", "room"),
    [
        (2000, 1_048_576, 60, Room(2000, 2000)),
        (2000, 4096, 60, Room(2000, 233)),
        (2000, 1024, 60, Room(388, 41)),
        (100, 1024, 60, Room(100, 41)),
        (2000, 256, 60, Room(8, 16)),
    ],
)
def test_open_files_27_leave_room_for_the_work_of_every_connection(
    wanted: int, limit: int, opened: int, room: Room
) -> None:
    assert room_for(wanted, limit, opened) == room


async def _status(connections: list[Connection], url: str, data: bytes) -> int:
    connection = await Connection.open(url)
    reply = await connection.ask(data)
    if reply.last:
        connection.close()
    else:
        connections.append(connection)
    return reply.status


def close_all(connections: list[Connection]) -> None:
    for each in connections:
        each.close()


@pytest.mark.usefixtures("many_files")
async def test_open_files_27_a_process_with_1024_files_refuses_in_order_and_goes_on_working(
    tmp_path: Path, secret_key: str
) -> None:
    """The soft limit is half of that, as systems set it: the proxy raises it itself."""
    settings = {
        "MICHIQ_SECRET_KEYS": secret_key,
        "MICHIQ_LISTEN": "127.0.0.1:0",
        "MICHIQ_ADMIN_LISTEN": "127.0.0.1:0",
        "MICHIQ_STATUS_LISTEN": "127.0.0.1:0",
        "MICHIQ_LLAMALITICA_API_URL": "http://127.0.0.1:1",
        "MICHIQ_LLAMALITICA_WEB_URL": "http://127.0.0.1:1",
    }
    with ExitStack() as held:
        async with command(tmp_path, "serve", **settings) as process:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (512, 1024))
            printed = await until(process, '"listening"')
            url, _, status = (
                json.loads(printed.splitlines()[-1])[name] for name in ("url", "admin", "status")
            )
            capped = next(json.loads(line) for line in printed.splitlines() if "connections_capped" in line)
            assert (capped["wanted"], capped["open_files"]) == (2000, 1024)
            connections: list[Connection] = []
            held.callback(close_all, connections)
            statuses: list[int] = []
            for _ in range(CLIENTS // AT_ONCE):
                asked = (_status(connections, url, CASES) for _ in range(AT_ONCE))
                statuses += await asyncio.gather(*asked)
                assert await _status(connections, status, READY) == 200
            counted = Counter(statuses)
            assert counted == {401: capped["room"], 503: CLIENTS - capped["room"]}
            # Who is inside is worked for: the platform is called for this one.
            reply = await connections[0].ask(CASE)
            assert (reply.status, reply.headers["x-michiq-cause"]) == (500, "llamalitica-unreachable")
