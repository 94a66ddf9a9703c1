"""Errors of an exchange with an upstream, before the callers turn them into cause codes."""

from typing import Final

REFUSED: Final = "refused-connection"
TLS: Final = "tls"
NOT_PRIVATE: Final = "not-private"
UNREACHABLE: Final = "unreachable"
TIMEOUT: Final = "timeout"
PROXY_UNREACHABLE: Final = "proxy-unreachable"
PROXY_REFUSED: Final = "proxy-refused"


class NotConnected(Exception):
    """A connection that could not be opened, so nothing was sent; `why` is one of the codes above."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NoRoom(Exception):
    """A pool whose connections were all in use, for as long as a call may wait for one."""


class Cut(ConnectionError):
    """A connection that ended before the answer."""


class BadAnswer(Exception):
    """An answer that is not HTTP/1.1, or has too long a head."""


class WrongLength(Exception):
    """A request body whose length differs from the declared one."""
