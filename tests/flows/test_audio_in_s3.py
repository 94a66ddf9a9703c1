"""The routes with audio, on a proxy that stores recordings in an S3 store (CONTRACT U, S)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import pytest
from pytest_aiohttp import AiohttpServer

from proxy.store.upkeep.erasure import OfCase
from tests.conftest import Api, StartProxy
from tests.flows._client import Patient, created, digest, everything, heard, parts, patient, settled
from tests.samples import wav, webm_chunks
from tests.seaweedfs import CREDENTIALS, SeaweedFS
from tests.store.blobs.relay import Relay

LONG: Final = wav(75.0)  # of more than one part


@pytest.fixture
async def api(start_proxy: StartProxy, s3_url: str) -> AsyncIterator[Api]:
    async with start_proxy(MICHIQ_BLOBS_URL=s3_url) as started:
        yield started


async def stored(server: SeaweedFS, prefix: str) -> list[str]:
    async with server.client() as raw:
        return [*await raw.names(prefix), *await raw.uploads(prefix)]


async def test_upload_U01_what_was_acknowledged_is_in_the_bucket_alone_and_there_after_a_restart(
    start_proxy: StartProxy, s3_url: str, seaweedfs: SeaweedFS, s3_prefix: str, tmp_path: Path
) -> None:
    chunks = webm_chunks(0.5, 3)
    async with start_proxy(MICHIQ_BLOBS_URL=s3_url) as before:
        case = await patient(before)
        await case.uploaded(*chunks, filename="visita.webm")
    assert not (tmp_path / "blobs").exists()
    assert len(await stored(seaweedfs, s3_prefix)) == 3
    async with start_proxy(MICHIQ_BLOBS_URL=s3_url) as after:
        await Patient(after, case.id, case.token).transcribed()
        assert heard(after) == [digest(*chunks)]


async def test_upload_U05_a_recording_that_is_too_large_leaves_nothing_in_the_bucket(
    start_proxy: StartProxy, s3_url: str, seaweedfs: SeaweedFS, s3_prefix: str
) -> None:
    edit = {"upload_audio": lambda text: text.replace('"100 MB"', '"6 MB"')}
    async with start_proxy(edit, MICHIQ_BLOBS_URL=s3_url) as api:
        case = await patient(api)
        reply = await case.upload(Random(1).randbytes(6_000_001))
    assert (reply.status, await stored(seaweedfs, s3_prefix)) == (413, [])


async def test_speech_S01_recordings_are_sent_and_measured_from_the_bucket(api: Api) -> None:
    case, chunks = await patient(api), webm_chunks(4.0, 20)
    await case.uploaded(LONG, filename="larga.wav")
    await case.uploaded(*chunks, filename="visita.webm")
    reply = await case.transcribed()
    await settled(api)
    assert [each["time"] for each in reply["segments"]] == ["00:01:15", "00:00:04"]
    assert heard(api) == [digest(LONG), digest(*chunks)]
    assert {digest(LONG), digest(*chunks)} <= {each["sha256"] for each in parts(created(api)[-1])}


async def test_erased_audio_is_gone_from_the_bucket(api: Api, seaweedfs: SeaweedFS, s3_prefix: str) -> None:
    case = await patient(api)
    await case.uploaded(LONG)
    await api.proxy.deps.store.erasure.erase(OfCase(case.id), "eva", api.clock())
    assert await stored(seaweedfs, s3_prefix) == []


async def test_retention_U06_audio_orphans_and_unfinished_uploads_go_from_the_bucket(
    api: Api, seaweedfs: SeaweedFS, s3_prefix: str
) -> None:
    case, store = await patient(api), api.proxy.deps.store
    await case.uploaded(wav(0.1))
    async with store.blobs.writer() as writer:
        await writer.commit()
    async with seaweedfs.client() as raw:
        await raw.call("POST", f"{s3_prefix}/aa/{'a' * 32}", params={"uploads": ""})
    await store.retention.sweep(api.clock(), content_days=90, audio_days=30)
    assert len(await stored(seaweedfs, s3_prefix)) == 3
    await store.retention.sweep(api.clock() + timedelta(hours=25), content_days=90, audio_days=30)
    assert len(await stored(seaweedfs, s3_prefix)) == 1
    await store.retention.sweep(api.clock() + timedelta(days=31), content_days=90, audio_days=30)
    assert await stored(seaweedfs, s3_prefix) == []


async def test_a_bucket_that_takes_nothing_makes_the_proxy_unready_and_no_upload_is_acknowledged(
    start_proxy: StartProxy, s3_url: str, seaweedfs: SeaweedFS, aiohttp_server: AiohttpServer
) -> None:
    relay = Relay(seaweedfs.endpoint)
    relay.faults["put"] = [(507, "InsufficientStorage")] * 100
    url = seaweedfs.url("x", endpoint=f"http://127.0.0.1:{(await aiohttp_server(relay.app)).port}")
    async with start_proxy(MICHIQ_BLOBS_URL=url) as api:
        case = await patient(api)
        reply = await case.upload(wav(0.1))
        assert (reply.status, reply.headers["X-Michiq-Cause"]) == (500, "store-full")
        async with aiohttp.ClientSession() as http, http.get(f"{api.proxy.admin_url}/readyz") as response:
            assert (response.status, "store-full" in await response.text()) == (503, True)


async def test_upload_U06_nothing_of_the_audio_or_the_credentials_is_in_the_clear(
    api: Api, seaweedfs: SeaweedFS, s3_prefix: str, tmp_path: Path
) -> None:
    case, words = await patient(api), b"the audio of Ana" * 10_000
    await case.uploaded(words)
    async with seaweedfs.client() as raw:
        (name,) = await raw.names(s3_prefix)
        assert b"audio of Ana" not in await raw.call("GET", name)
    found = everything(tmp_path)
    assert (b"audio of Ana" in found, CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() in found) == (
        False,
        False,
    )
