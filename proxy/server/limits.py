"""Limits the connections and the time of one client (docs/reliability.md)."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from proxy.addresses import parse_forwarded, parse_ip
from proxy.settings import Network, Settings

# So many clients without room get an answer at a time; for the others the connection just ends.
_MOST_REFUSALS: Final = 100
_REMEMBERED: Final = 4096  # addresses
LEAST_RATE: Final = 1024.0  # bytes a second of a body, beside the allowed pauses
PAUSE_SECONDS: Final = 60.0  # the longest pause of a body, unless its mapping has less
# One IPv6 client has a whole network of this size.
_V6_CLIENT: Final = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a server. All times are in seconds; `per_address` 0 means no limit per address.

    On a connection from one of `forwarders`, X-Forwarded-For gives the client. Then requests are counted
    instead of connections, since many clients share one connection.
    """

    connections: int = 2000
    per_address: int = 0
    forwarders: tuple[Network, ...] = ()
    head: float = 10.0  # for a whole request line with its headers, and for the first byte of a connection
    # For silence in a body, or too low a rate; the reader of the body has a shorter limit.
    body: float = PAUSE_SECONDS + 10.0
    taking: float = 30.0  # while the client takes no byte of an answer
    leaving: float = 2.0  # from the end of a client's data until it counts as gone
    refused: float = 2.0  # to read the answer that there is no room
    spare: float = 5.0  # for an idle connection, when room is scarce
    sweep: float = 1.0  # from one check of all connections to the next


def limits_of(settings: Settings) -> Limits:
    return Limits(
        connections=settings.max_connections,
        per_address=settings.max_connections_per_address,
        forwarders=settings.forwarders,
    )


Stage: TypeAlias = Literal["idle", "head", "body", "busy", "refused"]
Overdue: TypeAlias = Literal["idle", "head", "body", "reader", "refused"]


@dataclass(frozen=True, slots=True)
class Ready:
    """The bytes of answers that wait for a client to take them."""

    held: int = 0  # in the proxy, since the kernel has no room for more
    left: int = 0  # these, and those in the kernel that the client has not taken
    taken: int = 0  # in total, to see progress while more is added; 0 also if the kernel can't report it


NOTHING: Final = Ready()


@dataclass(slots=True)
class Watch:
    """The times of a client's last actions on a connection, by the clock."""

    received: float  # the client sent something
    taken: float  # the client took some of the waiting bytes
    since: float | None  # the client began a request whose head is not complete yet
    until: float = 0.0  # the end of the time for its body, which each piece extends
    ready: Ready = NOTHING
    look_at: float = 0.0  # when the kernel is next asked, while nothing waits in the proxy

    def look(self, ready: Ready, now: float) -> None:
        """Notes the bytes that wait for the client now."""
        if ready.left == 0 or ready.left < self.ready.left or ready.taken > self.ready.taken:
            self.taken = now
        self.ready = ready

    def wait(self, now: float, limits: Limits) -> None:
        """Restarts the client's time for a body: the proxy does not wait for the client."""
        self.received, self.until = now, now + limits.body

    def overdue(self, stage: Stage, now: float, limits: Limits, *, crowded: bool) -> Overdue | None:
        """Returns the reason to end the connection now; None without one."""
        # A finished answer in the kernel costs the proxy nothing: TCP itself ends that connection.
        if (self.ready.held or stage == "busy") and now - self.taken >= limits.taking:
            return "reader"
        silent = now - self.received
        match stage:
            case "idle":
                is_late = crowded and silent >= limits.spare
            case "head":
                is_late = self.since is not None and now - self.since >= limits.head
            case "body":
                is_late = silent >= limits.body or now >= self.until
            case "refused":
                is_late = silent >= limits.refused
            case "busy":
                return None
        return stage if is_late else None


class Doors:
    """A counter of clients: by connections, and behind a forwarder by requests."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_client: Counter[str] = Counter()
        self._inside = 0
        self._refusals = 0

    @property
    def crowded(self) -> bool:
        """Returns whether three quarters of the connections are in use."""
        return self._inside * 4 >= self._limits.connections * 3

    def enter(self, host: str) -> bool:
        """Admits a connection if there is room; each admitted one must `leave`."""
        if self._inside >= self._limits.connections or not self._count(self._direct(host)):
            return False
        self._inside += 1
        return True

    def leave(self, host: str) -> None:
        self._inside -= 1
        self._discount(self._direct(host))

    def begin_refusal(self) -> bool:
        """Returns whether one more refused client may get an answer; then `end_refusal` must follow."""
        if self._refusals >= _MOST_REFUSALS:
            return False
        self._refusals += 1
        return True

    def end_refusal(self) -> None:
        self._refusals -= 1

    @contextmanager
    def request(self, host: str, forwarded_for: Iterable[str]) -> Iterator[bool]:
        """Yields whether a request may be answered; one of a forwarder counts while the block runs."""
        client = self.client(host, forwarded_for)
        counted = client if client != host else None
        admitted = self._count(counted)
        try:
            yield admitted
        finally:
            if admitted:
                self._discount(counted)

    def client(self, host: str, forwarded_for: Iterable[str]) -> str:
        """Returns a request's client address: the last hop that is not one of our forwarders.

        It is the connection's own address when X-Forwarded-For has no valid address there.
        """
        hops = [hop for value in forwarded_for for hop in value.split(",")]
        client = host
        while hops and self._forwards(client):
            if (address := parse_forwarded(hops.pop())) is None:
                return host
            client = str(address)
        return client

    def _direct(self, host: str) -> str | None:
        return None if self._forwards(host) else host

    def _forwards(self, host: str) -> bool:
        if not self._limits.forwarders:
            return False
        address = parse_ip(host)
        return address is not None and any(address in network for network in self._limits.forwarders)

    def _count(self, host: str | None) -> bool:
        client = _client(host)
        if not client or not self._limits.per_address:
            return True
        if self._by_client[client] >= self._limits.per_address:
            return False
        self._by_client[client] += 1
        return True

    def _discount(self, host: str | None) -> None:
        client = _client(host)
        if client in self._by_client:
            self._by_client[client] -= 1
            self._by_client += Counter()  # removes zero counts


@lru_cache(_REMEMBERED)
def _client(host: str | None) -> str:
    """Returns the address or network that counts as one client; "" without an address."""
    address = parse_ip(host or "")
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _V6_CLIENT), strict=False))
    return str(address or "")
