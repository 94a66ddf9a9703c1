"""One case for each answered newCase: intents, and the answers to repeated ones (CONTRACT N17)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from proxy.errors import Refusal, UpstreamError
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.store import StoreError
from proxy.store.journal import JournalEntry
from proxy.values import Answer

_log: Final = structlog.get_logger("proxy.once")


@asynccontextmanager
async def turn(owner: str, key: str | None, deps: Deps) -> AsyncIterator[None]:
    """Of two requests with one Idempotency-Key the second waits for the first."""
    if key is None:
        yield
        return
    async with deps.locks.hold("new_case", owner, key):
        yield


def new_intent(owner: str, key: str | None, said: str, deps: Deps) -> JournalEntry:
    """What the journal keeps before anything is sent; `said` is a keyed hash of what the request says."""
    return JournalEntry(
        id=deps.new_id(),
        owner=owner,
        kind="new_case",
        idempotency=key and deps.store.sealer.digest("idempotency", key),
        body_digest=said,
        created_at=deps.clock(),
    )


@asynccontextmanager
async def settled(intent: JournalEntry, deps: Deps) -> AsyncIterator[None]:
    """Around all that follows an intent: what ends it without a record is in the journal, and shown there.

    A case that was made and could not be recorded, for whatever reason, is as ambiguous as one of which
    no answer came.
    """
    cause, ambiguous, recorded = "interrupted", True, False
    try:
        yield
        recorded = True
    except UpstreamError as error:
        cause, ambiguous = error.cause, error.may_have_worked
        raise
    finally:
        if not recorded:
            await _give_up(intent, cause, deps, ambiguous=ambiguous)


async def _give_up(intent: JournalEntry, cause: str, deps: Deps, *, ambiguous: bool) -> None:
    try:
        await deps.store.journal.fail(intent.id, cause, ambiguous=ambiguous)
    except StoreError:
        # The next start finds it open, and shows it.
        _log.exception("intent_left_open", intent=intent.id)


def answer_again(earlier: JournalEntry, intent: JournalEntry) -> Answer:
    """What a repeated Idempotency-Key gets: the first answer, never a second case."""
    if earlier.body_digest != intent.body_digest:
        raise Refusal("idempotency_conflict", "idempotency-conflict")
    if earlier.answer is None:
        raise Refusal("outcome_unknown", "outcome-unknown")
    return Answer(200, earlier.answer, JSON)
