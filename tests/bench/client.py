"""A blocking HTTP/1.1 client on a kept raw socket: little overhead, and the bytes as they were given."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_CONTINUE: Final = b"HTTP/1.1 100"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """Returns the request's bytes, framed by its length."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {"Host": "bench.example", **headers}.items()]
    lines += [] if body is None else [f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def chunked(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Returns the same request in chunks of 1,000 bytes."""
    head = request(method, path, {**headers, "Transfer-Encoding": "chunked"})
    pieces = (body[at : at + 1000] for at in range(0, len(body), 1000))
    return head + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


class Client:
    """One connection at a time, opened when it is needed."""

    def __init__(self, port: int, timeout: float = 120) -> None:
        self._port = port
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._read = bytearray()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def socket(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._read.clear()

    def send(self, data: bytes) -> Answer:
        """Sends a request as it is and returns its answer."""
        self.socket.sendall(data)
        return self.answer()

    def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        return self.send(request(method, path, headers or {}, body))

    def answer(self) -> Answer:
        """Returns the next answer; its body has a length or chunks."""
        head = self._until(b"\r\n\r\n")
        while head.startswith(_CONTINUE):
            head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        chunks = "chunked" in headers.get("transfer-encoding", "")
        body = self._chunks() if chunks else self._exactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split()[1]), headers, body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n").split(b";")[0], 16):
            body += self._exactly(size + 2)[:-2]
        while self._until(b"\r\n") != b"\r\n":
            pass
        return body

    def _until(self, end: bytes) -> bytes:
        while (found := self._read.find(end)) < 0:
            self._more()
        return self._taken(found + len(end))

    def _exactly(self, size: int) -> bytes:
        while len(self._read) < size:
            self._more()
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._read[:size])
        del self._read[:size]
        return taken

    def _more(self) -> None:
        data = self.socket.recv(256 * 1024)
        if not data:
            self.close()
            raise ConnectionError("the connection ended before its answer did")
        self._read += data
