"""What a flow is given to work with; the app builds it once, tests build it from real parts."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from proxy.locks import Locks
from proxy.store import Store
from proxy.tasks import Tasks
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica
from proxy.upstream.michiq import Michiq
from proxy.workers import Workers


@dataclass(frozen=True, slots=True)
class Deps:
    """`michiq` is the legacy server, where there is one. `clock` gives aware UTC times, `monotonic` seconds
    of no given origin, `new_id` fresh UUIDs."""

    store: Store
    llamalitica: Llamalitica
    llamachat: LlamaChat | None
    michiq: Michiq | None
    chat_key: str | None = field(repr=False)
    workers: Workers
    tasks: Tasks
    locks: Locks
    web_url: str
    spool_folder: Path
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    new_id: Callable[[], str]
    pause: Callable[[float], Awaitable[None]]
