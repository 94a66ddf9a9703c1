"""Resources that serving processes share: sockets, locks, and the state of serving."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from proxy.concurrency.locks import KeyedLocks, Locks
from proxy.server.listener import close, keep_apart, open_sockets
from proxy.server.serving import Serving
from proxy.settings import Settings

# The settings of the sockets.
LISTEN: Final = "MICHIQ_LISTEN"
ADMIN: Final = "MICHIQ_ADMIN_LISTEN"
STATUS: Final = "MICHIQ_STATUS_LISTEN"


@dataclass(frozen=True, slots=True)
class SharedResources:
    """The shared resources of a process: bound sockets, locks, and the state of serving.

    `listen` is for clients, `admin` for operators, `status` for probes. The process that serves on the
    sockets closes them.
    """

    listen: Sequence[socket.socket]
    admin: Sequence[socket.socket]
    status: Sequence[socket.socket] = ()
    locks: Locks = field(default_factory=KeyedLocks)
    serving: Serving = field(default_factory=Serving)

    def close(self) -> None:
        close([*self.listen, *self.admin, *self.status])


def bound(settings: Settings) -> SharedResources:
    """Binds the sockets of a process that serves alone, or of a parent that shares them.

    Raises CantListen when an address is taken, or is not this machine's.
    """
    opened: dict[str, list[socket.socket]] = {}
    with ExitStack() as on_failure:
        for setting, addresses in settings.listeners.items():
            opened[setting] = open_sockets(setting, *addresses)
            on_failure.callback(close, opened[setting])
        for one, other in combinations(opened, 2):
            keep_apart(one, opened[one], other, opened[other])
        on_failure.pop_all()
    return SharedResources(opened[LISTEN], opened[ADMIN], opened.get(STATUS, ()))
