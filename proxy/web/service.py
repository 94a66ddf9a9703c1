"""Runs the proxy: opens its resources in order, listens, and drains before it closes them."""

import asyncio
import os
import random
import secrets
import ssl
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Final

import structlog
from aiohttp import web
from pydantic import SecretStr

from proxy.concurrency.locks import KeyedLocks, Locks
from proxy.concurrency.tasks import Tasks
from proxy.flows.deps import Deps, Effects
from proxy.flows.query.readings import Readings
from proxy.flows.shared.confirmed_callers import ConfirmedCallers
from proxy.flows.tee import Tee, teeing
from proxy.isolated.pool import IsolatedPool
from proxy.mapping.table import Table
from proxy.observe.metrics import Metrics
from proxy.observe.tracing import Tracing, open_tracing
from proxy.rollout.alerting import alerting
from proxy.rollout.live import Live
from proxy.rollout.service import Moving, moving_over
from proxy.server.aiohttp_private import check_names
from proxy.server.handshakes import Handshakes
from proxy.server.ids import RandomIds
from proxy.server.limits import Limits, limits_of
from proxy.server.listener import Listener, url_of
from proxy.server.open_files import Room, measured_room
from proxy.server.protocol import Broken, QuietRunner, broken_legacy
from proxy.server.serving import Serving
from proxy.server.shutdown import Ending
from proxy.server.sockets import ADMIN, LISTEN, STATUS, SharedResources, bound
from proxy.server.tls import Tls
from proxy.settings import Settings
from proxy.spool import MemoryBudget
from proxy.store import open_store
from proxy.store.options import store_options
from proxy.store.upkeep.space_watch import watching_space
from proxy.trust import trusted
from proxy.upstream import open_upstreams
from proxy.upstream.call import CallRecord
from proxy.upstream.call_log import note_call
from proxy.upstream.http1.pool import SPARES
from proxy.upstream.trace_context import CONTEXT
from proxy.web import take_over
from proxy.web.admin import problems
from proxy.web.app import admin_app, legacy_app, status_app
from proxy.web.page.keys import Page
from proxy.web.spans import client_span
from proxy.web.state.process_state import ProcessState
from proxy.web.sweeping import sweeping

# The tasks that flows run in isolated processes.
_WORKER_MODULES: Final = (
    "proxy.flows.shared.offload",
    "proxy.flows.new_case.documents",
    "proxy.flows.query.planning",
    "proxy.flows.shared.json_body",
    "proxy.store.blobs.recording_file",
)

_log: Final = structlog.get_logger("proxy.server")


@dataclass(frozen=True, slots=True)
class Running:
    """A started proxy: its addresses, with the ports that the system chose for port 0, and its parts."""

    url: str
    admin_url: str
    deps: Deps
    moving: Moving
    ending: Ending
    tls: Tls | None
    state: ProcessState
    status_url: str | None = None  # the listener that is only for probes, if there is one

    def reload_soon(self) -> None:
        """Starts a reload of the mapping files and the certificate, for a signal handler."""
        self.moving.follower.reload_soon()
        if self.tls is not None:
            self.tls.reload()

    def take_over_soon(self) -> None:
        """Takes over the unfinished work of a process that has ended: it is shown or continued."""
        self.deps.tasks.start("take-over", take_over.take_over(self.moving.live, self.deps))


