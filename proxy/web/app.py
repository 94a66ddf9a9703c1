"""Builds the applications: legacy routes and webhooks, the admin listener's, the status listener's."""

import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from proxy.flows.deps import Deps
from proxy.flows.tee import Tee
from proxy.rollout.service import Moving
from proxy.server.aiohttp_private import set_url, use_router
from proxy.settings import Settings
from proxy.web.admin import door, problems
from proxy.web.admin.api import serve_api
from proxy.web.admin.keys import FOLLOWER, TOKENS
from proxy.web.admin.tokens import OperatorTokens
from proxy.web.expect import go_on_later
from proxy.web.keys import (
    DEPS,
    LEARNER,
    LIVE,
    LOOKUP,
    SERVING,
    SETTINGS,
    SHADOWS,
    STATE,
    TEE,
    WEBHOOK_SECRETS,
)
from proxy.web.legacy.handler import add_legacy_routes
from proxy.web.legacy.relay import pass_unmapped
from proxy.web.middlewares import answer_errors, catch_all, failed, identify
from proxy.web.observers import observers
from proxy.web.page import access
from proxy.web.page.keys import Page
from proxy.web.page.routes import serve_page
from proxy.web.resources import serve, serve_nothing_else
from proxy.web.state.health import livez, readyz
from proxy.web.state.process_state import ProcessState
from proxy.web.state.scrape import metrics
from proxy.web.stream.hub import HUB, Hub
from proxy.web.webhooks import PATH, receive

_SLASHES: Final = re.compile(r"/{2,}")


def legacy_app(
    moving: Moving, deps: Deps, webhook_secrets: Sequence[str], tee: Tee | None
) -> web.Application:
    """Builds the application for clients and the new platform; with `tee` None no webhook is forwarded."""
    all_observers = observers(
        deps.metrics, deps.tracing, moving.recorder, deps.store.sealer, moving.step_backs
    )
    app = web.Application(middlewares=[identify(deps, all_observers), catch_all(failed), answer_errors])
    use_router(app, Paths())
    app[LIVE] = moving.live
    app[LOOKUP] = moving.lookup
    app[LEARNER] = moving.learner
    app[SHADOWS] = moving.shadows
    app[DEPS] = deps
    app[WEBHOOK_SECRETS] = [secret.encode() for secret in webhook_secrets]
    if tee is not None:
        app[TEE] = tee
    add_legacy_routes(app)
    app.router.add_route("*", PATH, receive, expect_handler=go_on_later)
    if deps.upstreams.michiq is not None:
        app.router.add_route("*", "/{path:.*}", pass_unmapped, expect_handler=go_on_later)
    return app


def admin_app(
    moving: Moving, deps: Deps, state: ProcessState, settings: Settings, page: Page | None
) -> web.Application:
    """Builds the application for operators and load balancers; with `page` None it has no operator's page."""
    app = web.Application(
        middlewares=[door.identify, catch_all(access.failed), problems.answer_problems, door.let_in]
    )
    app[LIVE] = moving.live
    app[FOLLOWER] = moving.follower
    app[DEPS] = deps
    app[SERVING] = state.serving
    app[STATE] = state
    app[SETTINGS] = settings
    app[TOKENS] = OperatorTokens(settings.admin_tokens)
    app[HUB] = Hub(moving.live, deps, state.serving)
    _serve_status(app)
    serve_api(app)
    if page is not None and settings.admin_tokens:
        serve_page(app, page)
    else:
        serve_nothing_else(app)
    return app


def status_app(moving: Moving, deps: Deps, state: ProcessState) -> web.Application:
    """Builds the application for probes and Prometheus if they must not reach the admin API."""
    app = web.Application(middlewares=[door.identify, catch_all(problems.failed), problems.answer_problems])
    app[LIVE] = moving.live
    app[DEPS] = deps
    app[SERVING] = state.serving
    app[STATE] = state
    _serve_status(app)
    serve_nothing_else(app)
    return app


def _serve_status(app: web.Application) -> None:
    for path, handle in (("/livez", livez), ("/healthz", livez), ("/readyz", readyz), ("/metrics", metrics)):
        serve(app, path, {"GET": handle})


class Paths(web.UrlDispatcher):
    """A router for clients that join a base address and a path carelessly (CONTRACT G02).

    It finds the route also with repeated or trailing slashes. Only routing uses the plain path: the target
    is forwarded unchanged.
    """

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:
        url = request.rel_url
        if (path := plain_path(url.raw_path)) != url.raw_path:
            set_url(request, url.with_path(path, encoded=True, keep_query=True))
        return await super().resolve(request)


def plain_path(path: str) -> str:
    """Returns the path with single slashes and none at its end; the root is "/"."""
    return _SLASHES.sub("/", path).rstrip("/") or "/"
