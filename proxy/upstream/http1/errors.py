"""How an exchange with an upstream can fail, before either kind of call gives it a code."""

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
    """All connections were in use for as long as a call may wait for one."""


class Cut(ConnectionError):
    """The connection ended before the answer did."""


class BadAnswer(Exception):
    """What came is no HTTP/1.1 answer, or has too long a head."""


class WrongLength(Exception):
    """A request's body has another length than was announced."""
