"""The state of this process, for its metrics and for its heartbeat."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client import Metric

from proxy.flows.deps import Deps
from proxy.observe.counters import gauge
from proxy.observe.exposition import encoded
from proxy.observe.logs import dropped
from proxy.observe.process_facts import process_facts, process_families
from proxy.rollout.live import Live
from proxy.rollout.shadow.queue import ShadowQueue
from proxy.server.listener import Listener
from proxy.server.serving import Serving
from proxy.server.tls import Tls
from proxy.values import Json

_STATES: Final = ("closed", "open", "half-open")


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The parts whose state is shown; `listeners` fills up while the process starts."""

    deps: Deps
    live: Live
    shadow: ShadowQueue
    serving: Serving
    listeners: dict[str, Listener]
    tls: Tls | None

    def freeze(self) -> Callable[[], list[Metric]]:
        """Copies this process's counts and values; the result makes its samples, in any thread."""
        counts = self.deps.metrics.freeze(self.live.now.table.routes, dropped())
        values = self._gauges()
        return lambda: [*(each() for each in counts), *values, *process_families(process_facts())]

    async def certificate_end(self) -> datetime | None:
        """Returns the end of the certificate in use; None without one."""
        return await asyncio.to_thread(self.tls.end) if self.tls else None

    async def encoded(self) -> str:
        """Returns this process's samples for its siblings."""
        make = self.freeze()
        return await asyncio.to_thread(lambda: encoded(make()))

    def about(self) -> dict[str, Json]:
        """Returns what the heartbeat says of this process."""
        facts = process_facts()
        return {
            "worker": self.serving.name,
            "version": facts.version,
            "memory": facts.memory,
            "connections": {name: each.connections for name, each in self.listeners.items()},
            "shadow_queue": self.shadow.waiting,
            "breakers": {**self.deps.upstreams.states()},
        }

    def _gauges(self) -> list[Metric]:
        states = self.deps.upstreams.states()
        breakers = {(name, each): each == state for name, state in states.items() for each in _STATES}
        connections = {(name,): each.connections for name, each in self.listeners.items()}
        read_at = self.live.read_at
        return [
            gauge("michiq_breaker", "1 for the state that it is in", breakers, ("upstream", "state")),
            gauge("michiq_connections", "Open connections", connections, ("listener",)),
            gauge("michiq_shadow_queue", "Candidates that wait", self.shadow.waiting),
            gauge("michiq_retention_held", "1 while the clock is in doubt", self.serving.held is not None),
            gauge(
                "michiq_mappings_last_reload_successful",
                "1 while the files in the mapping folder are in force",
                not self.live.rejected,
            ),
            gauge(
                "michiq_mappings_last_reload_success_timestamp_seconds",
                "Since 1970, to the last time when the mapping files were read without a fault",
                read_at.timestamp() if read_at else 0,
            ),
        ]