@asynccontextmanager
async def running(
    settings: Settings,
    table: Table,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    folder: Path | None = None,
    shared: SharedResources | None = None,
) -> AsyncIterator[Running]:
    """Serves until the block ends.

    Raises StoreError, UnfitAiohttp, CantListen, BadCertificate and BadAuthorities when it can't start.
    `folder` is the source of `table`, to be watched for changes; None watches nothing. `shared` has the
    sockets and locks that this process shares with others; None is for a process that serves alone.

    The end undoes the steps of the start in reverse, and takes nothing over any more:

    1. clients: the listener closes once their requests are answered (`Ending.leave`);
    2. tasks of requests are drained, in the rest of the time (`Ending.drain`), then the tee ends;
    3. status and admin listeners close: /readyz answers until now that the process is not ready;
       spans are sent, in the rest of the time;
    4. evidence is written, mapping files are no longer followed, and the upkeep of the store ends;
    5. the sockets, the upstreams' connections, the isolated processes and the store are closed.
    """
    check_names()
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        tls = _tls(settings, metrics)
        trust = trusted(settings.ca_file)
        deps = await _open(settings, clock, shared.locks if shared else KeyedLocks(), trust, metrics, stack)
        event, shared = ("worker_listening", shared) if shared else ("listening", bound(settings))
        stack.callback(shared.close)
        await _begin_upkeep(settings, deps, shared.serving, stack)
        moving = await stack.enter_async_context(
            moving_over(table, folder, deps, _secret(settings.tester_secret))
        )
        await _begin_alerts(settings, deps, moving.live, trust, stack)
        ending = Ending(float(settings.drain_seconds), shared.serving)
        stack.push_async_callback(lambda: deps.tracing.close(ending.left()))
        state = ProcessState(deps, moving.live, moving.shadow, shared.serving, {}, tls)
        room = measured_room(settings.max_connections)
        listening = _Listening(settings, moving, deps, ending, room, stack, state)
        admin_tls = tls if settings.admin_has_tls else None
        await listening.to_operators(shared, admin_tls)
        await listening.to_clients(shared, tls, await _begin_tee(settings, deps, trust, stack))
        moving.follower.describe(state.about)
        await stack.enter_async_context(take_over.taking_over(moving.live, deps))
        deps.workers.warm_soon()  # only a request that needs one at once waits for it
        urls = url_of(shared.listen, tls), url_of(shared.admin, admin_tls)
        status_url = url_of(shared.status, None) if shared.status else None
        _log.info(event, url=urls[0], admin=urls[1], **({"status": status_url} if status_url else {}))
        yield Running(*urls, deps, moving, ending, tls, state, status_url)


async def _begin_upkeep(settings: Settings, deps: Deps, serving: Serving, stack: AsyncExitStack) -> None:
    """Notes the unfinished work of earlier processes, and starts the upkeep of the store."""
    store = deps.store
    await store.keys.note()
    await take_over.begin(store)
    await stack.enter_async_context(
        sweeping(store, settings, serving, deps.effects.clock, deps.effects.monotonic)
    )
    await stack.enter_async_context(watching_space(store.space))


async def _begin_tee(
    settings: Settings, deps: Deps, trust: ssl.SSLContext, stack: AsyncExitStack
) -> Tee | None:
    chance = random.SystemRandom().random
    return await stack.enter_async_context(teeing(settings.tee_url, deps, chance, trust, settings.outbound))


async def _begin_alerts(
    settings: Settings, deps: Deps, live: Live, trust: ssl.SSLContext, stack: AsyncExitStack
) -> None:
    secret = _secret(settings.alert_secret)
    await stack.enter_async_context(
        alerting(settings.alert_url, secret, deps, live, trust, settings.outbound)
    )


