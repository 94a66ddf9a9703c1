"""One case for each answered newCase: intents, and the answers to repeated ones (CONTRACT N17, N19)."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import structlog

from proxy.errors import Refusal, UpstreamError
from proxy.flows.answers import JSON
from proxy.flows.deps import Deps
from proxy.store import StoreError
from proxy.store.journal import JournalEntry
from proxy.values import Answer

# Why a case that was made stays in the journal alone (N19).
Cause: TypeAlias = Literal["made-for-refused", "made-without-session"]

_log: Final = structlog.get_logger("proxy.once")


def turn(owner: str, key: str, deps: Deps) -> AbstractAsyncContextManager[None]:
    """Of two requests with one Idempotency-Key the second waits for the first."""
    return deps.locks.hold("new_case", owner, key)


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


@dataclass(slots=True)
class Outcome:
    """What came of a call that has an intent, as far as it is known."""

    cause: str = "interrupted"
    ambiguous: bool = True
    case_id: str | None = None
    recorded: bool = False

    def failed(self, error: UpstreamError) -> None:
        """POST /api/cases ended so."""
        self.cause, self.ambiguous = error.cause, error.may_have_worked

    def made_for_nobody(self, case_id: str, cause: Cause) -> None:
        """The case was made, and its client is not told of it (N19)."""
        self.cause, self.ambiguous, self.case_id = cause, True, case_id


@asynccontextmanager
async def settled(intent: JournalEntry, deps: Deps) -> AsyncIterator[Outcome]:
    """Around all that follows an intent: what ends it without a record is in the journal, and shown there.

    A case that was made and could not be recorded, for whatever reason, is as ambiguous as one of which
    no answer came.
    """
    outcome = Outcome()
    try:
        yield outcome
    finally:
        if not outcome.recorded:
            await _give_up(intent, outcome, deps)


async def _give_up(intent: JournalEntry, outcome: Outcome, deps: Deps) -> None:
    cause, case_id = outcome.cause, outcome.case_id
    try:
        await deps.store.journal.fail(intent.id, cause, ambiguous=outcome.ambiguous, case_id=case_id)
    except StoreError:
        # The next start finds it open, and shows it.
        _log.exception("intent_left_open", intent=intent.id)
        return
    if case_id is not None:
        _log.warning("ambiguous_case", intent=intent.id, cause=cause, at=intent.created_at.isoformat())


def answer_again(earlier: JournalEntry, intent: JournalEntry) -> Answer:
    """What a repeated Idempotency-Key gets: the first answer, never a second case."""
    if earlier.body_digest != intent.body_digest:
        raise Refusal("idempotency_conflict", "idempotency-conflict")
    if earlier.answer is None:
        raise Refusal("outcome_unknown", "outcome-unknown")
    return Answer(200, earlier.answer, JSON)
