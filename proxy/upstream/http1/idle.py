"""The idle connections of a pool: those of a caller, and spare ones for any caller."""

from typing import Final

from proxy.upstream.http1.connection import Connection

# A call that must not be sent twice takes only a connection that was used or opened this recently.
SURE_SECONDS: Final = 2.0


class Idle:
    """A collection of idle connections in the order of their last use, by caller; a spare has none."""

    def __init__(self) -> None:
        self._order: dict[Connection, None] = {}
        self._by_caller: dict[bytes | None, list[Connection]] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def spares(self) -> int:
        """Returns the number of spare connections."""
        return len(self._by_caller.get(None, ()))

    def young_spares(self, now: float) -> int:
        """Returns the number of spare connections for calls that must not be sent twice."""
        return sum(now - each.since <= SURE_SECONDS for each in self._by_caller.get(None, ()))

    def put(self, connection: Connection) -> None:
        """Stores a connection for its caller."""
        self._order[connection] = None
        self._by_caller.setdefault(connection.caller, []).append(connection)

    def take(self, caller: bytes | None, now: float, *, repeatable: bool) -> Connection | None:
        """Removes and returns a connection of the caller's that is young enough and open; None without one.

        The newest connection is taken first. But a repeatable call gets the oldest spare, so that young
        spares are left for calls that must not be sent twice.
        """
        while group := self._by_caller.get(caller):
            oldest = caller is None and repeatable
            connection = group[0 if oldest else -1]
            most = connection.idle_seconds if repeatable else min(connection.idle_seconds, SURE_SECONDS)
            is_old = now - connection.since > most
            if is_old and not oldest:
                return None  # the others are older
            self.drop(connection)
            if is_old:
                connection.abort()
                continue
            # A repeatable call needs no system call here: it is sent again if no answer comes.
            if connection.stands if repeatable else connection.is_silent():
                return connection
            connection.abort()
        return None

    def drop(self, connection: Connection) -> None:
        """Removes a connection, if it is stored here."""
        if connection in self._order:
            del self._order[connection]
            group = self._by_caller[connection.caller]
            group.remove(connection)
            if not group:
                del self._by_caller[connection.caller]

    def end_oldest(self) -> None:
        """Closes the connection that was used least recently."""
        connection = next(iter(self._order))
        self.drop(connection)
        connection.abort()

    def end_oldest_spare(self) -> None:
        """Closes the spare connection that was opened first."""
        connection = self._by_caller[None][0]
        self.drop(connection)
        connection.abort()

    def end_old(self, now: float) -> None:
        """Closes all connections that were idle for too long."""
        for connection in list(self._order):
            if now - connection.since > connection.idle_seconds:
                self.drop(connection)
                connection.abort()

    def end_all(self) -> None:
        """Closes all connections."""
        while self._order:
            self.end_oldest()
