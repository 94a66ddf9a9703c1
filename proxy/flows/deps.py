"""The dependencies of the flows; the app builds them once, and tests build them from real parts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from proxy.concurrency.locks import Locks
from proxy.concurrency.tasks import Tasks
from proxy.flows.query.readings import Readings
from proxy.flows.shared.confirmed_callers import ConfirmedCallers
from proxy.isolated.pool import IsolatedPool
from proxy.observe.metrics import Metrics
from proxy.spool import MemoryBudget
from proxy.store import Store
from proxy.upstream.legacy.michiq import Michiq
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica


@dataclass(frozen=True, slots=True)
class Deps:
    """The stores, clients and effects that every flow gets.

    `michiq` is the legacy server, if there is one. `upstream_states` returns the state of each system's
    circuit breaker: closed, open or half-open. `clock` returns aware UTC times, `monotonic` seconds of no
    given origin, `new_id` fresh UUIDs.
    """

    store: Store
    llamalitica: Llamalitica
    llamachat: LlamaChat | None
    michiq: Michiq | None
    upstream_states: Callable[[], Mapping[str, str]]
    chat_key: str | None = field(repr=False)
    metrics: Metrics
    workers: IsolatedPool
    readings: Readings
    tasks: Tasks
    locks: Locks
    confirmed_callers: ConfirmedCallers
    web_url: str
    spool_folder: Path
    spool_budget: MemoryBudget
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]]
