"""Errors of an exchange with an upstream, before the callers turn them into cause codes."""

from typing import Final

REFUSED: Final = "refused-connection"
TLS: Final = "tls"
NOT_PRIVATE: Final = "not-private"
UNREACHABLE: Final = "unreachable"
TIMEOUT: Final = "timeout"
PROXY_UNREACHABLE: Final = "proxy-unreachable"
PROXY_REFUSED: Final = "proxy-refused"

# Another try may find a listener; a timeout, a bad certificate or a refusal by the proxy would come again.
_HUNG_UP: Final = frozenset({REFUSED, UNREACHABLE, PROXY_UNREACHABLE})


class NotConnected(Exception):
    """No connection came about, so nothing was sent; `why` is one of the codes above.

    `broken` and `hung_up` are the flags of the UpstreamError that it becomes.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
        self.broken = why != NOT_PRIVATE
        self.hung_up = why in _HUNG_UP


class NoRoom(Exception):
    """A pool whose connections were all in use, for as long as a call may wait for one."""


class Cut(ConnectionError):
    """A connection that ended before the answer."""


class BadAnswer(Exception):
    """An answer that is not HTTP/1.1, or has too long a head."""


class WrongLength(Exception):
    """A request body whose length differs from the declared one."""
