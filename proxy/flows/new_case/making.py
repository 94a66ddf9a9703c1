"""Makes the calls of one newCase, from its validated form to its answer (CONTRACT N07, N17–N19)."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

from proxy.errors import UpstreamError
from proxy.flows.answers import answer
from proxy.flows.deps import Deps
from proxy.flows.new_case.draft import Draft
from proxy.flows.new_case.idempotency import IntentOutcome, answer_again, new_intent, outcome_of, turn
from proxy.flows.new_case.made_case import case_of, facts, outgoing
from proxy.flows.new_case.new_session import grant
from proxy.flows.shared.beside import UnderWay, end_of
from proxy.flows.shared.caller import NewCaseCaller
from proxy.flows.shared.confirmed_callers import ConfirmedCaller, is_refusal
from proxy.mapping.models import NewCase
from proxy.mapping.table import Route
from proxy.store import JournalEntry
from proxy.store.records.journal import NotStanding
from proxy.upstream.llamalitica import CreatedCase, UserSession
from proxy.values import Answer, Inbound, Origin


class Making:
    """Calls users/me for the caller and POST /api/cases for their case.

    The calls are made in order, or both at once for a caller whom users/me confirmed a moment ago.
    """

    def __init__(
        self, caller: NewCaseCaller, draft: Draft, inbound: Inbound, route: Route[NewCase], deps: Deps
    ) -> None:
        self._caller = caller
        self._draft = draft
        self._inbound = inbound
        self._route = route
        self._deps = deps
        said = deps.store.sealer.digest("new_case", draft.form.digest(), caller.template or "")
        self._organization = deps.store.sealer.organization(caller.organization)
        origin = Origin(inbound.request_id, self._organization)
        self._intent = new_intent(caller.owner, caller.idempotency, said, origin, deps)
        self._began = deps.effects.monotonic()

    async def answer(self, spools: ExitStack) -> Answer:
        """Returns the answer, once the case and its session are durable; closes `spools` at the end.

        The intent is durable before POST /api/cases, and before users/me if both calls are made at once.
        """
        caller = self._caller
        async with AsyncExitStack() as held:
            held.enter_context(spools)
            confirmed = self._confirmed()
            user = None if confirmed else await self._me()
            if caller.idempotency is not None:
                await held.enter_async_context(turn(caller.owner, caller.idempotency, self._deps))
            held.enter_context(self._deps.store.journal.in_hand.holding([self._intent.id]))
            try:
                earlier = await self._begin(confirmed)
            except NotStanding:
                self._deps.confirmed_callers.forget(caller.owner)
                user = await self._me()
                earlier = await self._begin(None)
            if earlier is not None:
                if user is None:
                    await self._me()  # a caller who is refused by now doesn't get the first answer either
                return answer_again(earlier, self._intent)
            outcome = await held.enter_async_context(outcome_of(self._intent, self._deps))
            if user is None:
                return await self._at_once(outcome, held)
            self._remember()
            return await self._end(user, await end_of(self._create()), outcome)

    def _confirmed(self) -> ConfirmedCaller | None:
        """Returns the confirmed caller; None if users/me must go first, or the circuit is not closed."""
        if self._deps.upstreams.states().get("llamalitica") != "closed":
            return None
        window = self._route.mapping.me_beside
        return self._deps.confirmed_callers.within(window, self._caller.fingerprint, self._began)

    async def _begin(self, confirmed: ConfirmedCaller | None) -> JournalEntry | None:
        """Makes the intent durable; returns the earlier entry of the same Idempotency-Key, if there is one.

        The same write records the user and organization that the new platform may just have created (N05),
        and moves the user's rows from older hashes (N06). A confirmed caller's earlier entry did that.
        """
        caller, store, now = self._caller, self._deps.store, self._deps.effects.clock()
        if confirmed is not None:
            return await store.journal.begin(self._intent, standing=confirmed.entry, ref=caller.ref)
        return await store.journal.begin(
            self._intent,
            store.owners.gathering(caller.owner, caller.older),
            store.audit.first_sighting("organization", self._organization, now),
            store.audit.first_sighting("user", caller.owner, now, caller.older),
            ref=caller.ref,
        )

    async def _at_once(self, outcome: IntentOutcome, held: AsyncExitStack) -> Answer:
        """Makes both calls at once and returns the answer.

        A refusal by users/me is raised at once, without waiting for the end of POST /api/cases.
        """
        create = await held.enter_async_context(UnderWay(self._create()))
        user = await end_of(self._me())
        if isinstance(user, UserSession):
            self._remember()
        elif user.kind == "upstream_unauthorized":
            rest = self._after_refusal(create, outcome, held.pop_all())
            if create.done():
                await rest
            else:
                self._deps.tasks.start("new_case", rest)
            raise user
        return await self._end(user, await end_of(create), outcome)

    async def _after_refusal(
        self, create: asyncio.Task[CreatedCase], outcome: IntentOutcome, held: AsyncExitStack
    ) -> None:
        """Records the outcome of POST /api/cases for a caller whom users/me refused (CONTRACT N19)."""
        async with held:
            created = await end_of(create)
            if isinstance(created, UpstreamError):
                outcome.failed(created)
            else:
                outcome.made_for_nobody(created.case_id, "made-for-refused")

    async def _end(
        self, user: UserSession | UpstreamError, created: CreatedCase | UpstreamError, outcome: IntentOutcome
    ) -> Answer:
        """Returns the answer, once the case and its session are durable. Raises a failed call's error."""
        if isinstance(created, UpstreamError):
            self._heed(created)
            outcome.failed(created)
            raise created
        granted = await grant(user, self._caller, self._route, self._deps)
        if isinstance(granted, UpstreamError):
            outcome.made_for_nobody(created.case_id, "made-without-session")
            raise granted
        case = case_of(self._caller, self._draft, created, self._inbound, self._deps)
        given = answer(self._route, facts(case, granted.token))
        await self._deps.store.journal.record(self._intent.id, case, given.read(), *granted.writes)
        outcome.recorded = True
        return given

    async def _me(self) -> UserSession:
        try:
            return await self._deps.upstreams.llamalitica.me(self._caller.identity)
        except UpstreamError as error:
            self._heed(error)
            raise

    async def _create(self) -> CreatedCase:
        files = outgoing(self._draft.form, self._route)
        return await self._deps.upstreams.llamalitica.create_case(
            self._caller.identity, self._draft.metadata, files
        )

    def _remember(self) -> None:
        """Remembers the caller, whom users/me has just confirmed and whose intent is durable."""
        confirmed = ConfirmedCaller(self._caller.owner, self._intent.id, self._began)
        self._deps.confirmed_callers.remember(self._caller.fingerprint, confirmed)

    def _heed(self, error: UpstreamError) -> None:
        """Forgets a caller whom the platform refuses, so that users/me has to confirm them anew."""
        if is_refusal(error):
            self._deps.confirmed_callers.forget(self._caller.owner)
