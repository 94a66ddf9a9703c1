"""Reports failed TLS handshakes: the version that the client offered, and the reason."""

import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import structlog

Failed: TypeAlias = Callable[[str, str], None]

# Labels: a metric or a log line contains no other words.
_VERSIONS: Final = {0x0300: "ssl3", 0x0301: "tls1.0", 0x0302: "tls1.1", 0x0303: "tls1.2", 0x0304: "tls1.3"}
_TOO_OLD: Final = frozenset({"ssl3", "tls1.0", "tls1.1"})
_SUPPORTED_VERSIONS: Final = 43  # RFC 8446, section 4.2.1
_MOST_HELLO: Final = 4096
_QUIET_SECONDS: Final = 60.0
_HINT: Final = "the lowest version here is TLS 1.2; docs/clients.md shows a front for older programs"

_log: Final = structlog.get_logger("proxy.tls")


class Handshakes:
    """A counter of failed handshakes; it logs each kind at once, and then at most once a minute."""

    def __init__(self, count: Failed, monotonic: Callable[[], float]) -> None:
        self._count = count
        self._monotonic = monotonic
        self._logged: dict[tuple[str, str], float] = {}
        self._since: Counter[tuple[str, str]] = Counter()

    def failed(self, version: str, reason: str) -> None:
        self._count(version, reason)
        kind, now = (version, reason), self._monotonic()
        self._since[kind] += 1
        if now - self._logged.get(kind, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._logged[kind] = now
            hint = {"hint": _HINT} if version in _TOO_OLD else {}
            _log.warning(
                "tls_handshake_failed", version=version, reason=reason, times=self._since.pop(kind), **hint
            )


class WatchedContext(ssl.SSLContext):
    """A server's TLS context that calls `failed` for each failed handshake."""

    failed: Failed

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **options: Any) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, *args, **options)
        if isinstance(wrapped, _WatchedObject):
            wrapped.watch(incoming, self.failed)
        return wrapped


class _WatchedObject(ssl.SSLObject):
    def watch(self, incoming: ssl.MemoryBIO, failed: Failed) -> None:
        self._incoming, self._failed, self._hello = incoming, failed, b""

    def do_handshake(self) -> None:
        self._copy_hello()
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            version = offered_version(self._hello)
            self._failed(version, reason_of(error.reason or "", version))
            raise

    def _copy_hello(self) -> None:
        if len(self._hello) < _MOST_HELLO and self._incoming.pending:
            came = self._incoming.read()
            self._incoming.write(came)
            self._hello += came


def watched_context(failed: Failed) -> WatchedContext:
    context = WatchedContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _WatchedObject
    context.failed = failed
    return context


def reason_of(error: str, version: str) -> str:
    """Returns the label of an OpenSSL error."""
    if version == "none":
        return "not-tls"
    if "ALERT" in error:
        return "certificate" if "CERTIFICATE" in error or "UNKNOWN_CA" in error else "alert"
    if "PROTOCOL" in error or "VERSION" in error:
        return "version"
    return "cipher" if "CIPHER" in error else "other"


def offered_version(data: bytes) -> str:
    """Returns the label of the newest version that a ClientHello offers; "none" for any other data."""
    if len(data) >= 5 and data[0] & 0x80 and data[2] == 1:  # SSL 2's format, also of newer versions
        return _VERSIONS.get(int.from_bytes(data[3:5]), "other")
    if len(data) < 11 or data[0] != 0x16 or data[5] != 1:
        return "none"
    newest = max([int.from_bytes(data[9:11]), *_supported(data)])
    return _VERSIONS.get(newest, "other")


def _supported(data: bytes) -> list[int]:
    """Returns the versions of the supported_versions extension, without unknown ones (GREASE, RFC 8701)."""
    at = 43  # record and handshake headers, version, random
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        at += size + int.from_bytes(data[at : at + size])
    at += 2
    while at + 4 <= len(data):
        kind, length = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
        at += 4
        if kind == _SUPPORTED_VERSIONS:
            listed = data[at + 1 : at + length]
            found = [int.from_bytes(listed[i : i + 2]) for i in range(0, len(listed) - 1, 2)]
            return [version for version in found if version in _VERSIONS]
        at += length
    return []
