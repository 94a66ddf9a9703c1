"""Sends an input as it is, and reads all that comes of it."""

import asyncio
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from tests.hostile.sound import Hostile

# Nothing may take longer; the figure that is the goal is judged on what was measured.
HANG_SECONDS: Final = 30.0

_HEAD: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer; `headers` as they came."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Heard:
    """`rest` is what is no answer; `reset` says that the connection did not end in order."""

    answers: tuple[Answer, ...]
    rest: bytes
    seconds: float
    hung: bool
    reset: bool


async def heard(host: str, port: int, hostile: Hostile) -> Heard:
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection(host, port)
    told = bytearray()
    hung = reset = False
    head = hostile.pieces[0].startswith(b"HEAD ")
    try:
        async with asyncio.timeout(HANG_SECONDS):
            sending = asyncio.create_task(_send(writer, hostile))
            try:
                while (hostile.ends or not _enough(told, hostile, head)) and (
                    piece := await reader.read(65536)
                ):
                    told += piece
            finally:
                sending.cancel()
                await asyncio.wait({sending})
    except TimeoutError:
        hung = True
    except ConnectionError:
        reset = True
    finally:
        writer.transport.abort()
    answers, rest = answers_in(bytes(told), head=head)
    return Heard(answers, rest, time.perf_counter() - started, hung, reset)


async def _send(writer: asyncio.StreamWriter, hostile: Hostile) -> None:
    # Who is refused on the way may not be able to say all.
    with suppress(ConnectionError):
        for piece in hostile.pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if hostile.ends:
            writer.write_eof()


def _enough(told: bytearray, hostile: Hostile, head: bool) -> bool:
    return len(answers_in(bytes(told), head=head)[0]) >= hostile.answers


def answers_in(data: bytes, *, head: bool) -> tuple[tuple[Answer, ...], bytes]:
    """The whole answers, and what is left."""
    answers = tuple(_answers(data, head=head))
    used = sum(size for _, size in answers)
    return tuple(answer for answer, _ in answers if answer.status >= 200), data[used:]


def _answers(data: bytes, *, head: bool) -> Iterator[tuple[Answer, int]]:
    at = 0
    while match := _HEAD.match(data, at):
        lines = match[2].decode("latin-1").split("\r\n")[:-1]
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        answer = Answer(int(match[1]), headers, b"")
        empty = head or answer.status < 200 or answer.status in (204, 304)
        size = 0 if empty else int(answer.header("Content-Length") or 0)
        if len(data) < match.end() + size:
            return
        yield Answer(answer.status, headers, data[match.end() : match.end() + size]), match.end() + size - at
        at = match.end() + size
