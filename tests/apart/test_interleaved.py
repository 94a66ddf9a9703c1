"""200 users at once over a canary: what is one user's reaches no other."""

import asyncio
import base64
from dataclasses import replace
from random import Random
from urllib.parse import quote

import aiohttp
import pytest

from proxy.sandbox.lies import OTHERS_ENCOUNTERS
from tests.apart.belongings import Belongings
from tests.apart.interleaved import apart_calls, crowd, mixed_up, setting_cookies
from tests.captured import captured_log
from tests.conftest import StartProxy
from tests.flows._client import settled
from tests.rollout.homes import move_about
from tests.rollout.moving import ROUTES, all_in, mode

SEED = 6


@pytest.mark.parametrize("count", [400])
async def test_apart_G05_G10_no_byte_cookie_or_token_of_one_user_reaches_another(
    start_proxy: StartProxy, count: int
) -> None:
    users = crowd(60, 20, Random(SEED))
    canary = dict.fromkeys(ROUTES, mode("canary", "canary_percent = 50"))
    with captured_log() as log, setting_cookies():
        async with (
            start_proxy(canary, users.config(), legacy=True) as api,
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        ):
            calls = apart_calls(replace(api, http=http), users, SEED)
            moving = asyncio.create_task(move_about(api, Random(SEED + 1)), name="move-about")
            await calls.run(count, at_once=24)
            moving.cancel()
            await asyncio.wait({moving})
            await settled(api)
            assert calls.foreign[:5] == []
            assert calls.wrong[:5] == []
            assert mixed_up(calls, api.sandbox)[:5] == []
            legacy = len(api.sandbox.michiq.encounters)
    assert 0.1 < legacy / sum(len(user.cases) for user in users.users) < 0.9, (
        "the canary did not split the cases"
    )
    assert users.belongings.seen > count, "the answers held nothing to tell users apart by"
    assert calls.cookies, "no cookie came through from the legacy server"
    logged = log.getvalue()
    assert [word for user in users.users for word in user.canaries.values() if word in logged] == []


async def test_apart_G05_a_server_that_mixes_users_up_is_found_out(start_proxy: StartProxy) -> None:
    users = crowd(6, 2, Random(SEED))
    async with start_proxy(all_in("legacy"), users.config(), legacy=True) as api:
        api.sandbox.michiq.lies.add(OTHERS_ENCOUNTERS)
        calls = apart_calls(api, users, SEED)
        await calls.run(60)
        assert any(told.startswith("/michiQ/encounters told") for told in calls.foreign)


WORD, TOKEN = "zqtext0123456789abzq", "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoidSJ9.c2lnbmF0dXJl"
PAYLOAD = base64.urlsafe_b64encode(b'{"email": "user1@clinica.example", "a": 1}').decode().rstrip("=")


@pytest.mark.parametrize(
    "told",
    [
        WORD,
        f'{{"name": "Soy {WORD}, hola."}}',
        quote(f"<{WORD}>"),
        base64.b64encode(f'{{"ui": "{WORD}"}}'.encode()).decode(),
        quote(base64.b64encode(f"ñ?>{WORD}".encode()).decode(), safe=""),
        f"Soy {WORD}, hola.".encode().hex(),
        f"Location: /a?config={base64.b64encode(TOKEN.encode()).decode()}",
        f'"token": "eyJhbGciOiJIUzI1NiJ9.{PAYLOAD}.c2lnbmF0dXJl"',
        "1d4834c3-6fa0-4aa9-9f68-37e763efb999",
    ],
    ids=[
        "raw",
        "JSON",
        "URL",
        "base64",
        "base64 in a URL",
        "hex",
        "token in base64",
        "mail in a token",
        "id",
    ],
)
def test_apart_G05_what_is_anothers_is_found_in_every_form(told: str) -> None:
    belongings = Belongings()
    belongings.give("user1@clinica.example", "user1@clinica.example", WORD, TOKEN)
    assert belongings.foreign("user1@clinica.example", told.encode()) == []
    assert belongings.foreign("user2@clinica.example", told.encode())
