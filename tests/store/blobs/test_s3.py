"""Tests what only blobs in an S3 store have: parts, lost answers, credentials, and a server that dies."""

import asyncio
import logging
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from structlog.testing import capture_logs

from proxy.outbound_proxy import parse_no_proxy, parse_outbound_proxy
from proxy.store import BlobError, StoreError
from proxy.store.blobs.opening import Surroundings, open_blobs
from proxy.store.blobs.protocol import Blobs
from tests.certificates import Made, make
from tests.seaweedfs import CREDENTIALS, SeaweedFS, own_seaweedfs
from tests.upstream.http1.tinyproxy import NEEDED, PASSWORD, tinyproxy

from .conftest import Names, S3Shelf, at_once, get, put, s3_shelf
from .relay import Relay

PART = 80 * 64 * 1024
LARGE = Random(3).randbytes(2 * PART + 70_000)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)
SLOW_DOWN = (503, "SlowDown")


@pytest.fixture
async def relay(seaweedfs: SeaweedFS) -> Relay:
    return Relay(seaweedfs.endpoint)


@pytest.fixture
async def shelf(
    relay: Relay, seaweedfs: SeaweedFS, s3_prefix: str, aiohttp_server: AiohttpServer
) -> AsyncIterator[S3Shelf]:
    """Opens blobs in the S3 store behind the relay."""
    server = await aiohttp_server(relay.app)
    async with s3_shelf(seaweedfs, s3_prefix, f"http://127.0.0.1:{server.port}") as shelf:
        yield shelf


async def test_a_small_blob_is_one_request(shelf: S3Shelf, relay: Relay) -> None:
    await put(shelf.blobs, LARGE[:PART])
    assert relay.seen == ["put"]


async def test_a_large_blob_comes_in_parts_and_comes_back_as_it_was_written(
    shelf: S3Shelf, relay: Relay
) -> None:
    name, key = await put(shelf.blobs, LARGE, piece=200_000)
    assert relay.seen == ["begin", "part", "part", "part", "complete"]
    assert await get(shelf.blobs, name, key) == LARGE


async def test_blobs_beyond_the_memory_of_all_writers_come_back_as_they_were_written(shelf: S3Shelf) -> None:
    contents = [LARGE, LARGE[::-1], LARGE[1:], LARGE[2:]]
    found = await asyncio.gather(*(put(shelf.blobs, each) for each in contents))
    assert [await get(shelf.blobs, *each) for each in found] == contents


@pytest.mark.parametrize("fault", [SLOW_DOWN, (500, "InternalError"), (400, "RequestTimeout"), "cut", "lost"])
@pytest.mark.parametrize("kind", ["put", "begin", "part", "complete"])
async def test_a_write_is_tried_again_with_a_fresh_body(
    shelf: S3Shelf, relay: Relay, kind: str, fault: Any
) -> None:
    relay.faults[kind] += [fault, fault]
    content = LARGE[:1000] if kind == "put" else LARGE
    name, key = await put(shelf.blobs, content)
    assert await get(shelf.blobs, name, key) == content


@pytest.mark.parametrize("fault", [SLOW_DOWN, "cut", "torn"])
async def test_a_read_goes_on_where_it_stopped(shelf: S3Shelf, relay: Relay, fault: Any) -> None:
    name, key = await put(shelf.blobs, LARGE[:300_000])
    relay.faults["get"] += [fault, fault]
    assert await get(shelf.blobs, name, key) == LARGE[:300_000]


@pytest.mark.parametrize("kind", ["delete", "list"])
async def test_other_calls_are_tried_again(shelf: S3Shelf, relay: Relay, kind: str) -> None:
    name, _ = await put(shelf.blobs, b"x")
    relay.faults[kind] += [SLOW_DOWN, "lost"]
    assert await shelf.blobs.stale(FUTURE) == [name]
    await shelf.blobs.delete(name)
    assert await shelf.names() == []


@pytest.mark.parametrize("kind", ["put", "begin", "part", "complete"])
async def test_a_write_that_always_fails_leaves_nothing(shelf: S3Shelf, relay: Relay, kind: str) -> None:
    relay.faults[kind] += [SLOW_DOWN] * 9
    with pytest.raises(BlobError, match="it answered 503 SlowDown") as caught:
        await put(shelf.blobs, LARGE[:1000] if kind == "put" else LARGE)
    assert caught.value.cause == "store-failed"
    assert await shelf.names() == []


