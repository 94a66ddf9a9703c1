"""Clients of the systems that the proxy calls, opened and closed together."""

import ssl
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypedDict

from proxy.addresses import host_of
from proxy.outbound_proxy import OutboundProxy
from proxy.upstream.breaker import State
from proxy.upstream.call import OnCall
from proxy.upstream.circuit import Gate
from proxy.upstream.client import open_upstream
from proxy.upstream.form import Randomness
from proxy.upstream.legacy.michiq import Michiq, open_michiq
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica
from proxy.upstream.trace_context import Carry, carried


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The clients of all upstreams; `llamachat` and `michiq`, the legacy server, can be None."""

    llamalitica: Llamalitica
    llamachat: LlamaChat | None
    michiq: Michiq | None
    gates: Mapping[str, Gate]

    def states(self) -> dict[str, State]:
        """Returns the state of each circuit breaker, by its upstream's name in the cause codes."""
        return {name: gate.state for name, gate in self.gates.items()}


class _Ways(TypedDict):
    on_call: OnCall
    monotonic: Callable[[], float]
    trust: ssl.SSLContext | None
    proxy: OutboundProxy | None
    spares: int


@asynccontextmanager
async def open_upstreams(
    *,
    llamalitica_url: str,
    llamachat_url: str | None,
    legacy_url: str | None,
    randomness: Randomness,
    on_call: OnCall,
    monotonic: Callable[[], float] = time.monotonic,
    trust: ssl.SSLContext | None = None,
    proxy: OutboundProxy | None = None,
    spares: int = 0,
    trace_to: Collection[str] = (),
) -> AsyncIterator[Upstreams]:
    """Opens the client of each upstream, with connections of its own.

    The URLs may have a path, and were checked by the settings. `monotonic` is the breakers' clock. `trust`
    decides which certificates are accepted; None means the system's authorities. `proxy` is the outbound
    proxy to the internet. `spares` is the number of connections to each upstream that are opened ahead.
    `trace_to` has the hosts that are sent the trace context of a request.
    """

    def carry(url: str) -> Carry | None:
        return partial(carried, lambda: randomness(8).hex()) if host_of(url) in trace_to else None

    ways = _Ways(on_call=on_call, monotonic=monotonic, trust=trust, proxy=proxy, spares=spares)
    async with AsyncExitStack() as opened:
        llamalitica = await opened.enter_async_context(
            open_upstream("llamalitica", llamalitica_url, carry=carry(llamalitica_url), **ways)
        )
        gates = {"llamalitica": llamalitica.gate}
        llamachat = None
        if llamachat_url is not None:
            llamachat = await opened.enter_async_context(
                open_upstream("llamachat", llamachat_url, carry=carry(llamachat_url), **ways)
            )
            gates["llamachat"] = llamachat.gate
        michiq = None
        if legacy_url is not None:
            michiq = await opened.enter_async_context(
                open_michiq(legacy_url, carry=carry(legacy_url), **ways)
            )
            gates["legacy"] = michiq.gate
        yield Upstreams(
            Llamalitica(llamalitica, randomness),
            None if llamachat is None else LlamaChat(llamachat, randomness),
            michiq,
            gates,
        )
