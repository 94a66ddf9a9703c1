"""POST /michiQ/query/{id}: a question about a case, answered by LlamaChat (CONTRACT Q)."""

from collections.abc import Set
from contextlib import AsyncExitStack
from typing import Final

from proxy.concurrency.locks import Hold
from proxy.errors import UPSTREAM_KINDS, Refusal, UpstreamError
from proxy.flows.answers import answer
from proxy.flows.deps import Deps
from proxy.flows.query.planning import planned
from proxy.flows.query.prompt import Prompt, QuestionTooLong, fits
from proxy.flows.shared.access import authenticate, own_case
from proxy.flows.shared.beside import both
from proxy.flows.shared.chat import chat_of
from proxy.flows.shared.facts import Record
from proxy.flows.shared.json_body import read_text
from proxy.flows.shared.records import read_record
from proxy.mapping.models import Query
from proxy.mapping.table import FlowSpec, Route
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Answer, Inbound, folded_id

SPEC: Final = FlowSpec(
    name="query",
    model=Query,
    facts=frozenset({"response", "legacy_id"}),
    errors=UPSTREAM_KINDS
    | {
        "unauthorized",
        "missing_id",
        "bad_request",
        "empty_query",
        "unknown_id",
        "foreign_id",
        "question_too_long",
        "no_chat",
    },
    writes=True,
)


async def run(inbound: Inbound, route: Route[Query], deps: Deps) -> Answer:
    _, session = await authenticate(inbound, deps)
    if not inbound.legacy_id:
        raise Refusal("missing_id", "no-id")
    question = await _question(inbound, deps)
    case = await own_case(inbound, session, deps)
    chat, key = chat_of(session, route, deps)
    async with AsyncExitStack() as turn:
        # One message at a time: each builds on the conversation's history (CONTRACT Q06).
        hold = await turn.enter_async_context(deps.locks.hold("conversation", folded_id(case.id), case.owner))
        record = await read_record(case, deps)
        dialogue = _Dialogue(chat, key, record, session.ref, question, route.mapping, deps)
        # LlamaChat works on even if the client leaves; the lock is released after its answer.
        response = await deps.tasks.finish("query", dialogue.ask(turn.pop_all(), hold))
    return answer(route, {"response": response, "legacy_id": inbound.legacy_id})


async def _question(inbound: Inbound, deps: Deps) -> str:
    """Returns the body's `query`; an absent one counts as empty, as on the legacy server (CONTRACT Q02)."""
    query = await read_text(inbound, "query", deps.workers)
    if query is None:
        raise Refusal("bad_request", "query-not-a-string")
    if not query.strip():
        raise Refusal("empty_query", "empty-query")
    return query.strip()


class _Dialogue:
    """A question in the case's conversation with LlamaChat."""

    def __init__(
        self,
        chat: LlamaChat,
        key: str,
        record: Record,
        ref: str | None,
        question: str,
        mapping: Query,
        deps: Deps,
    ) -> None:
        self._chat = chat
        self._key = key
        self._record = record
        self._ref = ref
        self._question = question
        self._mapping = mapping
        self._store = deps.store.conversations
        self._tasks = deps.tasks
        self._workers = deps.workers
        self._readings = deps.readings

    async def ask(self, turn: AsyncExitStack, hold: Hold) -> str:
        """Returns the answer; begins a conversation anew, once, if LlamaChat has lost it (CONTRACT Q06).

        It also begins one anew when the process that held the lock before was lost: LlamaChat may still
        work on that one's question. `turn` holds the conversation's lock against other questions; it is
        closed at the end, once the sent passages are noted.
        """
        async with turn:
            async with hold.ending_with_it():
                response, sent = await self._asked(lapsed=hold.lapsed)
            if sent:
                # The next question waits for it, but the client of this one need not.
                self._tasks.start("note-sent", self._note(sent, turn.pop_all(), hold))
        return response

    async def _asked(self, *, lapsed: bool) -> tuple[str, Set[str]]:
        """Returns the answer, and the passages that were sent for it."""
        case = self._record.case
        if lapsed:
            await self._store.drop(case.id, case.owner)
        earlier = await self._store.get(case.id, case.owner)
        if earlier is not None:
            try:
                return await self._say(earlier.id, await self._plan(earlier.sent))
            except UpstreamError as error:
                if error.status != 404:
                    raise
            await self._store.drop(case.id, case.owner)
        conversation, prompt = await self._begin()
        return await self._say(conversation, prompt)

    async def _begin(self) -> tuple[str, Prompt]:
        """Starts a conversation and plans the messages, both at once.

        A question that may be too long is planned first, so that its refusal costs no conversation.
        """
        mapping = self._mapping
        if fits(self._question, mapping.instruction, mapping.part_instruction):
            return await both(self._start(), self._plan(frozenset()))
        prompt = await self._plan(frozenset())
        return await self._start(), prompt

    async def _start(self) -> str:
        case = self._record.case
        conversation = await self._chat.start(self._key)
        await self._store.put(case.id, case.owner, conversation, self._ref)
        return conversation

    async def _say(self, conversation: str, prompt: Prompt) -> tuple[str, Set[str]]:
        """Returns the answer to the last message, and the passages that count as sent after it."""
        response = ""
        for message in prompt.messages:
            response = await self._chat.send(self._key, conversation, message)
        return response, prompt.sent

    async def _note(self, sent: Set[str], turn: AsyncExitStack, hold: Hold) -> None:
        """Marks passages as sent. If that fails, a later question sends them again."""
        async with turn, hold.ending_with_it():
            await self._store.add_sent(self._record.case.id, self._record.case.owner, sent)

    async def _plan(self, sent: Set[str]) -> Prompt:
        texts = self._mapping.instruction, self._mapping.part_instruction
        try:
            return await planned(self._workers, self._readings, self._question, self._record, sent, *texts)
        except QuestionTooLong:
            raise Refusal("question_too_long", "question-too-long") from None
