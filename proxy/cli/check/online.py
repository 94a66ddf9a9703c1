"""Checks what the settings name: hosts, connections, certificates, the store; sends no request."""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from proxy.addresses.s3 import SCHEME
from proxy.cli.common import Failure
from proxy.cli.shared.store_access import with_store
from proxy.settings import Settings
from proxy.store import Store, StoreError
from proxy.store.blobs.opening import open_bucket
from proxy.store.options import store_options

_SECONDS: Final = 5.0
_URLS: Final = (
    "llamalitica_api_url",
    "llamalitica_web_url",
    "llamachat_url",
    "legacy_url",
    "tee_url",
    "alert_url",
)
_SOON: Final = timedelta(days=14)
_VERSIONED: Final = (
    "MICHIQ_BLOBS_URL: the bucket is versioned: a deleted recording stays as an older version; "
    "a lifecycle rule must remove those (docs/scale.md)"
)
_LOCKED: Final = (
    "MICHIQ_BLOBS_URL: the bucket has object lock: a locked recording can't be deleted before its time"
)
_UNSEEN: Final = (
    "MICHIQ_BLOBS_URL: the bucket did not say whether it is versioned or locked; allow these credentials "
    "s3:GetBucketVersioning and s3:GetBucketObjectLockConfiguration"
)


def problems(settings: Settings) -> Iterator[tuple[bool, str]]:
    """Yields each problem: whether it is an error, and its sentence. A missing store is an error, too."""
    for name in _URLS:
        url = getattr(settings, name)
        if url is not None:
            yield from _of_url(f"MICHIQ_{name.upper()}", url, getattr(settings, "ca_file", None))
    try:
        with_store(settings, _writable)
    except Failure as error:
        yield True, str(error)
    if settings.blobs_url.startswith(SCHEME):
        yield from asyncio.run(_of_bucket(settings))


async def _writable(store: Store) -> None:
    await store.check()


async def _of_bucket(settings: Settings) -> list[tuple[bool, str]]:
    """Returns the bucket's error, or warnings if it stores what the proxy has deleted (SECURITY.md)."""
    here = store_options(settings, os.environ).here
    try:
        async with open_bucket(settings.blobs_url, here) as (bucket, _):
            found = [_VERSIONED] if await bucket.is_versioned() else []
            found += [_LOCKED] if await bucket.is_locked() else []
    except StoreError as error:
        if "AccessDenied" not in str(error):
            return [(True, str(error))]
        found = [_UNSEEN]
    return [(False, sentence) for sentence in found]


def _of_url(setting: str, url: str, authorities: object) -> Iterator[tuple[bool, str]]:
    """Connects, and does the TLS handshake; does not check what the host is or does."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connection:
            if parts.scheme == "https":
                yield from _of_certificate(setting, host, _ends(connection, host, authorities))
    except socket.gaierror:
        yield True, f"{setting}: the name {host} can't be resolved here (DNS)"
    except ssl.SSLCertVerificationError as error:
        yield True, f"{setting}: the certificate of {host} is not trusted: {error.verify_message}"
    except OSError as error:
        yield True, f"{setting}: no connection to {host}:{port}: {error.strerror or type(error).__name__}"


def _ends(connection: socket.socket, host: str, authorities: object) -> datetime | None:
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(str(authorities))
    with context.wrap_socket(connection, server_hostname=host) as secured:
        end = (secured.getpeercert() or {}).get("notAfter")
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(end), UTC) if isinstance(end, str) else None


def _of_certificate(setting: str, host: str, end: datetime | None) -> Iterator[tuple[bool, str]]:
    if end is not None and end - datetime.now(UTC) < _SOON:
        yield False, f"{setting}: the certificate of {host} expires on {end:%Y-%m-%d}"
