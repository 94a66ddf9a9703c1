"""Notices a front that drops API_KEY and user_mail, as nginx does without `underscores_in_headers on`."""

from collections.abc import Iterable
from typing import Final

import structlog

_DROPPED: Final = frozenset({b"api-key", b"user-mail"})
_KEPT: Final = b"organization"
_HINT: Final = "a front drops headers with an underscore; in nginx, `underscores_in_headers on;` keeps them"

_log: Final = structlog.get_logger("proxy.identity")


class IdentityWatch:
    """Looks at each request until it knows: the hint is given once, and never after such a header came."""

    def __init__(self) -> None:
        self._knows = False

    def look(self, raw_headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self._knows:
            return
        names = {name.lower().replace(b"_", b"-") for name, _ in raw_headers}
        self._knows = bool(names & _DROPPED) or _KEPT in names
        if self._knows and not names & _DROPPED:
            _log.warning("identity_headers_dropped", hint=_HINT)
