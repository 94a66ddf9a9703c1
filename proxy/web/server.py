"""The proxy from start to end: opens what it needs in order, listens, and drains before it closes."""

import asyncio
import os
import random
import secrets
import ssl
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from socket import socket
from typing import Final

import structlog
from aiohttp import web
from pydantic import SecretStr

from proxy.flows.confirmed_callers import ConfirmedCallers
from proxy.flows.deps import Deps
from proxy.flows.linked_case import resume
from proxy.flows.readings import Readings
from proxy.ids import RandomIds
from proxy.locks import KeyedLocks, Locks
from proxy.mapping.models import SpeechToText
from proxy.mapping.table import Table
from proxy.observe.metrics import Metrics
from proxy.outbound_proxy import OutboundProxy, parse_outbound_proxy
from proxy.settings import Settings
from proxy.spool import MemoryBudget
from proxy.store import Store, open_store
from proxy.tasks import Tasks
from proxy.upstream import open_upstreams
from proxy.upstream.call import CallRecord
from proxy.upstream.http1.pool import SPARES
from proxy.upstream.trust import trusted
from proxy.web.admin import problems
from proxy.web.app import admin_app, legacy_app, status_app
from proxy.web.calls import note_call
from proxy.web.ending import Ending
from proxy.web.guards import Limits, limits_of
from proxy.web.handshakes import Handshakes
from proxy.web.keys import Serving
from proxy.web.listening import Listener, url_of
from proxy.web.moving import Moving, moving_over
from proxy.web.open_files import Room, measured_room
from proxy.web.place import ADMIN, LISTEN, STATUS, Place, bound
from proxy.web.protocol import Broken, QuietRunner, broken_legacy
from proxy.web.space import watching_space
from proxy.web.sweeping import sweeping
from proxy.web.tee import Tee, teeing
from proxy.web.tls import Tls
from proxy.workers import Workers

# The tasks that flows hand to worker processes.
_WORKER_MODULES: Final = ("proxy.flows.offload", "proxy.flows.json_body", "proxy.store.playback")

_log: Final = structlog.get_logger("proxy.server")


@dataclass(frozen=True, slots=True)
class Running:
    """Where a started proxy listens, with the ports that the system chose for port 0."""

    url: str
    admin_url: str
    deps: Deps
    moving: Moving
    ending: Ending
    tls: Tls | None
    status_url: str | None = None  # where probes are answered apart from the admin API

    def reload_soon(self) -> None:
        """Takes the mapping files and the certificate as they are now; for a signal."""
        self.moving.follower.reload_soon()
        if self.tls is not None:
            self.tls.reload()

    def take_over_soon(self) -> None:
        """A process beside this one has ended: what it left is shown, or gone on with."""
        self.deps.tasks.start("take-over", _take_over(self.moving.live.now.table, self.deps))


