"""What a process has in common with those that serve beside it: sockets, locks, and who is there."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from proxy.locks import KeyedLocks, Locks
from proxy.settings import Settings
from proxy.web.keys import Serving
from proxy.web.listening import close, keep_apart, open_sockets

# The settings of the sockets.
LISTEN: Final = "MICHIQ_LISTEN"
ADMIN: Final = "MICHIQ_ADMIN_LISTEN"


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
    """What a process alone has, and a parent shares; CantListen where an address is taken or not ours."""
    with ExitStack() as on_failure:
        admin = open_sockets(ADMIN, settings.admin_listen)
        on_failure.callback(close, admin)
        listen = open_sockets(LISTEN, *settings.listen)
        on_failure.callback(close, listen)
        keep_apart(LISTEN, listen, ADMIN, admin)
        on_failure.pop_all()
    return Place(listen, admin)
