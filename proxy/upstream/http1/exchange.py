"""Begins an exchange; repeats it once when an idle connection turns out to be closed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from proxy.spool import Bytes
from proxy.upstream.http1.connection import READ_SIZE, Connection
from proxy.upstream.http1.errors import Cut, WrongLength
from proxy.upstream.http1.pool import Pool
from proxy.values import Content

# Sends a request and returns when the head of its answer has come.
Ask: TypeAlias = Callable[[Connection], Awaitable[None]]

_COALESCED: Final = READ_SIZE // 2


async def answered(
    pool: Pool, caller: bytes | None, ask: Ask, connect_seconds: float, *, repeatable: bool
) -> Connection:
    """Returns a connection on which an answer has begun; the caller gives it back to the pool.

    A repeatable request is sent again, once, on a new connection, when an idle connection broke before a
    byte of the answer: its upstream had closed it (RFC 9112, section 9.3.1). No other request is sent twice.
    """
    connection = await pool.acquire(caller, connect_seconds, repeatable=repeatable)
    try:
        return await _asked(pool, connection, ask)
    except Cut:
        if not (repeatable and connection.was_closed):
            raise
    return await _asked(pool, await pool.acquire(caller, connect_seconds, repeatable=True, fresh=True), ask)


async def _asked(pool: Pool, connection: Connection, ask: Ask) -> Connection:
    has_begun = False
    try:
        await ask(connection)
        has_begun = True
    finally:
        if not has_begun:
            pool.release(connection)
    return connection


async def head_of(connection: Connection, seconds: float) -> None:
    """Waits for the head of the answer, and drops interim answers. Raises the answer's error.

    The upstream may send nothing for at most `seconds`.
    """
    reader = connection.reader
    assert reader is not None
    while not reader.status:
        if reader.error is not None:
            raise reader.error
        reader.interims.clear()
        await connection.news(seconds)


async def send_content(connection: Connection, head: bytes, content: Content, total: float) -> None:
    """Begins a request and sends its body until an answer comes; a small body is sent in one write.

    Raises WrongLength when the content's length differs from its `size`: the upstream would wait for
    missing bytes, or take surplus bytes for the next request.
    """
    if isinstance(content, Bytes) and content.size <= READ_SIZE:
        if len(data := content.read()) != content.size:
            raise WrongLength
        connection.begin(head + data, total=total)
        return
    pieces = _exactly(content)
    if content.size <= READ_SIZE:
        connection.begin(head + b"".join([piece async for piece in pieces]), total=total)
        return
    connection.begin(head, unfinished=True, total=total)
    async for piece in pieces:
        if not await connection.send(piece, until_answered=True):
            return
    connection.unfinished = False


async def _exactly(content: Content) -> AsyncIterator[bytes]:
    """Yields the bytes of a content; small chunks are joined. Raises WrongLength."""
    left, pending, size = content.size, list[bytes](), 0
    async for chunk in content.chunks():
        left -= len(chunk)
        if left < 0:
            raise WrongLength
        pending.append(chunk)
        size += len(chunk)
        if size >= _COALESCED:
            yield pending[0] if len(pending) == 1 else b"".join(pending)
            pending, size = [], 0
    if left:
        raise WrongLength
    if pending:
        yield b"".join(pending)