@asynccontextmanager
async def running(
    settings: Settings,
    table: Table,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    folder: Path | None = None,
    place: Place | None = None,
) -> AsyncIterator[Running]:
    """Serves until the block ends.

    Raises StoreError, CantListen, BadCertificate and BadAuthorities where it can't start. `folder` is where
    `table` came from, to be watched for changes; None watches nothing. `place` has the sockets and locks that
    this process shares with others; None is for one that serves alone.

    The end takes back the steps of the start in reverse:

    1. clients: the listener closes once their requests are answered (`Ending.leave`);
    2. tasks that requests began are drained, in what is left of the time (`Ending.drain`), then the tee ends;
    3. status and admin listeners close: /readyz says until now that the process is not ready;
    4. evidence is written, mapping files are followed no more, upkeep of the store ends;
    5. the sockets, the upstreams' connections, the isolated processes and the store are closed.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        tls = _tls(settings, metrics)
        trust = trusted(settings.ca_file)
        deps = await _open(settings, clock, place.locks if place else KeyedLocks(), trust, metrics, stack)
        event, place = ("worker_listening", place) if place else ("listening", bound(settings))
        stack.callback(place.close)
        await _begin_upkeep(settings, deps, place.serving, stack)
        moving = await stack.enter_async_context(
            moving_over(table, folder, deps, _secret(settings.tester_secret))
        )
        ending = Ending(float(settings.drain_seconds), place.serving)
        listening = _Listening(settings, moving, deps, ending, measured_room(settings.max_connections), stack)
        await listening.to_operators(place)
        await listening.to_clients(place, tls, await _begin_tee(settings, deps, trust, stack))
        _resume(table, deps)
        deps.workers.warm_soon()  # what needs one at once waits for it, everybody else doesn't
        urls = url_of(place.listen, tls), url_of(place.admin, None)
        status_url = url_of(place.status, None) if place.status else None
        _log.info(event, url=urls[0], admin=urls[1], **({"status": status_url} if status_url else {}))
        yield Running(*urls, deps, moving, ending, tls, status_url)


async def _begin_upkeep(settings: Settings, deps: Deps, serving: Serving, stack: AsyncExitStack) -> None:
    """Notes what the last process left, and looks after the store from now on."""
    store = deps.store
    await store.keys.note()
    await _settle(store)
    await _show_pending(store)
    await stack.enter_async_context(sweeping(store, settings, serving, deps.clock, deps.monotonic))
    await stack.enter_async_context(watching_space(store))


async def _begin_tee(
    settings: Settings, deps: Deps, trust: ssl.SSLContext, stack: AsyncExitStack
) -> Tee | None:
    chance = random.SystemRandom().random
    return await stack.enter_async_context(teeing(settings.tee_url, deps, chance, trust, _outbound(settings)))


@dataclass(frozen=True, slots=True)
class _Listening:
    """Opens the listeners, one kind after the other; the stack closes them."""

    settings: Settings
    moving: Moving
    deps: Deps
    ending: Ending
    room: Room
    stack: AsyncExitStack

    async def to_operators(self, place: Place) -> None:
        """Serves the admin API, and the probes beside it or apart."""
        tokens = {name: token.get_secret_value() for name, token in self.settings.admin_tokens.items()}
        app = admin_app(self.moving, self.deps, place.serving, tokens)
        await self._open_probed(ADMIN, place.admin, app)
        if place.status:
            await self._open_probed(STATUS, place.status, status_app(self.moving, self.deps, place.serving))

    async def to_clients(self, place: Place, tls: Tls | None, tee: Tee | None) -> None:
        """Serves the legacy routes; what their requests leave running is drained once they are answered."""
        self.stack.push_async_callback(self.ending.drain, self.deps.tasks)
        webhook_secrets = [secret.get_secret_value() for secret in self.settings.webhook_secrets]
        app = legacy_app(self.moving, self.deps, webhook_secrets, tee)
        limits = replace(limits_of(self.settings), connections=self.room.clients)
        listener = _listener(app, self.ending, limits=limits)
        self.stack.push_async_callback(self.ending.leave, listener)
        await listener.open(LISTEN, place.listen, tls)

    async def _open_probed(self, setting: str, sockets: Sequence[socket], app: web.Application) -> None:
        listener = _listener(app, self.ending, problems.broken, Limits(connections=self.room.probes))
        self.stack.push_async_callback(self.ending.leave_last, listener)
        await listener.open(setting, sockets)


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _tls(settings: Settings, metrics: Metrics) -> Tls | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    handshakes = Handshakes(metrics.handshake_failed, time.monotonic)
    return Tls(settings.tls_cert, settings.tls_key, handshakes.failed)


def _outbound(settings: Settings) -> OutboundProxy | None:
    if settings.outbound_proxy is None:
        return None
    found = parse_outbound_proxy(settings.outbound_proxy.get_secret_value())
    return replace(found, unless=settings.no_proxy)


async def _open(
    settings: Settings,
    clock: Callable[[], datetime],
    locks: Locks,
    trust: ssl.SSLContext,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> Deps:
    keys = [key.get_secret_value() for key in settings.secret_keys]
    store = await stack.enter_async_context(open_store(settings.database_url, settings.blobs_url, keys))
    workers = await stack.enter_async_context(Workers(_WORKER_MODULES, [str(store.blobs.folder)]))
    upstreams = await stack.enter_async_context(
        open_upstreams(
            llamalitica_url=settings.llamalitica_api_url,
            llamachat_url=settings.llamachat_url,
            legacy_url=settings.legacy_url,
            randomness=secrets.token_bytes,
            on_call=partial(_log_call, metrics),
            trust=trust,
            proxy=_outbound(settings),
            spares=SPARES,
        )
    )
    return Deps(
        store=store,
        llamalitica=upstreams.llamalitica,
        llamachat=upstreams.llamachat,
        michiq=upstreams.michiq,
        upstream_states=upstreams.states,
        metrics=metrics,
        chat_key=_secret(settings.llamachat_api_key),
        workers=workers,
        readings=Readings(),
        tasks=Tasks(),
        locks=locks,
        confirmed_callers=ConfirmedCallers(),
        web_url=settings.llamalitica_web_url,
        spool_folder=Path(tempfile.gettempdir()),
        spool_budget=MemoryBudget(),
        clock=clock,
        monotonic=time.monotonic,
        new_id=RandomIds(os.urandom),
        pause=asyncio.sleep,
    )


def _listener(
    app: web.Application, ending: Ending, broken: Broken = broken_legacy, limits: Limits | None = None
) -> Listener:
    listener = Listener(QuietRunner(app, lambda: str(uuid.uuid4()), 0, broken, limits))
    ending.watch(listener)
    return listener


async def _settle(store: Store) -> int:
    """What a process that is gone left in the air is never sent again (CONTRACT N17, S05)."""
    lives = store.presence.lives
    return await store.journal.settle(lives) + await store.links.settle(lives)


async def _show_pending(store: Store) -> None:
    for entry in await store.journal.pending():
        _log.warning("ambiguous_case", intent=entry.id, cause=entry.cause, at=entry.created_at.isoformat())
    for call in await store.links.ambiguous():
        _log.warning("ambiguous_linked_case", cause=call.cause, at=call.at.isoformat())


def _resume(table: Table, deps: Deps) -> None:
    """What a process that is gone had before it goes on, unless it is no longer wanted (CONTRACT S05)."""
    mapping = table.routes["speech_to_text"].mapping
    if isinstance(mapping, SpeechToText) and mapping.forward == "linked-case":
        deps.tasks.start("linked_cases", resume(deps))


async def _take_over(table: Table, deps: Deps) -> None:
    if await _settle(deps.store):
        await _show_pending(deps.store)
    _resume(table, deps)


def _log_call(metrics: Metrics, call: CallRecord) -> None:
    metrics.called(call.upstream, call.cause)
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
