"""Legacy mode: a request goes to the legacy server and its answer to the client, bytes untouched."""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from proxy.errors import Refusal
from proxy.upstream.michiq import Michiq
from proxy.web.passage import Passage
from proxy.web.plan import Passed, Plan
from proxy.web.protocol import QuietHandler

__all__ = ["Passed", "Plan", "pass_through"]

_LEFT: Final = "client-left"


async def pass_through(request: web.Request, michiq: Michiq, plan: Plan) -> tuple[web.StreamResponse, Passed]:
    """The answer, already with the client. Raises Refusal as long as the client has no byte of one.

    What breaks later breaks the client's connection off too, and the cause is noted: a short body is
    never passed off as a whole one. The legacy call ends as soon as the client leaves.
    """
    task = cast("asyncio.Task[Any]", asyncio.current_task())
    gone = cast(QuietHandler, request.protocol).gone
    interrupted: list[str] = []

    def interrupt(cause: str) -> None:
        if not interrupted and not passage.given:
            interrupted.append(cause)
            task.cancel()

    passage = Passage(request, michiq, plan, interrupt)
    gone.told = lambda: interrupt(_LEFT)
    try:
        if gone.is_set():
            interrupt(_LEFT)
        return await passage.run()
    except asyncio.CancelledError:
        if not interrupted or task.uncancel():
            raise  # by somebody else
    finally:
        gone.told = None
        passage.close()
    return passage.broken_off(Refusal("failed", interrupted[0]))
