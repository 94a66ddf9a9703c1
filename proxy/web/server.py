"""The proxy from start to end: opens what it needs in order, listens, and drains before it closes."""

import asyncio
import random
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from proxy.addresses import Address
from proxy.flows.deps import Deps
from proxy.locks import KeyedLocks
from proxy.mapping.table import Table
from proxy.settings import Settings
from proxy.store import Store, StoreError, open_store
from proxy.tasks import Tasks
from proxy.upstream import open_upstreams
from proxy.upstream.call import CallRecord
from proxy.web.admin import problems
from proxy.web.app import admin_app, legacy_app
from proxy.web.calls import note_call
from proxy.web.keys import Serving
from proxy.web.moving import Moving, moving_over
from proxy.web.protocol import Broken, QuietRunner, broken_legacy
from proxy.web.tee import teeing
from proxy.workers import Workers

# The tasks that flows hand to worker processes.
_WORKER_MODULES: Final = ("proxy.flows.offload", "proxy.store.playback")
_SWEEP_SECONDS: Final = 3600.0

_log: Final = structlog.get_logger("proxy.server")


@dataclass(frozen=True, slots=True)
class Running:
    """Where a started proxy listens, with the ports that the system chose for port 0."""

    url: str
    admin_url: str
    deps: Deps
    moving: Moving


@asynccontextmanager
async def running(
    settings: Settings,
    table: Table,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    folder: Path | None = None,
) -> AsyncIterator[Running]:
    """A proxy that serves until the block ends; StoreError and OSError where it can't start.

    `folder` is where `table` came from, to be watched for changes; None watches nothing.
    """
    async with AsyncExitStack() as stack:
        deps = await _open(settings, clock, stack)
        await _settle(deps.store)
        await stack.enter_async_context(_sweeping(deps.store, settings, clock))
        serving = Serving()
        drain = float(settings.drain_seconds)
        tester_secret = settings.tester_secret.get_secret_value() if settings.tester_secret else None
        moving = await stack.enter_async_context(moving_over(table, folder, deps, tester_secret))
        admin_tokens = {name: token.get_secret_value() for name, token in settings.admin_tokens.items()}
        for_operators = admin_app(moving, deps, serving, admin_tokens)
        admin = await _listen(for_operators, settings.admin_listen, drain, stack, problems.broken)
        tee = await stack.enter_async_context(teeing(settings.tee_url, deps, random.SystemRandom().random))
        # What a request began and left running is waited for once no request can come any more.
        stack.push_async_callback(deps.tasks.drain, drain)
        webhook_secrets = [secret.get_secret_value() for secret in settings.webhook_secrets]
        for_clients = legacy_app(moving, deps, webhook_secrets, tee)
        legacy = await _listen(for_clients, settings.listen, drain, stack)
        stack.callback(serving.stop)
        _log.info("listening", url=legacy, admin=admin)
        yield Running(legacy, admin, deps, moving)
        _log.info("draining")


async def _open(settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> Deps:
    keys = [key.get_secret_value() for key in settings.secret_keys]
    store = await stack.enter_async_context(open_store(settings.database_url, settings.blobs_url, keys))
    workers = await stack.enter_async_context(Workers(_WORKER_MODULES))
    await workers.warm()
    upstreams = await stack.enter_async_context(
        open_upstreams(
            llamalitica_url=settings.llamalitica_api_url,
            llamachat_url=settings.llamachat_url,
            legacy_url=settings.legacy_url,
            randomness=secrets.token_bytes,
            on_call=_log_call,
        )
    )
    return Deps(
        store=store,
        llamalitica=upstreams.llamalitica,
        llamachat=upstreams.llamachat,
        michiq=upstreams.michiq,
        chat_key=settings.llamachat_api_key.get_secret_value() if settings.llamachat_api_key else None,
        workers=workers,
        tasks=Tasks(),
        locks=KeyedLocks(),
        web_url=settings.llamalitica_web_url,
        spool_folder=Path(tempfile.gettempdir()),
        clock=clock,
        monotonic=time.monotonic,
        new_id=lambda: str(uuid.uuid4()),
        pause=asyncio.sleep,
    )


async def _listen(
    app: web.Application,
    address: Address,
    drain: float,
    stack: AsyncExitStack,
    broken: Broken = broken_legacy,
) -> str:
    runner = QuietRunner(app, lambda: str(uuid.uuid4()), drain, broken)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, address.host, address.port).start()
    host, port = runner.addresses[0][:2]
    return f"http://{Address(host, port)}"


async def _settle(store: Store) -> None:
    """What an earlier process left in the air is shown, never sent again (CONTRACT N17, S05)."""
    await store.journal.settle()
    await store.links.settle()
    for entry in await store.journal.pending():
        _log.warning("ambiguous_case", intent=entry.id, cause=entry.cause, at=entry.created_at.isoformat())


@asynccontextmanager
async def _sweeping(store: Store, settings: Settings, clock: Callable[[], datetime]) -> AsyncIterator[None]:
    """Removes what is past its retention, at once and then every hour (CONTRACT U06)."""

    async def sweep() -> None:
        while True:
            try:
                swept = await store.retention.sweep(clock(), settings.content_days, settings.audio_days)
                _log.info("swept", cases=swept.cases, recordings=swept.recordings, unsent=swept.unsent)
            except (StoreError, OSError):
                _log.exception("sweep_failed")
            await asyncio.sleep(_SWEEP_SECONDS)

    task = asyncio.create_task(sweep(), name="retention")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def _log_call(call: CallRecord) -> None:
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