@pytest.mark.parametrize("kind", ["put", "complete"])
async def test_a_commit_whose_answers_are_all_lost_leaves_nothing(
    shelf: S3Shelf, relay: Relay, kind: str
) -> None:
    relay.faults[kind] += ["lost"] * 20
    relay.faults["head"] += [(403, "AccessDenied")]
    with pytest.raises(BlobError):
        await put(shelf.blobs, LARGE[:1000] if kind == "put" else LARGE)
    assert await shelf.names() == []


@pytest.mark.parametrize("answer", [(507, ""), (403, "QuotaExceeded"), (400, "XMinioStorageFull")])
async def test_a_full_store_is_named(shelf: S3Shelf, relay: Relay, answer: tuple[int, str]) -> None:
    relay.faults["put"] += [answer]
    with pytest.raises(BlobError, match="it is full") as caught:
        await put(shelf.blobs, b"x")
    assert caught.value.cause == "store-full"


async def test_a_temporary_folder_that_is_gone_is_named_and_small_blobs_need_none(
    shelf: S3Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    async with s3_shelf_of(shelf) as blobs, blobs.writer() as one, blobs.writer() as other:
        name, _ = await put(blobs, LARGE[:300_000])
        await one.write(LARGE[:PART])
        with pytest.raises(BlobError, match="TMPDIR: the temporary folder can't be written to"):
            await other.write(LARGE[:PART])
        with pytest.raises(BlobError, match="TMPDIR: the temporary folder can't be written to"):
            async with blobs.local([name]):
                pass
    assert await shelf.names() == [name]


@pytest.mark.parametrize("kind", ["put", "begin", "part", "complete"])
async def test_a_cancelled_write_leaves_nothing(shelf: S3Shelf, relay: Relay, kind: str) -> None:
    relay.faults[kind] += ["held"]
    task = asyncio.create_task(put(shelf.blobs, LARGE[:1000] if kind == "put" else LARGE))
    await relay.held.wait()
    task.cancel()
    relay.release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await shelf.names() == []


async def test_parts_that_could_not_be_removed_go_with_the_sweep(shelf: S3Shelf, relay: Relay) -> None:
    relay.faults["abort"] += [SLOW_DOWN] * 4
    with capture_logs() as logs:
        async with shelf.blobs.writer() as writer:
            await writer.write(LARGE)
    assert [line["event"] for line in logs] == ["upload_left"]
    assert len(await shelf.names()) == 1
    await shelf.blobs.abort_uploads(datetime(1999, 1, 1, tzinfo=UTC))
    assert len(await shelf.names()) == 1
    await shelf.blobs.abort_uploads(FUTURE)
    assert await shelf.names() == []


async def test_objects_and_uploads_of_others_are_left_alone(shelf: S3Shelf) -> None:
    others = [f"{shelf.prefix}/README", f"{shelf.prefix}/bb/{'a' * 32}", f"{shelf.prefix}x/aa/{'a' * 32}"]
    for each in others:
        await shelf.raw.call("PUT", each, b"x")
    await shelf.raw.call("POST", f"{shelf.prefix}/ours-not", params={"uploads": ""})
    await shelf.blobs.abort_uploads(FUTURE)
    assert await shelf.blobs.stale(FUTURE) == []
    assert await shelf.raw.uploads(shelf.prefix) == [f"{shelf.prefix}/ours-not"]


PAGES: Mapping[str, tuple[str, str]] = {
    "": ("a" * 32, "<NextContinuationToken>more</NextContinuationToken>"),
    "more": ("b" * 32, ""),
}


async def test_all_pages_of_a_list_are_read(aiohttp_server: AiohttpServer) -> None:
    async def page(request: web.Request) -> web.Response:
        name, more = PAGES[request.query.get("continuation-token", "")]
        key = f"<Key>{name[:2]}/{name}</Key>"
        listed = f"<Contents>{key}<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
        return web.Response(text=f"<R xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{listed}{more}</R>")

    app = web.Application()
    app.router.add_get("/audio/", page)
    async with opened(f"s3://audio?endpoint=http://127.0.0.1:{(await aiohttp_server(app)).port}") as blobs:
        assert await blobs.stale(FUTURE) == ["a" * 32, "b" * 32]


async def test_all_pages_of_unfinished_uploads_are_read(aiohttp_server: AiohttpServer) -> None:
    aborted = []

    async def page(request: web.Request) -> web.Response:
        mark = request.query.get("key-marker")
        key = ("b" if mark else "a") * 32
        assert request.query.get("upload-id-marker") == ("u1" if mark else None)
        more = "" if mark else "<NextKeyMarker>k1</NextKeyMarker><NextUploadIdMarker>u1</NextUploadIdMarker>"
        listed = f"<Key>{key[:2]}/{key}</Key><UploadId>id-{key[0]}</UploadId>"
        time = "<Initiated>2026-01-01T00:00:00Z</Initiated>"
        return web.Response(text=f"<R><Upload>{listed}{time}</Upload>{more}</R>")

    async def abort(request: web.Request) -> web.Response:
        aborted.append(request.query["uploadId"])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_get("/audio/", page)
    app.router.add_delete("/audio/{path:.*}", abort)
    async with opened(f"s3://audio?endpoint=http://127.0.0.1:{(await aiohttp_server(app)).port}") as blobs:
        await blobs.abort_uploads(FUTURE)
    assert aborted == ["id-a", "id-b"]


def s3_shelf_of(shelf: S3Shelf) -> Any:
    """Opens the same prefix again, as another process does."""
    return opened(f"s3://audio/{shelf.prefix}?endpoint={shelf.raw.client.url.origin()}")


def opened(url: str, here: Surroundings = Surroundings(CREDENTIALS)) -> Any:  # noqa: B008 - frozen
    return open_blobs(url, Names(), here, at_once)


WRONG = CREDENTIALS | {"AWS_SECRET_ACCESS_KEY": "another-secret-canary"}
UNKNOWN = CREDENTIALS | {"AWS_ACCESS_KEY_ID": "nobody"}
REFUSED = "it refuses the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(
    ("bucket", "environ", "said"),
    [
        ("audio", WRONG, REFUSED),
        ("audio", UNKNOWN, REFUSED),
        ("missing", CREDENTIALS, "there is no such bucket"),
    ],
)
async def test_a_store_that_refuses_is_explained_without_a_secret(
    seaweedfs: SeaweedFS, caplog: pytest.LogCaptureFixture, bucket: str, environ: Mapping[str, str], said: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with opened(seaweedfs.url("x", bucket), Surroundings(environ)) as blobs:
            texts = [await failure(call) for call in calls(blobs)]
    assert [text for text in texts if said not in text] == []
    assert "canary" not in f"{texts}{logs}{caplog.text}"


def calls(blobs: Blobs) -> list[Callable[[], Any]]:
    name = "a" * 32
    return [
        blobs.check,
        lambda: put(blobs, b"x"),
        lambda: put(blobs, LARGE),
        lambda: get(blobs, name, b"k" * 32),
        lambda: blobs.delete(name),
        lambda: blobs.stale(FUTURE),
        lambda: blobs.abort_uploads(FUTURE),
    ]


async def failure(call: Callable[[], Any]) -> str:
    """Returns all that an error says, its causes included."""
    with pytest.raises(BlobError) as caught:
        await call()
    found: list[BaseException | None] = [caught.value]
    while found[-1] is not None:
        found.append(found[-1].__cause__ or found[-1].__context__)
    return "".join(f"{each!r}" for each in found)


async def test_nobody_at_the_endpoint_is_explained() -> None:
    async with opened("s3://audio?endpoint=http://127.0.0.1:1") as blobs:
        text = await failure(blobs.check)
    assert "MICHIQ_BLOBS_URL: the S3 store failed: the connection failed" in text


async def test_an_endpoint_that_is_no_S3_store_is_explained(aiohttp_server: AiohttpServer) -> None:
    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="<p>Welcome<br>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", page)
    async with opened(f"s3://audio?endpoint=http://127.0.0.1:{(await aiohttp_server(app)).port}") as blobs:
        assert "is the endpoint an S3 store's?" in await failure(lambda: blobs.stale(FUTURE))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ACCESS_KEY_ID": "x"}, "set AWS_SECRET_ACCESS_KEY"),
        (CREDENTIALS | {"AWS_ENDPOINT_URL": "http://s3.example"}, "the endpoint needs https"),
        (CREDENTIALS | {"AWS_REGION": "eu west"}, "AWS_REGION needs a region"),
    ],
)
async def test_a_store_that_can_not_be_opened_is_explained(environ: dict[str, str], said: str) -> None:
    with pytest.raises(StoreError, match=said):
        async with opened("s3://audio", Surroundings(environ)):
            pass


