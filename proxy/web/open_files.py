"""How many files a process may have open, and how many of them may be connections."""

import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

# Calls to upstreams at a time (three pools and the tee), connections that are told that there is no room, and
# what the isolated processes and the log take.
_RESERVED: Final = 300
# Of what is left, for the probes and operators of one listener.
_PROBES_SHARE: Final = 16
_LEAST_PROBES: Final = 16
_MOST_PROBES: Final = 2000
_LEAST_CLIENTS: Final = 8

_log: Final = structlog.get_logger("proxy.open_files")


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections there may be at a time: of clients, and at each listener for others."""

    clients: int
    probes: int


def raise_limit() -> None:
    """Raises this process's limit of open files to what its administrators allow; its children inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # a system where "unlimited" can't be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room_for(wanted: int, limit: int, opened: int) -> Room:
    """Returns what fits below the limit, where `opened` files are open before any connection.

    A third of it is left to the files that requests open: forms, recordings, calls.
    """
    left = limit - opened - _RESERVED
    probes = min(_MOST_PROBES, max(_LEAST_PROBES, left // _PROBES_SHARE))
    return Room(min(wanted, max(_LEAST_CLIENTS, (left - 2 * probes) * 2 // 3)), probes)


def measured_room(wanted: int) -> Room:
    """Returns the room of this process, which has opened all that it keeps open; logs where it is less."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return Room(wanted, _MOST_PROBES)
    room = room_for(wanted, limit, len([*Path("/dev/fd").iterdir()]))
    if room.clients < wanted:
        _log.warning("connections_capped", wanted=wanted, room=room.clients, open_files=limit)
    return room
