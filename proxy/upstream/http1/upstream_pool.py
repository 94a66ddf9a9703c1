"""Opens the pool of an upstream by its base URL."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from proxy.addresses import is_plain
from proxy.outbound_proxy import OutboundProxy
from proxy.trust import trusted
from proxy.upstream.http1.dial import Dialer
from proxy.upstream.http1.pool import Pool


@asynccontextmanager
async def open_pool(
    name: str, base_url: str, trust: ssl.SSLContext | None, proxy: OutboundProxy | None, *, spares: int
) -> AsyncIterator[Pool]:
    """Opens a pool, closed at the end of the block, for a URL that the settings have checked.

    `trust` decides which certificates are accepted; None means the system's authorities. Plain http to
    another machine goes to a private address only (CONTRACT X01).
    """
    parts = urlsplit(base_url)
    tls = (trust or trusted(None)) if parts.scheme == "https" else None
    port = parts.port or (443 if tls else 80)
    dialer = Dialer(parts.hostname or "", port, tls, is_plain(base_url), proxy)
    pool = Pool(name, dialer, spares=spares)
    try:
        yield pool
    finally:
        await pool.close()
