"""What a process has in common with those that serve beside it: sockets, locks, and who is there."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.locks import KeyedLocks, Locks
from proxy.settings import Settings
from proxy.web.keys import Serving
from proxy.web.listening import close, open_sockets


@dataclass(frozen=True, slots=True)
class Place:
    """`listen` is for clients, `admin` for operators; bound, and closed by who serves here."""

    listen: Sequence[socket.socket]
    admin: Sequence[socket.socket]
    locks: Locks = field(default_factory=KeyedLocks)
    serving: Serving = field(default_factory=Serving)

    def close(self) -> None:
        close([*self.listen, *self.admin])


def bound(settings: Settings) -> Place:
    """What a process alone has, and a parent shares; OSError where an address is taken or not ours."""
    admin = open_sockets(settings.admin_listen)
    try:
        return Place(open_sockets(settings.listen), admin)
    except OSError:
        close(admin)
        raise
