"""Limits the connections of a process by the number of files that it may open."""

import resource
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

# For simultaneous calls to upstreams (three pools and the tee), connections that get the answer that there is
# no room, the isolated processes and the log.
_RESERVED: Final = 300
# One part in so many of the rest, for the probes and operators of one listener.
_PROBES_SHARE: Final = 16
_LEAST_PROBES: Final = 16
_MOST_PROBES: Final = 2000
_LEAST_CLIENTS: Final = 8

_log: Final = structlog.get_logger("proxy.open_files")


@dataclass(frozen=True, slots=True)
class Room:
    """The most simultaneous connections: of clients, and at each listener for probes and operators."""

    clients: int
    probes: int


def raise_limit() -> None:
    """Raises this process's soft limit of open files to its hard limit; its children inherit it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # some systems refuse "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room_for(wanted: int, limit: int, opened: int) -> Room:
    """Returns the connections that fit below the limit; `opened` files are open before any connection.

    A third of the rest is for the files that requests open: forms, recordings, calls.
    """
    left = limit - opened - _RESERVED
    probes = min(_MOST_PROBES, max(_LEAST_PROBES, left // _PROBES_SHARE))
    return Room(min(wanted, max(_LEAST_CLIENTS, (left - 2 * probes) * 2 // 3)), probes)


def measured_room(wanted: int) -> Room:
    """Returns the room of this process, once its permanent files are open; logs if it is less than wanted."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return Room(wanted, _MOST_PROBES)
    room = room_for(wanted, limit, len([*Path("/dev/fd").iterdir()]))
    if room.clients < wanted:
        _log.warning("connections_capped", wanted=wanted, room=room.clients, open_files=limit)
    return room
