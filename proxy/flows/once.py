"""One case for each answered newCase: intents, and the answers to repeated ones (CONTRACT N17)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.errors import Refusal
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.store.journal import JournalEntry
from proxy.values import Answer


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


def answer_again(earlier: JournalEntry, intent: JournalEntry) -> Answer:
    """What a repeated Idempotency-Key gets: the first answer, never a second case."""
    if earlier.body_digest != intent.body_digest:
        raise Refusal("idempotency_conflict", "idempotency-conflict")
    if earlier.answer is None:
        raise Refusal("outcome_unknown", "outcome-unknown")
    return Answer(200, earlier.answer, JSON)
