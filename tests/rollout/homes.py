"""Users who call through a canary whose percentage changes all the time; each answer is checked at once."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from proxy.store.rollout.overrides import Change
from tests import samples
from tests.conftest import API_KEY, Api, bearer, case_form

_CALLS = ("new_case", "new_case_again", "doc", "doc", "encounters", "query", "upload", "page")
_ROUTES = ("new_case", "doc", "encounters", "query", "upload_audio", "encounter_page")
_AUDIO = samples.wav(0.1)


@dataclass(slots=True)
class User:
    """A user of one organization, with every token and case that they were given."""

    mail: str
    organization: str
    tokens: list[str] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Calls:
    """A run: `wrong` has a sentence for each answer that a user would have been surprised by.

    `kinds` are drawn from; `expected` are the statuses that a kind may be answered by, other than 200.
    """

    api: Api
    random: Random
    users: Sequence[User]
    kinds: Sequence[str] = _CALLS
    expected: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)

    async def run(self, count: int, at_once: int = 8) -> None:
        """Runs all users side by side; each makes one call after another, as a program does."""
        waiting = iter([self.random.choice(self.users) for _ in range(count)])
        locks = {user.mail: asyncio.Lock() for user in self.users}

        async def client() -> None:
            for user in waiting:
                async with locks[user.mail]:
                    await self._call(user)

        await asyncio.gather(*(client() for _ in range(at_once)))

    async def _call(self, user: User) -> None:
        name = self.random.choice(self.kinds) if user.cases else "new_case"
        legacy_id = self.random.choice(user.cases) if user.cases else ""
        token = self.random.choice(user.tokens) if user.tokens else ""
        status, body = await getattr(self, f"_{name}")(user, legacy_id, token)
        self.answered[f"{name} {status}"] += 1
        if status not in self.expected.get(name, (200,)):
            self.wrong.append(f"{name} of {user.mail}: {status} {body!r}")

    async def _new_case(self, user: User, _id: str, _token: str) -> tuple[int, Any]:
        return await self._make(user, {})

    async def _new_case_again(self, user: User, _id: str, token: str) -> tuple[int, Any]:
        status, made = await self._make(user, bearer(token))
        if status == 200 and made["token"] != token:
            self.wrong.append(f"new_case of {user.mail}: another token than the one that was sent")
        return status, made

    async def _make(self, user: User, headers: dict[str, str]) -> tuple[int, Any]:
        identity = {"API_KEY": API_KEY, "user_mail": user.mail, "organization": user.organization}
        form = self._form(user)
        status, made = await self._ask(user, "POST", "/michiQ/newCase", {**identity, **headers}, data=form)
        if status == 200:
            user.cases.append(made["michiq_uuid"])
            user.tokens.append(made["token"])
        return status, made

    def _form(self, user: User) -> aiohttp.FormData:
        return case_form(ehr=f'{{"id": "{user.mail}"}}', conversation=f"Soy {user.mail}.")

    async def _doc(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        status, body = await self._ask(user, "GET", f"/michiQ/doc/{legacy_id}", bearer(token))
        if status == 200 and body["document"]["username"] != user.mail:
            self.wrong.append(f"doc of {user.mail} told of {body['document']['username']}")
        return status, body

    async def _encounters(self, user: User, _id: str, token: str) -> tuple[int, Any]:
        status, body = await self._ask(user, "GET", "/michiQ/encounters", bearer(token))
        if status == 200 and sorted(each["MichiqUUID"] for each in body) != sorted(user.cases):
            self.wrong.append(f"encounters of {user.mail}: {len(body)} cases, not {len(user.cases)}")
        return status, body

    async def _query(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        body = {"query": self._question(user)}
        return await self._ask(user, "POST", f"/michiQ/query/{legacy_id}", bearer(token), json=body)

    def _question(self, _user: User) -> str:
        return "¿Quién eres?"

    async def _upload(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        path, form = f"/michiQ/uploadAudio/{legacy_id}", aiohttp.FormData()
        filename, audio = self._audio(user)
        form.add_field("audioChunk", audio, filename=filename)
        return await self._ask(user, "POST", path, bearer(token), data=form)

    def _audio(self, _user: User) -> tuple[str, bytes]:
        return "a.wav", _AUDIO

    async def _page(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        return await self._ask(user, "GET", f"/app/encounter/{legacy_id}", bearer(token))

    async def _ask(
        self, user: User, method: str, path: str, headers: dict[str, str], **body: Any
    ) -> tuple[int, Any]:
        async with self.api.http.request(method, self.api.url + path, headers=headers, **body) as response:
            await self._told(user, response)
            as_json = response.content_type == "application/json"
            return response.status, await (response.json() if as_json else response.text())

    async def _told(self, user: User, response: aiohttp.ClientResponse) -> None:
        """Does nothing here; runs that check every answer override it."""


def people(count: int, organizations: int) -> list[User]:
    return [User(f"user{n}@clinica.example", f"Clínica {n % organizations}") for n in range(count)]


async def move_about(api: Api, random: Random) -> None:
    """Changes the canary of every route for ever, about a hundred times a second."""
    store = api.proxy.deps.store
    while True:
        change = Change(
            actor="test",
            route=random.choice(_ROUTES),
            organization=None,
            mode="canary",
            percent=random.choice((0, 10, 30, 30, 50, 100)),
            until=None,
            reason="the percentage never stands still",
        )
        await store.overrides.change(change, expected=None, at=api.clock())
        await api.proxy.moving.follower.catch_up()
        await asyncio.sleep(0.01)
