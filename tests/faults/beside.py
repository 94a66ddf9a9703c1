"""users/me and POST /api/cases called at once: how each may end, in either order, and what follows (N19)."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import jwt

from proxy import jsons
from tests.conftest import IDENTITY, Api, bearer, case_form
from tests.faults.facing import hurried
from tests.faults.kinds import FOREVER
from tests.faults.system import Exchange, Script, System, framed
from tests.flows._wire import committed

# What the client comes with, or has been given before.
Token: TypeAlias = Literal["given", "living", "none"]
First: TypeAlias = Literal["me", "create"]

_NUMBERS: Final = count(1)
_FAILED: Final = "Error al guardar el documento"
_TEXTS: Final = {
    "401": (401, "Unauthorized"),
    "403": (401, "Unauthorized"),
    "402": (500, "Créditos insuficientes"),
}


async def _good(exchange: Exchange) -> None:
    await exchange.say(framed(exchange.good()))


async def _lost(exchange: Exchange) -> None:
    exchange.good()
    exchange.reset()


async def _broken(exchange: Exchange) -> None:
    await exchange.say(framed(exchange.good()[:-20]))


async def _slow(_: Exchange) -> None:
    await asyncio.sleep(FOREVER)


def _status(line: str) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.say(framed(b'{"error": "no"}', status=line))

    return script


# How either may end, by the end of its cause code; the empty one is a good answer.
ENDS: Final[Mapping[str, Script]] = {
    "": _good,
    "401": _status("401 No"),
    "403": _status("403 No"),
    "402": _status("402 Pay"),
    "500": _status("500 No"),
    "garbage": _broken,
    "cut": _lost,
    "timeout": _slow,
}
_REFUSED: Final = ("401", "403")
_CLEAR: Final = ("401", "403", "402")
# What says nothing that another end doesn't.
_LEFT_OUT: Final = {("me", "402"), ("create", "403")}


@dataclass(frozen=True, slots=True)
class Course:
    """The course of both calls: how each ends, and which one ends first."""

    me: str
    create: str
    first: First
    token: Token = "none"

    @property
    def expected(self) -> tuple[int, str, str]:
        """Returns the client's due answer: status, text and cause; a 200's text is empty here."""
        decides = self.me if self.me in _REFUSED or not self.create else self.create
        if not decides or (decides == self.me and self.me not in _REFUSED and self.token != "none"):
            return 200, "", ""
        return *_TEXTS.get(decides, (500, _FAILED)), f"llamalitica-{decides}"

    @property
    def journal(self) -> tuple[str, str | None]:
        """Returns the due state and cause of the journal's entry."""
        if self.create:
            return "failed" if self.create in _CLEAR else "ambiguous", f"llamalitica-{self.create}"
        if self.me in _REFUSED:
            return "ambiguous", "made-for-refused"
        return ("ambiguous", "made-without-session") if self.expected[0] != 200 else ("recorded", None)


def courses() -> Iterator[Course]:
    for me, create, first in product(ENDS, ENDS, ("me", "create")):
        ends, never_first = {("me", me), ("create", create)}, (me, create)[first == "create"] == "timeout"
        slow = "timeout" in (me, create) and not {me, create} <= {"timeout", "", "401", "500"}
        if not (ends & _LEFT_OUT or never_first or slow):
            yield Course(me, create, first)  # type: ignore[arg-type]
    for me, token in product(("500", "garbage", "cut", "timeout"), ("given", "living")):
        yield Course(me, "", "create", token)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Both:
    """A script that answers only once both calls have come: calls made in order would wait for ever."""

    course: Course
    come: dict[str, asyncio.Event] = field(
        default_factory=lambda: {"me": asyncio.Event(), "create": asyncio.Event()}
    )
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, exchange: Exchange) -> None:
        await exchange.body()
        self.come[exchange.target].set()
        for each in self.come.values():
            await each.wait()
        if exchange.target != self.course.first:
            await self.ended.wait()
        try:
            await ENDS[self.course.me if exchange.target == "me" else self.course.create](exchange)
        finally:
            if exchange.target == self.course.first:
                self.ended.set()