async def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp_s3_client", None)
    with pytest.raises(StoreError, match=r"pip install 'michiq-proxy\[s3\]'"):
        async with opened("s3://audio"):
            pass


def serving_with(made: Made) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)
    return context


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return make(tmp_path, "s3")


async def test_a_store_behind_tls_is_trusted_by_either_file_of_authorities_alone(
    relay: Relay, aiohttp_server: AiohttpServer, made: Made
) -> None:
    server = await aiohttp_server(relay.app, ssl=serving_with(made))
    url = f"s3://audio?endpoint=https://127.0.0.1:{server.port}"
    async with opened(url) as blobs:
        assert "its certificate is not trusted" in await failure(blobs.check)
    async with opened(f"{url}&ca_file={made.certificate}") as blobs:
        await blobs.check()
    async with opened(url, Surroundings(CREDENTIALS, made.certificate)) as blobs:
        await blobs.check()
    with pytest.raises(StoreError, match="MICHIQ_BLOBS_URL: ca_file can't be read"):
        async with opened(f"{url}&ca_file=nowhere.pem"):
            pass


@NEEDED
async def test_outbound_proxy_leads_to_a_store_behind_tls(
    relay: Relay, aiohttp_server: AiohttpServer, made: Made, tmp_path: Path
) -> None:
    server = await aiohttp_server(relay.app, ssl=serving_with(made))
    url = f"s3://audio?endpoint=https://127.0.0.1:{server.port}&ca_file={made.certificate}"
    async with tinyproxy(tmp_path) as hospital:
        proxy = parse_outbound_proxy(hospital.url)
        async with opened(url, Surroundings(CREDENTIALS, proxy=proxy)) as blobs:
            name, key = await put(blobs, LARGE)
            assert await get(blobs, name, key) == LARGE
            await blobs.delete(name)
        assert hospital.tunnels == 1
        direct = replace(proxy, unless=parse_no_proxy("127.0.0.0/8"))
        async with opened(url, Surroundings(CREDENTIALS, proxy=direct)) as blobs:
            await blobs.check()
        assert hospital.tunnels == 1
        wrong = parse_outbound_proxy(hospital.url.replace(PASSWORD, "canary"))
        async with opened(url, Surroundings(CREDENTIALS, proxy=wrong)) as blobs:
            text = await failure(blobs.check)
        assert ("the connection failed" in text, "canary" in text) == (True, False)


async def put_while_it_dies(blobs: Blobs, server: SeaweedFS) -> None:
    async with blobs.writer() as writer:
        await writer.write(LARGE)
        server.kill()
        await writer.write(LARGE)
        await writer.commit()


async def test_a_server_that_is_killed_loses_no_committed_blob_and_no_upload_stays(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = await asyncio.to_thread(stack.enter_context, own_seaweedfs(tmp_path / "data"))
        shelf = await stack.enter_async_context(s3_shelf(server, "x"))
        done = [await put(shelf.blobs, LARGE[:200_000]), await put(shelf.blobs, LARGE)]
        with pytest.raises(BlobError), capture_logs():
            await put_while_it_dies(shelf.blobs, server)
        await asyncio.to_thread(stack.enter_context, own_seaweedfs(tmp_path / "data", server.ports))
        # The server answers before its parts have found each other: these tries wait for that.
        shelf = await stack.enter_async_context(s3_shelf(server, "x", pause=asyncio.sleep))
        assert [await get(shelf.blobs, *each) for each in done] == [LARGE[:200_000], LARGE]
        await shelf.blobs.abort_uploads(FUTURE)
        assert sorted(await shelf.names()) == sorted(name for name, _ in done)
