"""The two applications: legacy routes and webhooks, and the admin listener's."""

from collections.abc import Sequence

from aiohttp import web

from proxy.flows.deps import Deps
from proxy.mapping.table import Table
from proxy.web.health import healthz, readyz
from proxy.web.keys import DEPS, SERVING, TABLE, WEBHOOK_SECRETS, Serving
from proxy.web.legacy import add_legacy_routes, go_on
from proxy.web.middlewares import answer_errors, identify
from proxy.web.webhooks import PATH, receive


def legacy_app(table: Table, deps: Deps, webhook_secrets: Sequence[str]) -> web.Application:
    """What clients and the new platform reach."""
    app = web.Application(middlewares=[identify(deps.new_id), answer_errors])
    app[TABLE] = table
    app[DEPS] = deps
    app[WEBHOOK_SECRETS] = [secret.encode() for secret in webhook_secrets]
    add_legacy_routes(app)
    app.router.add_post(PATH, receive, expect_handler=go_on)
    return app


def admin_app(table: Table, deps: Deps, serving: Serving) -> web.Application:
    """What operators and their load balancers reach."""
    app = web.Application()
    app[TABLE] = table
    app[DEPS] = deps
    app[SERVING] = serving
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    return app
