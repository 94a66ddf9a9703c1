"""A legacy server with compressed answers: they are learned, compared and merged like others."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.sandbox import Fault
from tests.captured import captured_log
from tests.conftest import IDENTITY, Api, StartProxy, bearer, case_form
from tests.faults.facing import facing
from tests.faults.kinds import says
from tests.faults.system import System, framed, system
from tests.rollout.moving import mode, new_case, override
from tests.rollout.shadow.test_shadow import compared

GZIP: Final = Fault(kind="gzip", times=99)
TOKEN: Final = "legacy/token"
CASE: Final = {"michiq_uuid": "legacy-1", "token": TOKEN, "message": "", "voice": 1, "ehr": 1, "documents": 1}
PLAIN: Final = json.dumps(CASE).encode()


@pytest.fixture
async def api(start_proxy: StartProxy) -> AsyncIterator[Api]:
    async with start_proxy({"new_case": mode("legacy")}, legacy=True) as started:
        started.sandbox.michiq.faults.add(GZIP)
        yield started


async def test_passthrough_G07_a_compressed_answer_comes_as_it_is_and_its_case_is_known(api: Api) -> None:
    made = await api.new_case(None, **{"Accept-Encoding": "gzip"})
    await override(api, "new_case", "new")
    assert (await api.new_case(None, **bearer(made["token"])))["token"] == made["token"]
    async with api.http.get(
        f"{api.url}/michiQ/doc/{made['michiq_uuid']}", headers=bearer(made["token"])
    ) as answer:
        assert (await answer.json())["document"]["michiq_uuid"] == made["michiq_uuid"]
        assert answer.headers["Content-Encoding"] == "gzip", "the legacy server's own case"


async def test_passthrough_N07_in_a_compressed_answer_the_client_gets_its_own_token_back(api: Api) -> None:
    await override(api, "new_case", "new")
    mine = await api.new_case()
    await override(api, "new_case", "legacy")
    status, headers, text = await new_case(api, **bearer(mine["token"]))
    assert (status, json.loads(text)["token"]) == (200, mine["token"])
    assert "Content-Encoding" not in headers
    assert int(headers["Content-Length"]) == len(text.encode())


async def test_shadow_a_compressed_answer_is_compared_by_its_fields(start_proxy: StartProxy) -> None:
    async with start_proxy({"new_case": mode("shadow")}, legacy=True) as api:
        api.sandbox.michiq.faults.add(GZIP)
        await api.new_case()
        assert await compared(api, "new_case") == {"match": 1}


async def test_encounters_L03_a_list_that_is_compressed_though_nobody_asked_is_merged(api: Api) -> None:
    old = await api.new_case()
    await override(api, "new_case", "new")
    new = await api.new_case()
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(new["token"])) as answer:
        listed = await answer.json()
    assert [each["MichiqUUID"] for each in listed] == [new["michiq_uuid"], old["michiq_uuid"]]


# What the legacy server says of a case that it made: a body under a coding, or none.
TAUGHT: Final[dict[str, tuple[bytes, str | None]]] = {
    "plain": (PLAIN, None),
    "gzip": (gzip.compress(PLAIN), "gzip"),
    "x-gzip": (gzip.compress(PLAIN), "X-GZIP"),
    "deflate": (zlib.compress(PLAIN), "deflate"),
    "deflate, bare": (zlib.compress(PLAIN, wbits=-15), "deflate"),
    "a text said to be gzip": (PLAIN, "gzip"),
    "a charset for a coding": (PLAIN, "utf-8"),
    "half an emoji": (PLAIN.replace(b'"message": "', b'"message": "\\ud83d'), None),
    "escaped slashes": (PLAIN.replace(b"/", b"\\/"), None),
    "escaped slashes in gzip": (gzip.compress(PLAIN.replace(b"/", b"\\/")), "gzip"),
}
# And what teaches nothing, with the cause that is logged.
UNTAUGHT: Final[dict[str, tuple[bytes, str | None, str]]] = {
    "half of a gzip": (gzip.compress(PLAIN)[:-1], "gzip", "coding"),
    "a coding that nobody knows": (gzip.compress(PLAIN), "compress", "coding"),
    "a bomb": (gzip.compress(PLAIN + b" " * 50_000_000), "gzip", "too-long"),
    "a long answer": (PLAIN + b" " * 70_000, None, "too-long"),
    "a long packed answer": (gzip.compress(PLAIN, 0) + gzip.compress(bytes(70_000), 0), "gzip", "too-long"),
    "no JSON": (b"<html>", None, "body-syntax"),
    "gzip that is not announced": (gzip.compress(PLAIN), None, "body-not-utf8"),
    "a key twice": (PLAIN.replace(b"{", b'{"token": "a", '), None, "body-duplicate-key"),
    "a list": (b"[]", None, "body-not-an-object"),
    "no id": (b'{"token": "a"}', None, "no-case"),
    "an id that is none": (PLAIN.replace(b"legacy-1", b"../1"), None, "no-case"),
    "no token": (b'{"michiq_uuid": "legacy-1", "token": null}', None, "no-case"),
}


@pytest.mark.parametrize("what", TAUGHT)
async def test_passthrough_G07_a_case_is_known_however_its_answer_is_written(
    tmp_path: Path, what: str
) -> None:
    body, coding = TAUGHT[what]
    with captured_log() as log:
        async with system() as legacy, in_front_of(tmp_path, legacy) as api:
            legacy.spoilt = ("legacy", says(framed(body, *coded(coding))))
            assert await made(api, legacy) == (200, body)
            session = await api.proxy.deps.store.sessions.get(TOKEN)
            assert session is not None
            assert session.identity.user == IDENTITY["user_mail"]
            mine = "another-token"
            await api.proxy.deps.store.sessions.put(mine, session)
            _, again = await made(api, legacy, **bearer(mine))
            assert {**json.loads(again), "message": ""} == {**CASE, "token": mine}
    assert unlearned(log) == []


@pytest.mark.parametrize("what", UNTAUGHT)
async def test_passthrough_G07_a_case_that_was_not_learned_is_logged_once(tmp_path: Path, what: str) -> None:
    body, coding, cause = UNTAUGHT[what]
    with captured_log() as log:
        async with system() as legacy, in_front_of(tmp_path, legacy) as api:
            legacy.spoilt = ("legacy", says(framed(body, *coded(coding))))
            assert await made(api, legacy) == (200, body)
            legacy.spoilt = ("legacy", says(framed(body, *coded(coding), status="500 No")))
            assert (await made(api, legacy))[0] == 500
    assert unlearned(log) == [cause]
    assert TOKEN not in log.getvalue()


def in_front_of(folder: Path, legacy: System) -> Any:
    """Runs a proxy whose newCase goes to this server."""
    nowhere = "http://127.0.0.1:9"
    return facing(folder, nowhere, nowhere, {"new_case": mode("legacy")}, MICHIQ_LEGACY_URL=legacy.url)


async def made(api: Api, legacy: System, **headers: str) -> tuple[int, bytes]:
    """Returns the raw bytes of the answer to a newCase."""
    url = f"{api.url}/michiQ/newCase"
    async with api.http.post(
        url, data=case_form(), headers={**IDENTITY, **headers}, auto_decompress=False
    ) as answer:
        return answer.status, await answer.read()


def coded(coding: str | None) -> list[str]:
    return [f"Content-Encoding: {coding}"] if coding else []


def unlearned(log: StringIO) -> list[str]:
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    return [event["cause"] for event in events if event["event"] == "legacy_case_not_learned"]
