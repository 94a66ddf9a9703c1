"""What a flow is given to work with; the app builds it once, tests build it from real parts."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from proxy.flows.confirmed_callers import ConfirmedCallers
from proxy.flows.readings import Readings
from proxy.locks import Locks
from proxy.observe.metrics import Metrics
from proxy.spool import MemoryBudget
from proxy.store import Store
from proxy.tasks import Tasks
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica
from proxy.upstream.michiq import Michiq
from proxy.workers import Workers


@dataclass(frozen=True, slots=True)
class Deps:
    """`michiq` is the legacy server, where there is one; `upstream_states` whether each system is called at
    all (closed), or left alone for a while (open, half-open). `clock` gives aware UTC times, `monotonic`
    seconds of no given origin, `new_id` fresh UUIDs."""

    store: Store
    llamalitica: Llamalitica
    llamachat: LlamaChat | None
    michiq: Michiq | None
    upstream_states: Callable[[], Mapping[str, str]]
    chat_key: str | None = field(repr=False)
    metrics: Metrics
    workers: Workers
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