@dataclass(frozen=True, slots=True)
class Told:
    """The answer that the client got."""

    status: int
    text: str = field(repr=False)
    cause: str

    @property
    def sentence(self) -> tuple[int, str, str]:
        return self.status, "" if self.status == 200 else self.text, self.cause

    @property
    def case(self) -> str:
        found = re.search(r'"michiq_uuid":"([^"]+)"', self.text)
        return found[1] if found else ""

    @property
    def token(self) -> str:
        found = re.search(r'"token":"([^"]+)"', self.text)
        return found[1] if found else ""


class Caller:
    """A user of a proxy whose state is in `folder`; `first` is what they were told when they were new."""

    def __init__(self, api: Api, platform: System, folder: Path) -> None:
        self.api, self.platform, self.folder = api, platform, folder
        self.user = f"beside{next(_NUMBERS)}@a.example"
        self.first = Told(0, "", "")

    @property
    def owner(self) -> str:
        return self.api.proxy.deps.store.sealer.owner(self.user, IDENTITY["organization"])

    @property
    def sent(self) -> int:
        """Returns the number of calls of POST /api/cases, for any user."""
        return sum(times for (target, _), times in self.platform.arrived.items() if target == "create")

    @property
    def journal(self) -> list[tuple[Any, ...]]:
        """State, cause and case of each call, oldest first."""
        query = f"SELECT state, cause, case_id FROM journal WHERE owner = '{self.owner}' ORDER BY rowid"
        return committed(self.folder, query)

    async def confirmed(self, access_token: str | None = None) -> "Caller":
        """Itself, once users/me has confirmed them; with this access token, else an opaque one."""
        self.platform.scripts = {} if access_token is None else {"me": gives(access_token)}
        self.first = await self.ask()
        assert self.first.status == 200, self.first
        self.platform.scripts = {}
        return self

    async def ask(self, **headers: str) -> Told:
        url = f"{self.api.url}/michiQ/newCase"
        headers = {**IDENTITY, "user_mail": self.user, **headers}
        async with self.api.http.post(url, data=case_form(), headers=headers) as response:
            text = await response.text()
            return Told(response.status, text, response.headers.get("X-Michiq-Cause", ""))


def living(user: str) -> str:
    """An access token that says until when it lives."""
    return jwt.encode({"sub": user, "exp": datetime.now(UTC) + timedelta(hours=1)}, "k" * 32)


def gives(access_token: str) -> Script:
    """users/me with this token."""

    async def script(exchange: Exchange) -> None:
        await exchange.body()
        me = jsons.load(exchange.good())
        assert isinstance(me, dict)
        assert isinstance(me["user"], dict)
        me["user"]["accessToken"] = access_token
        await exchange.say(framed(jsons.dump(me)))

    return script


async def played(course: Course, caller: Caller, **headers: str) -> Told:
    """Returns a confirmed caller's answer, once nothing of the request is under way any more."""
    both = _Both(course)
    caller.platform.scripts = {"me": both, "create": both}
    with hurried() if "timeout" in (course.me, course.create) else nullcontext():
        told = await caller.ask(**headers)
        await caller.api.proxy.deps.tasks.drain(10)
    caller.platform.scripts = {}
    return told


async def run(course: Course, caller: Caller) -> list[str]:
    """Returns sentences on what is wrong with a course, and with the same request once more."""
    await caller.confirmed(living(caller.user) if course.token == "living" else None)
    before = caller.sent
    headers = {"Idempotency-Key": "1", **(bearer(caller.first.token) if course.token == "given" else {})}
    told = await played(course, caller, **headers)
    state, cause, case_id = caller.journal[-1]
    sent = caller.sent
    again = await caller.ask(**headers)
    repeated = {
        "recorded": again.text == told.text and caller.sent == sent,
        "failed": again.status == 200 and caller.sent == sent + 1,
        "ambiguous": again.cause == "outcome-unknown" and caller.sent == sent,
    }
    checks = {
        f"told {told.sentence}": told.sentence == course.expected,
        f"given the token {told.token}": told.status != 200
        or (told.token == caller.first.token) == (course.me != ""),
        f"kept as {state} ({cause})": (state, cause) == course.journal,
        f"kept with the case {case_id}": (case_id is not None) == (course.create == ""),
        f"sent {sent - before} times": sent == before + 1,
        f"answered again with {again.sentence}": repeated[state],
    }
    return [f"{course}: {what}" for what, right in checks.items() if not right]
