"""Takes over the unfinished work of ended processes, and this process's own that nobody works on any more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from proxy.concurrency.tasks import beside
from proxy.flows.deps import Deps
from proxy.flows.speech_to_text.linked_case import resume
from proxy.mapping.models import SpeechToText
from proxy.rollout.live import Live
from proxy.store import Store, StoreError
from proxy.store.sql.rows import Lives, everybody

_SECONDS: Final = 10.0
_JOB: Final = "take-over"
_JOB_SECONDS: Final = 9.0  # shorter: several clocks measure it

_log: Final = structlog.get_logger("proxy.server")


async def begin(store: Store) -> None:
    """Marks and shows, at the start, the unfinished calls of processes that have ended."""
    await _mark_ambiguous(store)
    await _show_pending(store)


@asynccontextmanager
async def taking_over(
    live: Live, deps: Deps, pause: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> AsyncIterator[None]:
    """Resumes what ended processes had planned, and takes over from now on, while the block runs."""
    _resume(live, deps, deps.store.presence.lives)

    async def look() -> None:
        while True:
            await pause(_SECONDS)
            await look_once(live, deps)

    async with beside("take-over", look()):
        yield


async def look_once(live: Live, deps: Deps) -> None:
    """Takes over what this process left open itself, and for all replicas, if it is its turn, the rest.

    What fails is left to the next time.
    """
    store = deps.store
    try:
        if not await store.unfinished():
            return
        marked = await store.journal.resolve_own() + await store.links.resolve_own()
        if marked:
            await _show_pending(store)
        if await store.backend.jobs.claim(_JOB, _JOB_SECONDS):
            await take_over(live, deps)
        else:
            _resume(live, deps, everybody)
    except StoreError:
        _log.exception("take_over_failed")


async def take_over(live: Live, deps: Deps) -> None:
    """Takes over the work of processes that have ended: unfinished calls are shown, planned ones made."""
    if await _mark_ambiguous(deps.store):
        await _show_pending(deps.store)
    _resume(live, deps, deps.store.presence.lives)


async def _mark_ambiguous(store: Store) -> int:
    """Marks the unfinished calls of ended processes: they are never sent again (CONTRACT N17, S05).

    Returns their number.
    """
    lives = store.presence.lives
    return await store.journal.resolve_abandoned(lives) + await store.links.resolve_abandoned(lives)


async def _show_pending(store: Store) -> None:
    for entry in await store.journal.pending():
        _log.warning("ambiguous_case", intent=entry.id, cause=entry.cause, at=entry.created_at.isoformat())
    for call in await store.links.ambiguous():
        _log.warning("ambiguous_linked_case", cause=call.cause, at=call.at.isoformat())


def _resume(live: Live, deps: Deps, lives: Lives) -> None:
    """Continues planned linked cases, unless they are no longer wanted (CONTRACT S05).

    They are this process's own that it doesn't work on, and those of processes of which none `lives`.
    """
    mapping = live.now.table.routes["speech_to_text"].mapping
    if isinstance(mapping, SpeechToText) and mapping.forward == "linked-case":
        deps.tasks.start("linked_cases", resume(deps, lives))
