"""Detects a front that drops API_KEY and user_mail, as nginx does without `underscores_in_headers on`."""

from typing import Final

import structlog

from proxy.web.exchange import Exchange

_DROPPED: Final = frozenset({b"api_key", b"api-key", b"user_mail", b"user-mail"})
_KEPT: Final = b"organization"
_HINT: Final = "a front drops headers with an underscore; nginx needs `underscores_in_headers on;`"

_log: Final = structlog.get_logger("proxy.identity")


class IdentityWatch:
    """A check of each request until the answer is clear; it logs the hint once, or never."""

    def __init__(self) -> None:
        self._knows = False

    def look(self, exchange: Exchange) -> None:
        if self._knows:
            return
        came = not _DROPPED.isdisjoint(exchange.headers.names)
        self._knows = came or _KEPT in exchange.headers.names
        if self._knows and not came:
            _log.warning("identity_headers_dropped", hint=_HINT)
