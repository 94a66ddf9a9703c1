"""Makes one case for each answered newCase: intents, and answers to repeated requests (N17, N19)."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import structlog

from proxy.errors import Refusal, UpstreamError
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.store import StoreError
from proxy.store.records.journal import JournalEntry
from proxy.values import Answer, Origin

# The reason why a case that was made is in the journal only (CONTRACT N19).
Cause: TypeAlias = Literal["made-for-refused", "made-without-session"]

_log: Final = structlog.get_logger("proxy.once")


def turn(owner: str, key: str, deps: Deps) -> AbstractAsyncContextManager[object]:
    """Returns the lock of an Idempotency-Key: a second request with it waits for the first."""
    return deps.locks.hold("new_case", owner, key)


def new_intent(owner: str, key: str | None, said: str, origin: Origin, deps: Deps) -> JournalEntry:
    """Returns the entry to store before anything is sent; `said` is a keyed hash of the request's content."""
    return JournalEntry(
        id=deps.effects.new_id(),
        owner=owner,
        kind="new_case",
        idempotency=key and deps.store.sealer.digest("idempotency", key),
        body_digest=said,
        created_at=deps.effects.clock(),
        request_id=origin.request_id,
        organization=origin.organization,
    )


@dataclass(slots=True)
class IntentOutcome:
    """The outcome of a call that has an intent, as far as this process knows it."""

    cause: str = "interrupted"
    ambiguous: bool = True
    case_id: str | None = None
    recorded: bool = False

    def failed(self, error: UpstreamError) -> None:
        """Notes the error with which POST /api/cases ended."""
        self.cause, self.ambiguous = error.cause, error.may_have_worked

    def made_for_nobody(self, case_id: str, cause: Cause) -> None:
        """Notes a case that was made, and that the client doesn't learn of (CONTRACT N19)."""
        self.cause, self.ambiguous, self.case_id = cause, True, case_id


@asynccontextmanager
async def outcome_of(intent: JournalEntry, deps: Deps) -> AsyncIterator[IntentOutcome]:
    """Yields the outcome to fill in; at the end of the block, writes it to the journal unless recorded.

    A case that was made and could not be recorded is as ambiguous as a call without an answer.
    """
    outcome = IntentOutcome()
    try:
        yield outcome
    finally:
        if not outcome.recorded:
            await _give_up(intent, outcome, deps)


async def _give_up(intent: JournalEntry, outcome: IntentOutcome, deps: Deps) -> None:
    cause, case_id = outcome.cause, outcome.case_id
    try:
        await deps.store.journal.fail(intent.id, cause, ambiguous=outcome.ambiguous, case_id=case_id)
    except StoreError:
        # The next start finds the intent open, and reports it as ambiguous.
        _log.exception("intent_left_open", intent=intent.id)
        return
    if case_id is not None:
        _log.warning("ambiguous_case", intent=intent.id, cause=cause, at=intent.created_at.isoformat())


def answer_again(earlier: JournalEntry, intent: JournalEntry) -> Answer:
    """Returns the first answer for a repeated Idempotency-Key; there is never a second case."""
    if earlier.body_digest != intent.body_digest:
        raise Refusal("idempotency_conflict", "idempotency-conflict")
    if earlier.answer is None:
        raise Refusal("outcome_unknown", "outcome-unknown")
    return Answer(200, earlier.answer, JSON)
