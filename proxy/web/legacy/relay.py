"""Answers a request from the legacy server: relays, learns, and offers the request to shadow mode."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from aiohttp import web

from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.flows.shared.caller import identity_of, older_owners
from proxy.mapping.models import NewCase
from proxy.mapping.table import FlowSpec, Route
from proxy.rollout.lookup import TESTER, RequestContext
from proxy.rollout.shadow.capture import BodyCapture, CapturedRequest
from proxy.spool import Spool
from proxy.store import StoreError
from proxy.upstream.legacy.michiq import Michiq
from proxy.upstream.llamalitica import expiry
from proxy.values import Answer, Session
from proxy.web.exchange import DRAFT
from proxy.web.keys import DEPS, LEARNER, SHADOWS
from proxy.web.legacy.made_case import TaughtNothing, made_in
from proxy.web.legacy.passthrough import Passed, Plan, pass_through
from proxy.web.notices import notice_headers

_UNMAPPED_SECONDS: Final = 60.0
# Seconds before each further try to store a case: a database is back within them after a failover.
_WAITS: Final = (1.0, 5.0, 25.0)
_TESTER: Final = frozenset({TESTER.lower().encode()})

_log: Final = structlog.get_logger("proxy.from_legacy")


@dataclass(frozen=True, slots=True)
class Asker:
    """A call's route and caller; with `shadow` the new side runs after the legacy server."""

    route: Route[Any]
    context: RequestContext
    shadow: bool


async def answer_from_legacy(
    request: web.Request, michiq: Michiq, spec: FlowSpec, asker: Asker
) -> web.StreamResponse:
    """Returns the legacy server's answer; a caller's new token is replaced by their legacy token."""
    route, context, deps = asker.route, asker.context, request.app[DEPS]
    with ExitStack() as on_failure:
        capture = BodyCapture(Spool(deps.spool_folder), route.mapping.body_limit) if asker.shadow else None
        newcomer = _Newcomer(request, route, context, deps) if spec.makes_case else None
        if capture:
            on_failure.callback(capture.close)
        response, passed = await pass_through(
            request,
            michiq,
            Plan(
                path=route.mapping.path,
                seconds=route.mapping.timeout.total_seconds(),
                pause=route.mapping.body_pause.total_seconds(),
                authorization=_authorization(context, spec, deps.effects.clock()),
                drop=_TESTER,
                renamed=_renamed(context),
                extra=tuple(notice_headers(route.mapping.notice)),
                keep=capture.take if capture else None,
                capture=True,
                rewrite=newcomer.finish if newcomer else None,
            ),
        )
        on_failure.pop_all()
    if newcomer:
        newcomer.miss(passed)
    answer = Answer(passed.status, passed.body or b"", passed.content_type)
    if passed.body is not None and request.method != "HEAD":
        request.app[LEARNER].learn(spec.name, "legacy", answer, context)
    if capture:
        control = None if passed.body is None else answer
        request_id = request[DRAFT].request_id
        captured = captured_request(request, capture, request_id)
        request.app[SHADOWS].offer(spec, route, context, captured, control)
    return response


async def pass_options(request: web.Request, michiq: Michiq, route: Route[Any]) -> web.StreamResponse:
    """Returns the legacy server's answer to OPTIONS (CONTRACT G02): it has no caller and teaches nothing."""
    mapping = route.mapping
    extra = tuple(notice_headers(mapping.notice))
    seconds, pause = mapping.timeout.total_seconds(), mapping.body_pause.total_seconds()
    plan = Plan(path=mapping.path, seconds=seconds, pause=pause, drop=_TESTER, extra=extra)
    response, _ = await pass_through(request, michiq, plan)
    return response


async def pass_unmapped(request: web.Request) -> web.StreamResponse:
    """Relays a path without a mapping to the legacy server (issue 4)."""
    michiq = request.app[DEPS].upstreams.michiq
    if michiq is None:
        raise web.HTTPNotFound
    plan = Plan(path="unmapped", seconds=_UNMAPPED_SECONDS, drop=_TESTER)
    response, _ = await pass_through(request, michiq, plan)
    return response


