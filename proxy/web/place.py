"""What a process has in common with those that serve beside it: sockets, locks, and who is there."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from proxy.locks import KeyedLocks, Locks
from proxy.settings import Settings
from proxy.web.keys import Serving
from proxy.web.listening import close, keep_apart, open_sockets

# The settings of the sockets.
LISTEN: Final = "MICHIQ_LISTEN"
ADMIN: Final = "MICHIQ_ADMIN_LISTEN"
STATUS: Final = "MICHIQ_STATUS_LISTEN"


@dataclass(frozen=True, slots=True)
class Place:
    """`listen` is for clients, `admin` for operators, `status` for probes.

    They are bound, and closed by who serves here.
    """

    listen: Sequence[socket.socket]
    admin: Sequence[socket.socket]
    status: Sequence[socket.socket] = ()
    locks: Locks = field(default_factory=KeyedLocks)
    serving: Serving = field(default_factory=Serving)

    def close(self) -> None:
        close([*self.listen, *self.admin, *self.status])


def bound(settings: Settings) -> Place:
    """What a process alone has, and a parent shares; CantListen where an address is taken or not ours."""
    opened: dict[str, list[socket.socket]] = {}
    with ExitStack() as on_failure:
        for setting, addresses in settings.listeners.items():
            opened[setting] = open_sockets(setting, *addresses)
            on_failure.callback(close, opened[setting])
        for one, other in combinations(opened, 2):
            keep_apart(one, opened[one], other, opened[other])
        on_failure.pop_all()
    return Place(opened[LISTEN], opened[ADMIN], opened.get(STATUS, ()))
