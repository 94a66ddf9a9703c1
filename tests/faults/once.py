"""POST /api/cases broken off at every point, and the judgement: one case at the most, and nothing lost."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from tests.conftest import IDENTITY, Api, bearer, case_form
from tests.faults.kinds import FOREVER, a_late_second_answer, half_an_answer, slowly
from tests.faults.system import Exchange, Script, System, framed, head
from tests.store.examples import cases_of

_NUMBERS: Final = count(1)
_FAILED: Final = "Error al guardar el documento"
# Fewer than open a breaker.
_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A point at which it breaks off; None is a refused connection. `causes` are those that the client may
    be told, `states` what the journal may hold then."""

    script: Script | None
    causes: tuple[str, ...]
    states: tuple[str, ...] = ("ambiguous",)


async def _within_the_body(exchange: Exchange) -> None:
    await exchange.part(exchange.length // 2)
    exchange.reset()


async def _before_the_body(exchange: Exchange) -> None:
    exchange.reset()


async def _after_the_body(exchange: Exchange) -> None:
    await exchange.body()
    if exchange.system.number() % 2:  # made or not: from here it looks the same
        exchange.good()
    exchange.reset()


async def _after_the_headers(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.say(head(f"Content-Length: {len(exchange.good())}"))
    exchange.reset()


async def _timeout(exchange: Exchange) -> None:
    await exchange.body()
    exchange.good()
    await asyncio.sleep(FOREVER)


async def _truncated(exchange: Exchange) -> None:
    await exchange.body()
    await exchange.say(framed(exchange.good()[:-20]))


async def _early_413(exchange: Exchange) -> None:
    await exchange.say(framed(b"", status="413 Too Large"))
    await exchange.reader.read()


async def _abrupt_413(exchange: Exchange) -> None:
    await exchange.say(framed(b"", status="413 Too Large"))
    raise ConnectionAbortedError


async def _garbage(exchange: Exchange) -> None:
    await exchange.body()
    exchange.good()
    await exchange.say(framed(b"<html>Bad gateway</html>", kind="text/html"))


def _error(line: str) -> Script:
    """The case is made, and the answer says that something went wrong."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        exchange.good()
        await exchange.say(framed(b'{"error": "no"}', status=line))

    return script


POINTS: Final = {
    "refused": Point(None, ("llamalitica-unreachable",), ("failed",)),
    "reset before the body": Point(_before_the_body, ("llamalitica-cut",)),
    "reset within the body": Point(_within_the_body, ("llamalitica-cut",)),
    "reset after the body": Point(_after_the_body, ("llamalitica-cut",)),
    "reset after the headers": Point(_after_the_headers, ("llamalitica-cut",)),
    "cut in the answer": Point(half_an_answer, ("llamalitica-cut",)),
    "timeout": Point(_timeout, ("llamalitica-timeout",)),
    "500": Point(_error("500 No"), ("llamalitica-500",)),
    "502": Point(_error("502 No"), ("llamalitica-502",)),
    "503": Point(_error("503 No"), ("llamalitica-503",)),
    "truncated": Point(_truncated, ("llamalitica-garbage",)),
    "early 413": Point(_early_413, ("llamalitica-413",), ("failed",)),
    "early 413 and gone": Point(_abrupt_413, ("llamalitica-413", "llamalitica-cut"), ("failed", "ambiguous")),
    "garbage": Point(_garbage, ("llamalitica-garbage",)),
    "slow": Point(slowly, ("",), ("recorded",)),
    "late second answer": Point(a_late_second_answer, ("",), ("recorded",)),
}


@dataclass(slots=True)
class Try:
    """One client's newCase: how it was broken, what the client was told, and what is wrong with that."""

    point: str
    user: str
    status: int = 0
    text: str = field(default="", repr=False)
    cause: str = ""

    @property
    def acknowledged(self) -> str | None:
        found = re.search(r'"michiq_uuid":"([^"]+)"', self.text)
        return found[1] if self.status == 200 and found else None

    @property
    def token(self) -> str:
        found = re.search(r'"token":"([^"]+)"', self.text)
        return found[1] if found else ""


async def broken_off(api: Api, platform: System, name: str, times: int) -> list[Try]:
    """Makes so many newCases that break off at a point, a few at once."""
    tries: list[Try] = []
    while times > len(tries):
        wave = [
            Try(name, f"once{next(_NUMBERS)}@a.example") for _ in range(min(_AT_ONCE, times - len(tries)))
        ]
        point = POINTS[name]
        if point.script is None:
            platform.refusing_next = asyncio.Barrier(len(wave))
        else:
            platform.spoilt = ("create", point.script)
        await asyncio.gather(*(_asked(api, each) for each in wave))
        platform.spoilt = None
        if point.script is None:
            platform.refusing_next = None
            await platform.listen()
        tries += wave
    return tries


async def _asked(api: Api, each: Try) -> None:
    headers = {**IDENTITY, "user_mail": each.user, "Idempotency-Key": each.user}
    url = f"{api.url}/michiQ/newCase"
    async with api.http.post(url, data=case_form(), headers=headers) as response:
        each.status, each.text = response.status, await response.text()
        each.cause = response.headers.get("X-Michiq-Cause", "")


async def states(api: Api, tries: Sequence[Try]) -> dict[str, str]:
    """Returns the journal's state of each user's call; ambiguous is what an operator is shown."""
    deps = api.proxy.deps
    shown = {entry.owner for entry in await deps.store.journal.pending()}
    found: dict[str, str] = {}
    for each in tries:
        owner = deps.store.sealer.owner(each.user, IDENTITY["organization"])
        recorded = await cases_of(deps.store, owner)
        found[each.user] = "ambiguous" if owner in shown else "recorded" if recorded else "failed"
    return found


async def faults_of(api: Api, platform: System, tries: Sequence[Try]) -> list[str]:
    """Returns sentences on what is wrong with any of them."""
    held = await states(api, tries)
    found: list[str] = []
    for each in tries:
        point, sent = POINTS[each.point], platform.arrived["create", each.user]
        made = platform.made.get(each.user, [])
        good = point.states == ("recorded",)
        checks = {
            "told otherwise": (each.status, each.cause) != (200, "") if good else _misled(each, point),
            "sent otherwise": sent != (0 if point.script is None else 1),
            "made twice": len(made) > 1,
            "journal otherwise": held[each.user] not in point.states,
            "made and out of sight": bool(made) and held[each.user] == "failed",
            "acknowledged and never made": each.acknowledged is not None and [each.acknowledged] != made,
        }
        found += [f"{each.point}: {what} ({each.cause})" for what, wrong in checks.items() if wrong]
    return found


def _misled(each: Try, point: Point) -> bool:
    return (each.status, each.text) != (500, _FAILED) or each.cause not in point.causes


async def lost(api: Api, tries: Sequence[Try]) -> list[str]:
    """The acknowledged cases that can't be had any more."""
    gone: list[str] = []
    for each in tries:
        if each.acknowledged is not None:
            url = f"{api.url}/michiQ/doc/{each.acknowledged}"
            async with api.http.get(url, headers=bearer(each.token)) as response:
                if response.status != 200 or each.acknowledged not in await response.text():
                    gone.append(f"{each.point}: {response.status}")
    return gone


async def asked_again(api: Api, platform: System, tries: Sequence[Try]) -> list[str]:
    """Lets every client ask once more, with its key, while the platform works; returns what is wrong."""
    held = await states(api, tries)
    again = [Try(each.point, each.user) for each in tries]
    for start in range(0, len(again), _AT_ONCE):
        await asyncio.gather(*(_asked(api, each) for each in again[start : start + _AT_ONCE]))
    found: list[str] = []
    for first, second in zip(tries, again, strict=True):
        cases = len(platform.made.get(first.user, []))
        if held[first.user] == "recorded":
            right = second.text == first.text and cases == 1
        elif held[first.user] == "failed":
            right = second.acknowledged is not None and cases == 1
        else:
            right = (second.status, second.cause) == (500, "outcome-unknown") and cases <= 1
        sent = platform.arrived["create", first.user]
        right = right and sent == (0 if POINTS[first.point].script is None else 1) + (
            held[first.user] == "failed"
        )
        found += (
            [] if right else [f"{first.point}: {second.status} {second.cause}, {sent} sent, {cases} made"]
        )
    return found
