"""Connections that nobody uses at the moment: those kept for their caller, and spare ones for anybody."""

from typing import Final

from proxy.upstream.http1.connection import Connection

# A call that must not be sent twice takes only what was used or opened so lately.
SURE_SECONDS: Final = 2.0


class Idle:
    """Keeps connections in the order of their last use, found by their caller; a spare one has none."""

    def __init__(self) -> None:
        self._order: dict[Connection, None] = {}
        self._by_caller: dict[bytes | None, list[Connection]] = {}

    def __len__(self) -> int:
        return len(self._order)

    @property
    def spares(self) -> int:
        """Says how many are anybody's."""
        return len(self._by_caller.get(None, ()))

    def young_spares(self, now: float) -> int:
        """Says how many of those may carry a call that must not be sent twice."""
        return sum(now - each.since <= SURE_SECONDS for each in self._by_caller.get(None, ()))

    def put(self, connection: Connection) -> None:
        """Keeps a connection for its caller."""
        self._order[connection] = None
        self._by_caller.setdefault(connection.caller, []).append(connection)

    def take(self, caller: bytes | None, now: float, *, repeatable: bool) -> Connection | None:
        """Returns a connection of the caller's, no longer kept, if one is young enough and stands.

        It is the newest of them; of the spare ones a call that may be sent twice gets the oldest, so that
        young ones are left for those that may not.
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
            # What may be repeated needs no look into the kernel: it is, where nothing comes back.
            if connection.stands if repeatable else connection.is_silent():
                return connection
            connection.abort()
        return None

    def drop(self, connection: Connection) -> None:
        """Forgets a connection, if it is kept."""
        if connection in self._order:
            del self._order[connection]
            group = self._by_caller[connection.caller]
            group.remove(connection)
            if not group:
                del self._by_caller[connection.caller]

    def end_oldest(self) -> None:
        """Ends the connection that was used least recently."""
        connection = next(iter(self._order))
        self.drop(connection)
        connection.abort()

    def end_oldest_spare(self) -> None:
        """Ends the spare connection that was opened first."""
        connection = self._by_caller[None][0]
        self.drop(connection)
        connection.abort()

    def end_old(self, now: float) -> None:
        """Ends all that have been idle for too long."""
        for connection in list(self._order):
            if now - connection.since > connection.idle_seconds:
                self.drop(connection)
                connection.abort()

    def end_all(self) -> None:
        """Ends every one."""
        while self._order:
            self.end_oldest()
