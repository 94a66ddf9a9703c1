"""The dependencies of the flows; the app builds them once, and tests build them from real parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from proxy.concurrency.locks import Locks
from proxy.concurrency.tasks import Tasks
from proxy.flows.query.readings import Readings
from proxy.flows.shared.confirmed_callers import ConfirmedCallers
from proxy.isolated.pool import IsolatedPool
from proxy.observe.metrics import Metrics
from proxy.observe.tracing import Tracing
from proxy.spool import MemoryBudget
from proxy.store import Store
from proxy.upstream import Upstreams


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects that a test controls: time, ids and pauses.

    `clock` returns aware UTC times, `monotonic` seconds of no given origin, `new_id` fresh UUIDs.
    """

    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deps:
    """The store, clients and effects that every flow gets."""

    store: Store
    upstreams: Upstreams
    effects: Effects
    chat_key: str | None = field(repr=False)
    metrics: Metrics
    tracing: Tracing
    workers: IsolatedPool
    readings: Readings
    tasks: Tasks
    locks: Locks
    confirmed_callers: ConfirmedCallers
    web_url: str
    spool_folder: Path
    spool_budget: MemoryBudget