def _authorization(context: RequestContext, spec: FlowSpec, now: datetime) -> bytes | None:
    """Returns the caller's legacy token if they sent a token of this proxy; b"" removes the header.

    None leaves the header unchanged. An invalid token, expired or of another user, is sent unchanged: the
    legacy server refuses it.
    """
    session = context.session
    if session is None or session.side == "legacy":
        return None
    if session.owner not in (context.owner, *context.caller.older) or session.expires_at <= now:
        return None
    if context.legacy_token is not None:
        return f"Bearer {context.legacy_token}".encode()
    return b"" if spec.makes_case else None


def _renamed(context: RequestContext) -> tuple[str, str] | None:
    """Returns the path's id and the legacy server's spelling of it, if they differ (CONTRACT G03)."""
    asked, spelling = context.legacy_id, context.spelling
    return None if asked is None or spelling in (None, asked) else (asked, spelling)


class _Newcomer:
    """A new case of the legacy server: stores the case and its user's token."""

    def __init__(self, request: web.Request, route: Route[Any], context: RequestContext, deps: Deps) -> None:
        self._headers = request.raw_headers
        self._route: Route[NewCase] = route
        self._context = context
        self._deps = deps
        self._shown = False

    def miss(self, passed: Passed) -> None:
        """Logs a case that could not be learned: its answer was too long for `finish`."""
        if passed.status == 200 and not self._shown:
            _log.warning("legacy_case_not_learned", cause="too-long")

    async def finish(self, passed: Passed) -> bytes | None:
        """Runs `learn` to its end even if the client leaves, because the case was made."""
        return await self._deps.tasks.finish("legacy-case", self.learn(passed))

    async def learn(self, passed: Passed) -> bytes | None:
        """Stores the case durably before the client has its answer; a failing store delays no answer.

        A client that sent a token of this proxy gets it back, as from one single server (CONTRACT N07):
        returns the answer's new body for it, None for no change.
        """
        self._shown = True
        if passed.status != 200:
            return None
        try:
            made = made_in(passed)
        except TaughtNothing as error:
            _log.warning("legacy_case_not_learned", cause=error.cause)
            return None
        try:
            await self._store(made.token, made.legacy_id)
        except StoreError:
            _log.exception("legacy_case_not_kept")
            self._deps.tasks.start("legacy-case-later", self._store_later(made.token, made.legacy_id))
        except Refusal as refusal:
            # This proxy would have refused these headers. The legacy server took them: its answer is sent.
            _log.warning("legacy_case_not_kept", cause=refusal.cause)
        mine = self._context.caller.token
        if self._context.session is None or mine is None or mine == made.token:
            return None
        return made.with_token(mine)

    async def _store_later(self, token: str, legacy_id: str) -> None:
        """Stores the case once the store is back: without it, only the legacy server finds the case."""
        for wait in _WAITS:
            await self._deps.effects.pause(wait)
            try:
                await self._store(token, legacy_id)
            except StoreError as error:
                _log.warning("legacy_case_not_kept", cause=error.cause)
            else:
                _log.info("legacy_case_stored_later")
                return

    async def _store(self, token: str, legacy_id: str) -> None:
        deps = self._deps
        identity, organization = identity_of(self._headers, self._route.organizations)
        owner = deps.store.sealer.owner(identity.user, organization)
        now = deps.effects.clock()
        before = await deps.store.sessions.get(token), self._context.session
        older = older_owners(owner, identity.user, organization, before, deps)
        await deps.store.owners.gather(owner, older)
        session = Session(
            identity=identity,
            organization=organization,
            owner=owner,
            access_token="",
            access_expires_at=now,
            expires_at=expiry(token) or now + self._route.mapping.session_lifetime,
            side="legacy",
        )
        if not await deps.store.homes.learn_legacy_case(token, session, legacy_id, now):
            _log.warning("legacy_token_of_another")


def captured_request(request: web.Request, capture: BodyCapture, request_id: str) -> CapturedRequest:
    """Returns the captured body with the rest of the request; the caller must close its `body`."""
    return CapturedRequest(
        legacy_id=request.match_info.get("id", ""),
        raw_headers=request.raw_headers,
        headers=request.headers,
        query=dict(request.rel_url.query),
        body=capture.finish(),
        whole=capture.whole,
        method=request.method,
        request_id=request_id,
        trace=request[DRAFT].trace,
    )
