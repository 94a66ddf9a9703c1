"""Sends a call and waits for the head of its answer, within the call's budget."""

import asyncio
from dataclasses import dataclass

from proxy.upstream.call import Call
from proxy.upstream.http1.connection import Connection
from proxy.upstream.http1.exchange import answered, head_of, send_content
from proxy.upstream.http1.pool import Pool
from proxy.upstream.request import Heads


@dataclass(slots=True)
class Attempt:
    """The progress of a call: `sent` once a byte of it may have been sent, `status` once one came back."""

    sent: bool = False
    status: int | None = None


async def begun(pool: Pool, heads: Heads, call: Call, attempt: Attempt) -> Connection:
    """Returns a connection on which the answer has begun; the caller gives it back to the pool.

    Raises NoRoom, NotConnected, and the errors of `failures.FOREIGN`.
    """
    head, budget = heads.of(call), call.budget
    loop = asyncio.get_running_loop()
    ends = loop.time() + budget.total

    async def ask(connection: Connection) -> None:
        attempt.sent = True
        if call.body is None:
            connection.begin(head, total=ends - loop.time())
        else:
            await send_content(connection, head, call.body.content, ends - loop.time())
        await head_of(connection, budget.read)

    connect_seconds = min(budget.connect, budget.total)
    return await answered(pool, call.caller, ask, connect_seconds, repeatable=call.method == "GET")
