"""What one client may take of the server: connections, and time (docs/reliability.md)."""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from proxy.addresses import parse_forwarded, parse_ip
from proxy.settings import Network, Settings

# Of those that there is no room for, so many are told at a time; the others only see their connection end.
_TOLD: Final = 100
_REMEMBERED: Final = 4096  # addresses
LEAST_RATE: Final = 1024.0  # bytes a second of a body, once its client was waited for a while
PAUSE_SECONDS: Final = 60.0  # that a body may pause for, unless its mapping says less
# An IPv6 client owns a whole network of this size.
_V6_CLIENT: Final = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """All times in seconds; `per_address` 0 is no limit of its own.

    Of a connection from one of `forwarders`, the client is who its X-Forwarded-For says; its requests are
    counted then, since many clients share the connection.
    """

    connections: int = 2000
    per_address: int = 0
    forwarders: tuple[Network, ...] = ()
    head: float = 10.0  # for a whole request line with its headers, and for the first byte of a connection
    # Of silence in a body, or at too low a rate; who reads it has less patience.
    body: float = PAUSE_SECONDS + 10.0
    taking: float = 30.0  # without a byte taken of an answer
    leaving: float = 2.0  # from the end of what a client sends to its being taken for gone
    refused: float = 2.0  # to read that there is no room
    spare: float = 5.0  # for a connection between two requests, where room is scarce
    sweep: float = 1.0  # from one look at all connections to the next


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
    """The bytes of answers that lie ready for a client."""

    held: int = 0  # by the proxy, since the kernel has no room for more
    left: int = 0  # these, and those that the kernel has and the client has not taken
    taken: int = 0  # ever: it shows beside what is added; 0 also where the kernel doesn't tell


NOTHING: Final = Ready()


@dataclass(slots=True)
class Watch:
    """What a connection's client last did, by the clock."""

    heard: float  # it sent something
    taken: float  # it took something of what lies ready for it
    since: float | None  # it began a request whose head is not whole yet
    until: float = 0.0  # its body has time, which what comes of it prolongs
    ready: Ready = NOTHING

    def look(self, ready: Ready, now: float) -> None:
        """Notes what lies ready for the client now."""
        if ready.left == 0 or ready.left < self.ready.left or ready.taken > self.ready.taken:
            self.taken = now
        self.ready = ready

    def wait(self, now: float, limits: Limits) -> None:
        """Begins its time for a body anew: it is not the client who is waited for."""
        self.heard, self.until = now, now + limits.body

    def overdue(self, stage: Stage, now: float, limits: Limits, *, crowded: bool) -> Overdue | None:
        """Why the connection is to end now."""
        # What is made already and lies in the kernel costs the proxy nothing: TCP ends that.
        if (self.ready.held or stage == "busy") and now - self.taken >= limits.taking:
            return "reader"
        silent = now - self.heard
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
    """Who is inside: by the connection, and behind a forwarder by the request."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_client: Counter[str] = Counter()
        self._inside = 0
        self._told = 0

    @property
    def crowded(self) -> bool:
        """Whether three quarters of the room are taken."""
        return self._inside * 4 >= self._limits.connections * 3

    def enter(self, host: str) -> bool:
        """Lets a connection in, if there is room; whoever is in leaves one day."""
        if self._inside >= self._limits.connections or not self._count(self._direct(host)):
            return False
        self._inside += 1
        return True

    def leave(self, host: str) -> None:
        self._inside -= 1
        self._discount(self._direct(host))

    def may_tell(self) -> bool:
        """Whether one more that was not let in can be told so; `told` then, once it has gone."""
        if self._told >= _TOLD:
            return False
        self._told += 1
        return True

    def told(self) -> None:
        self._told -= 1

    @contextmanager
    def request(self, host: str, forwarded_for: Iterable[str]) -> Iterator[bool]:
        """Whether a request may be answered; counted while the block lasts, where it came by a forwarder."""
        client = self.client(host, forwarded_for)
        counted = client if client != host else None
        admitted = self._count(counted)
        try:
            yield admitted
        finally:
            if admitted:
                self._discount(counted)

    def client(self, host: str, forwarded_for: Iterable[str]) -> str:
        """The address that a request came from: the last one that no forwarder of ours has written down.

        Where a forwarder wrote down something else, it is the connection's own.
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
            self._by_client += Counter()  # drops those at 0


@lru_cache(_REMEMBERED)
def _client(host: str | None) -> str:
    """What is counted as one client; "" for nobody who can be told from others."""
    address = parse_ip(host or "")
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _V6_CLIENT), strict=False))
    return str(address or "")
