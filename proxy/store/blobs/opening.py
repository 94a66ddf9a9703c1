"""Opens the blob store that MICHIQ_BLOBS_URL names: a folder, or a bucket of an S3 store."""

import asyncio
import random
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import aiohttp

from proxy.addresses.s3 import SCHEME, S3Address, parse_s3_address
from proxy.outbound_proxy import OutboundProxy
from proxy.store.blobs.folder import FolderBlobs
from proxy.store.blobs.protocol import Blobs
from proxy.store.errors import StoreError, because
from proxy.store.locations import blobs_folder
from proxy.trust import BadAuthorities, trusted

if TYPE_CHECKING:
    from proxy.store.blobs.s3_bucket import S3Bucket

Pause: TypeAlias = Callable[[float], Awaitable[None]]

_SETTING: Final = "MICHIQ_BLOBS_URL"
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_CONNECTIONS: Final = 64
_CONNECT_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The parts that a bucket's address leaves open: credentials, authorities and the outbound proxy."""

    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: Path | None = None
    proxy: OutboundProxy | None = None


@asynccontextmanager
async def open_blobs(
    url: str, new_name: Callable[[], str], here: Surroundings, pause: Pause = asyncio.sleep
) -> AsyncIterator[Blobs]:
    """Opens the blob store; no call is made yet. Raises StoreError for an address that can't be used."""
    if not url.startswith(SCHEME):
        try:
            folder = await asyncio.to_thread(FolderBlobs, blobs_folder(url), new_name)
        except OSError as error:
            raise because(f"{_SETTING}: {error.strerror}: {error.filename}", error) from error
        yield folder
        return
    async with open_bucket(url, here, pause) as (bucket, prefix):
        from proxy.store.blobs.s3 import S3Blobs

        blobs = S3Blobs(bucket, prefix, new_name, Path(tempfile.gettempdir()))
        try:
            yield blobs
        finally:
            await blobs.close()


@asynccontextmanager
async def open_bucket(
    url: str, here: Surroundings, pause: Pause = asyncio.sleep
) -> "AsyncIterator[tuple[S3Bucket, str]]":
    """Opens a bucket; also gives the prefix of its blobs. Raises StoreError as `open_blobs`."""
    problem = s3_problem(url, here.environ)
    if problem is not None:
        raise StoreError(problem)
    from aiohttp_s3_client import S3Client
    from aiohttp_s3_client.credentials import StaticCredentials

    from proxy.store.blobs.s3_bucket import S3Bucket
    from proxy.store.blobs.s3_calls import S3Calls

    address = parse_s3_address(url)
    key, secret = (here.environ[name] for name in _KEYS)
    credentials = StaticCredentials(
        key, secret, here.environ.get("AWS_SESSION_TOKEN") or None, address.region_in(here.environ)
    )
    async with _session(address, here) as session:
        client = S3Client(session, address.url_in(here.environ), credentials=credentials)
        calls = S3Calls(client, here.proxy, random.SystemRandom().random, pause)
        yield S3Bucket(calls), address.prefix


def s3_problem(url: str, environ: Mapping[str, str]) -> str | None:
    """Returns why the S3 store at `url` can't be used, as far as that can be seen without a call to it."""
    if find_spec("aiohttp_s3_client") is None:
        return f"{_SETTING}: an S3 store needs one more library: pip install 'michiq-proxy[s3]'"
    missing = [name for name in _KEYS if not environ.get(name)]
    if missing:
        return f"{_SETTING}: an S3 store needs credentials: set {' and '.join(missing)} in the environment"
    try:
        parse_s3_address(url).url_in(environ)
    except ValueError as error:
        return f"{_SETTING}: {error}"
    return None


def _session(address: S3Address, here: Surroundings) -> aiohttp.ClientSession:
    secure = address.url_in(here.environ).lower().startswith("https:")
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        ssl=_trust(address, here) if secure else False,
        resolver=aiohttp.ThreadedResolver(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        auto_decompress=False,
    )


def _trust(address: S3Address, here: Surroundings) -> ssl.SSLContext:
    try:
        if address.ca_file is not None:
            return trusted(address.ca_file, f"{_SETTING}: ca_file")
        return trusted(here.ca_file)
    except BadAuthorities as error:
        raise StoreError(str(error)) from None
