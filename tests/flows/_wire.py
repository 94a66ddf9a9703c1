"""A legacy client that sends exactly the bytes it is told to; aiohttp's would mend or refuse them."""

import asyncio
import socket
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final

from proxy import jsons
from tests.conftest import IDENTITY
from tests.stores import ENGINES

NEW_CASE: Final = "POST /michiQ/newCase HTTP/1.1"
BOUNDARY: Final = "frontera"
MULTIPART: Final = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
SECONDS: Final = 30.0

# The loop's own threads are the proxy's: clients that wait in them would keep it from its work.
_THREADS: Final = ThreadPoolExecutor(16, "client")

# The three identity headers as a client sends them.
IDENTITY_LINES: Final = tuple(f"{name}: {value}" for name, value in IDENTITY.items())


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came; `headers` in order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return jsons.load(self.body)

    @property
    def sentence(self) -> tuple[int, str | None, str]:
        """Returns what tests compare of a refusal: status, content type and text."""
        return self.status, self.header("Content-Type"), self.text


def refusal(status: int, text: str) -> tuple[int, str, str]:
    """The `sentence` of a documented error."""
    return status, "text/plain; charset=utf-8", text


def part(name: str, content: bytes | str, *lines: bytes | str, filename: bytes | str | None = None) -> bytes:
    """A part of a form; `lines` are further header lines."""
    disposition = f'Content-Disposition: form-data; name="{name}"'.encode()
    if filename is not None:
        disposition += b'; filename="%b"' % _bytes(filename)
    return b"\r\n".join([disposition, *map(_bytes, lines), b"", _bytes(content)])


def form(*parts: bytes) -> bytes:
    """A multipart/form-data body of these parts."""
    delimiter = f"--{BOUNDARY}".encode()
    return b"".join(b"%b\r\n%b\r\n" % (delimiter, each) for each in parts) + delimiter + b"--\r\n"


def chunked(*pieces: bytes) -> bytes:
    """A body in the chunked coding."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def request(line: str, headers: Iterable[bytes | str] = (), body: bytes | None = None) -> bytes:
    """The bytes of a request; a body gets its Content-Length."""
    length = [] if body is None else [f"Content-Length: {len(body)}"]
    head = [line, "Host: proxy.example", *headers, *length, "", ""]
    return b"\r\n".join(map(_bytes, head)) + (body or b"")


def new_case(body: bytes, *headers: bytes | str, content_type: str = MULTIPART) -> bytes:
    """A newCase request with this body."""
    return request(NEW_CASE, [*IDENTITY_LINES, content_type, *headers], body)


def new_case_chunked(*pieces: bytes) -> bytes:
    """A newCase request whose body comes in these chunks."""
    return request(NEW_CASE, [*IDENTITY_LINES, MULTIPART, "Transfer-Encoding: chunked"]) + chunked(*pieces)


async def talk(url: str, data: bytes) -> Reply:
    """Sends the bytes on a connection of their own, and reads the final answer."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _talk, url, data)


async def talk_each(url: str, requests: Mapping[str, bytes]) -> dict[str, Reply]:
    """The answers to a table of requests, one after the other."""
    return {name: await talk(url, data) for name, data in requests.items()}


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def read_reply(connection: socket.socket, method: str) -> Reply:
    """The next final answer on the connection; blocks."""
    response = HTTPResponse(connection, method=method)
    response.begin()
    return Reply(response.status, tuple(response.getheaders()), response.read())


def committed(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """Returns what another process reads from the proxy's database."""
    return ENGINES.rows(folder, query)


async def until(happened: Callable[[], bool]) -> None:
    """Waits for what no event tells of; a test that waits in vain fails."""
    async with asyncio.timeout(SECONDS):
        while not happened():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _talk(url: str, data: bytes) -> Reply:
    with closing(connect(url)) as connection:
        with suppress(ConnectionError):  # refused before all of it was sent
            connection.sendall(data)
        return read_reply(connection, data.partition(b" ")[0].decode())


def _bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
