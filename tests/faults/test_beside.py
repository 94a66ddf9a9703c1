"""newCase in one round trip: both calls at once, and every way in which one of them fails (N19)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from cryptography.fernet import Fernet

from proxy.store import open_store
from proxy.store.upkeep.erasure import OfCase, OfUser, Whose
from tests.conftest import Api, bearer
from tests.faults.beside import ENDS, Caller, Course, Told, courses, living, played, run
from tests.faults.facing import facing
from tests.faults.system import Exchange, System, plainly, system
from tests.flows._wire import committed, until
from tests.store.examples import NOW, event
from tests.stores import sqlite_in

KEY: Final = Fernet.generate_key().decode()
REFUSED: Final = (401, "Unauthorized", "llamalitica-401")


@asynccontextmanager
async def site(folder: Path, window: str = "15 min", **environ: str) -> AsyncIterator[tuple[Api, System]]:
    """A proxy before one system that is all of them, whose `me_beside` is `window`."""

    def windowed(text: str) -> str:
        return text.replace('me_beside = "15 min"', f'me_beside = "{window}"')

    edit: dict[str, Callable[[str], str]] = {"new_case": windowed}
    async with (
        system() as platform,
        facing(folder, platform.url, platform.url, edit, MICHIQ_SECRET_KEYS=KEY, **environ) as api,
    ):
        yield api, platform


async def test_new_case_N19_both_calls_at_once_however_they_end_and_whichever_ends_first(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (api, platform):
        wrong = [each for course in courses() for each in await run(course, Caller(api, platform, tmp_path))]
    assert wrong == []


async def test_new_case_N19_neither_call_is_sent_before_the_intent_is_durable(tmp_path: Path) -> None:
    seen: dict[str, str] = {}
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()

        async def looks(exchange: Exchange) -> None:
            seen[exchange.target] = caller.journal[-1][0]
            await plainly(exchange)

        platform.scripts = {"me": looks, "create": looks}
        assert (await caller.ask()).status == 200
    assert seen == {"me": "intent", "create": "intent"}


async def nothing(_: Caller) -> dict[str, str]:
    return {}


async def another_key(_: Caller) -> dict[str, str]:
    return {"API_KEY": "another"}


async def another_organization(_: Caller) -> dict[str, str]:
    return {"organization": "Clínica Sur"}


async def another_spelling(caller: Caller) -> dict[str, str]:
    """One owner, and perhaps two users of the platform."""
    return {"user_mail": caller.user.upper()}


def refused(target: str, end: str) -> Callable[[Caller], Awaitable[dict[str, str]]]:
    """A call that was refused, and had been made beside the other one."""

    async def happened(caller: Caller) -> dict[str, str]:
        course = Course(end if target == "me" else "", end if target == "create" else "", "me")
        await played(course, caller)
        return {}

    return happened


async def renewal_refused(caller: Caller) -> dict[str, str]:
    """Has the renewal of the access token refused that a page needs."""
    caller.platform.scripts = {"me": ENDS["401"]}
    case = caller.first.case
    url = f"{caller.api.url}/app/encounter/{case}"
    async with caller.api.http.get(url, headers=bearer(caller.first.token)) as response:
        assert response.status == 401, await response.text()
    return {}


async def erased(caller: Caller) -> dict[str, str]:
    """Erases the caller by another process, without a word to this one."""
    async with open_store(sqlite_in(caller.folder), [KEY]) as store:
        assert await store.erasure.erase(OfUser(caller.owner), "eva", NOW)
    return {}


async def breaker_open(caller: Caller) -> dict[str, str]:
    caller.platform.scripts = {"me": ENDS["500"]}
    other = Caller(caller.api, caller.platform, caller.folder)
    for _ in range(5):
        await other.ask()
    return {}


# Since users/me confirmed the caller, and for how long that counts; what differs in the next request.
STRANGERS: Final = {
    "nobody, by the mapping": (nothing, "0 s"),
    "confirmed too long ago": (nothing, "1 ms"),
    "another key": (another_key, "15 min"),
    "another organization": (another_organization, "15 min"),
    "another spelling": (another_spelling, "15 min"),
    "refused by users/me": (refused("me", "401"), "15 min"),
    "forbidden by users/me": (refused("me", "403"), "15 min"),
    "refused by POST /api/cases": (refused("create", "401"), "15 min"),
    "without credits": (refused("create", "402"), "15 min"),
    "refused at a renewal": (renewal_refused, "15 min"),
    "erased": (erased, "15 min"),
    "known while the breaker is open": (breaker_open, "15 min"),
}


@pytest.mark.parametrize("who", STRANGERS)
async def test_new_case_N19_is_made_in_order_for_whoever_is(who: str, tmp_path: Path) -> None:
    happened, window = STRANGERS[who]
    async with site(tmp_path, window) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()
        headers = await happened(caller)
        platform.scripts = {"me": ENDS["401"]}
        before = caller.sent, caller.journal
        told = await caller.ask(**headers)
        assert (caller.sent, caller.journal) == before, "sent before users/me had confirmed the caller"
    expected = (500, told.text, "llamalitica-breaker-open") if "breaker" in who else REFUSED
    assert told.sentence == expected


async def test_new_case_N19_a_caller_whom_users_me_fails_is_confirmed_still(tmp_path: Path) -> None:
    """Were they asked for in order from then on, nobody could make a case while users/me is ill."""
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed(living("a"))
        for _ in range(2):
            assert (await played(Course("500", "", "me"), caller)).status == 200


async def test_new_case_N19_the_token_given_when_users_me_fails_opens_the_case(tmp_path: Path) -> None:
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed(living("a"))
        told = await played(Course("500", "", "me"), caller)
        assert told.token == caller.first.token
        assert await status_of(api, f"/michiQ/doc/{told.case}", told) == 200


@pytest.mark.parametrize("end", ["made-for-refused", "made-without-session"])
async def test_new_case_N19_of_which_nobody_is_told_is_in_the_journal_alone_and_shown(
    end: str, tmp_path: Path
) -> None:
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()
        await played(Course("401" if end == "made-for-refused" else "500", "", "create"), caller)
        _, case_id = platform.made[caller.user]
        store = api.proxy.deps.store
        assert [(each.made, each.cause) for each in await store.pending()] == [(case_id, end)]
        assert await store.cases.get(case_id) is None
        assert await store.homes.find(caller.owner, case_id) is None
        found = {each: await status_of(api, each, caller.first, case_id) for each in ROUTES}
        assert found == ROUTES
        assert await listed(api, caller.first) == [caller.first.case]


async def status_of(api: Api, path: str, told: Told, case_id: str = "") -> int:
    method, body = ("POST", {"query": "¿Qué?"}) if "query" in path else ("GET", None)
    url = api.url + path.replace("{id}", case_id)
    async with api.http.request(method, url, json=body, headers=bearer(told.token)) as response:
        return response.status


async def listed(api: Api, told: Told) -> list[str]:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=bearer(told.token)) as response:
        return [each["MichiqUUID"] for each in await response.json()]


# What a client gets of a case that isn't there.
ROUTES: Final = {"/michiQ/doc/{id}": 404, "/michiQ/query/{id}": 400, "/app/encounter/{id}": 404}


@pytest.mark.parametrize("by", ["case", "user"])
async def test_new_case_N19_that_is_in_the_journal_alone_is_erased_with_its_reports(
    by: str, tmp_path: Path
) -> None:
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()
        await played(Course("401", "", "create"), caller)
        _, case_id = platform.made[caller.user]
        store = api.proxy.deps.store
        assert await store.reports.apply(event(case_id=case_id), NOW)
        whose: Whose = OfCase(case_id) if by == "case" else OfUser(caller.owner)
        removed = await store.erasure.erase(whose, "eva", NOW)
        assert removed["report"] == 1
        assert removed["kept answer"] == (1 if by == "case" else 2)
        assert await store.pending() == []


async def test_new_case_N19_of_a_user_who_is_erased_while_both_calls_are_under_way_brings_nothing_back(
    tmp_path: Path,
) -> None:
    async with site(tmp_path) as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()

        async def erasing(exchange: Exchange) -> None:
            await erased(caller)
            await plainly(exchange)

        platform.scripts = {"create": erasing}
        assert (await caller.ask()).status == 500
        assert caller.journal == []
        for table in ("cases", "sessions"):
            assert committed(tmp_path, f"SELECT owner FROM {table}") == [], table


async def test_new_case_N19_whose_calls_the_process_did_not_survive_is_shown_and_never_sent_again(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, MICHIQ_DRAIN_SECONDS="0") as (api, platform):
        caller = await Caller(api, platform, tmp_path).confirmed()
        slow = ENDS["timeout"]
        platform.scripts = {"me": slow, "create": slow}
        asked = asyncio.create_task(caller.ask(**{"Idempotency-Key": "1"}))
        arrived = platform.arrived
        await until(lambda: arrived["me", caller.user] == arrived["create", caller.user] == 2)
    with pytest.raises(aiohttp.ClientError):
        await asked
    assert caller.journal[-1] == ("ambiguous", "interrupted", None)
    async with site(tmp_path) as (api, platform):
        caller.api, caller.platform = api, platform
        assert (await caller.ask(**{"Idempotency-Key": "1"})).cause == "outcome-unknown"
        assert caller.sent == 0