@dataclass(frozen=True, slots=True)
class _Listening:
    """An opener of the listeners, one kind after another; the stack closes them."""

    settings: Settings
    moving: Moving
    deps: Deps
    ending: Ending
    room: Room
    stack: AsyncExitStack
    state: ProcessState

    async def to_operators(self, shared: SharedResources, tls: Tls | None) -> None:
        """Serves the page and the admin API, and the probes on the same or on their own listener."""
        settings = self.settings
        page = Page(settings.admin_listen.host, secrets.token_bytes) if settings.ui == "on" else None
        app = admin_app(self.moving, self.deps, self.state, settings, page)
        self.state.listeners["admin"] = await self._open_probed(ADMIN, shared.admin, app, tls)
        if shared.status:
            app = status_app(self.moving, self.deps, self.state)
            self.state.listeners["status"] = await self._open_probed(STATUS, shared.status, app, None)

    async def to_clients(self, shared: SharedResources, tls: Tls | None, tee: Tee | None) -> None:
        """Serves the legacy routes; tasks that their requests leave running are drained at the end."""
        self.stack.push_async_callback(self.ending.drain, self.deps.tasks)
        webhook_secrets = [secret.get_secret_value() for secret in self.settings.webhook_secrets]
        app = legacy_app(self.moving, self.deps, webhook_secrets, tee)
        limits = replace(limits_of(self.settings), connections=self.room.clients)
        listener = _listener(app, self.ending, limits=limits)
        self.stack.push_async_callback(self.ending.leave, listener)
        await listener.open(LISTEN, shared.listen, tls)
        self.state.listeners["clients"] = listener

    async def _open_probed(
        self, setting: str, sockets: Sequence[socket], app: web.Application, tls: Tls | None
    ) -> Listener:
        listener = _listener(app, self.ending, problems.broken, Limits(connections=self.room.probes))
        self.stack.push_async_callback(self.ending.leave_last, listener)
        await listener.open(setting, sockets, tls)
        return listener


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _tls(settings: Settings, metrics: Metrics) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    handshakes = Handshakes(metrics.handshake_failed, time.monotonic)
    return Tls(settings.tls_cert, settings.tls_key, handshakes.failed)


async def _open(
    settings: Settings,
    clock: Callable[[], datetime],
    locks: Locks,
    trust: ssl.SSLContext,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> Deps:
    keys = [key.get_secret_value() for key in settings.secret_keys]
    opening = open_store(store_options(settings, os.environ), keys, metrics)
    store = await stack.enter_async_context(opening)
    readable = [str(folder) for folder in store.blobs.local_folders]
    workers = await stack.enter_async_context(IsolatedPool(_WORKER_MODULES, readable))
    tracing = open_tracing(os.environ)
    calls = _Calls(metrics, tracing, settings.upstream_hosts, clock)
    upstreams = await stack.enter_async_context(
        open_upstreams(
            llamalitica_url=settings.llamalitica_api_url,
            llamachat_url=settings.llamachat_url,
            legacy_url=settings.legacy_url,
            randomness=secrets.token_bytes,
            on_call=calls.ended,
            trust=trust,
            proxy=settings.outbound,
            spares=SPARES,
            trace_to=settings.trace_to,
        )
    )
    return Deps(
        store=store,
        upstreams=upstreams,
        effects=Effects(clock, time.monotonic, RandomIds(os.urandom), asyncio.sleep),
        metrics=metrics,
        tracing=tracing,
        chat_key=_secret(settings.llamachat_api_key),
        workers=workers,
        readings=Readings(),
        tasks=Tasks(),
        locks=store.backend.locks or locks,
        confirmed_callers=ConfirmedCallers(),
        web_url=settings.llamalitica_web_url,
        spool_folder=Path(tempfile.gettempdir()),
        spool_budget=MemoryBudget(),
    )


def _listener(
    app: web.Application, ending: Ending, broken: Broken = broken_legacy, limits: Limits | None = None
) -> Listener:
    listener = Listener(QuietRunner(app, lambda: str(uuid.uuid4()), 0, broken, limits))
    ending.watch(listener)
    return listener


@dataclass(frozen=True, slots=True)
class _Calls:
    """The end of every call to an upstream: it is counted, noted for `explain`, logged and traced."""

    metrics: Metrics
    tracing: Tracing
    hosts: Mapping[str, str]
    clock: Callable[[], datetime]

    def ended(self, call: CallRecord) -> None:
        self.metrics.called(call.upstream, call.cause, call.milliseconds / 1000)
        note_call(call)
        _log.info(
            "upstream_call",
            upstream=call.upstream,
            method=call.method,
            path=call.path,
            status=call.status,
            cause=call.cause,
            ms=round(call.milliseconds),
        )
        context = CONTEXT.get()
        if context is not None and context.is_recorded:
            span_id = call.span_id or self.tracing.new_id(8)
            self.tracing.export(client_span(call, context, span_id, self.hosts, self.clock()))
