"""Interleaved calls of users whose every word is theirs alone; each answer is searched for anybody else's."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from typing import Any, Final
from unittest import mock

import aiohttp
from aiohttp import web

from proxy import jsons
from proxy.sandbox import Sandbox, SandboxConfig
from proxy.sandbox.service import Call, Service, note
from proxy.values import Json
from tests import samples
from tests.apart.belongings import Belongings, canaries, words
from tests.conftest import Api, bearer, case_form
from tests.rollout.homes import Calls, User, people

KINDS: Final = (
    *("new_case", "new_case_again", "doc", "doc", "encounters", "query", "query", "upload", "transcribe"),
    *("page", "redirect", "others_doc", "others_query", "others_page"),
)
# What a user may be told of a case that is another's; 404 by a side that doesn't know it at all.
EXPECTED: Final = {
    "redirect": (302, 200),  # the legacy server has no redirect
    "others_doc": (404,),
    "others_query": (400,),
    "others_page": (403, 404),
}
_AUDIO: Final = samples.wav(0.1)


@dataclass(slots=True)
class Apart(User):
    """A user, and what nobody else may ever see."""

    canaries: dict[str, str] = field(default_factory=dict)

    @property
    def audio(self) -> bytes:
        word = self.canaries["audio"].encode()
        return _AUDIO[: -len(word)] + word

    @property
    def transcript(self) -> str:
        return f"Se oye {self.canaries['audio']}."


@dataclass(slots=True)
class Crowd:
    """The users, and whose each word is."""

    users: list[Apart]
    belongings: Belongings = field(default_factory=Belongings)

    def config(self) -> SandboxConfig:
        """Returns the configuration of a sandbox that transcribes each user's audio as their own word."""
        heard = {sha256(user.audio).hexdigest(): user.transcript for user in self.users}
        return SandboxConfig(transcripts=heard)


def crowd(count: int, organizations: int, random: Random) -> Crowd:
    users = [Apart(user.mail, user.organization) for user in people(count, organizations)]
    made = Crowd(users)
    for user in users:
        user.canaries = canaries(random)
        made.belongings.give(user.mail, user.mail, *user.canaries.values())
    return made


@dataclass(slots=True)
class ApartCalls(Calls):
    """`foreign` has what a user was told of another; `cookies` each that came, and to whom."""

    belongings: Belongings = field(default_factory=Belongings)
    foreign: list[str] = field(default_factory=list)
    cookies: list[tuple[str, str]] = field(default_factory=list)

    async def _told(self, user: User, response: aiohttp.ClientResponse) -> None:
        head = b"\n".join(b"%b: %b" % pair for pair in response.raw_headers)
        for word in self.belongings.foreign(user.mail, head + b"\n\n" + await response.read()):
            self.foreign.append(f"{response.url.path} told {user.mail} {word} of {self._owner(word)}")
        self.cookies += [(user.mail, value) for value in response.headers.getall("Set-Cookie", ())]

    def _owner(self, word: str) -> str:
        return self.belongings.owners[word]

    async def _ask(
        self, user: User, method: str, path: str, headers: dict[str, str], **body: Any
    ) -> tuple[int, Any]:
        with_cookie = {**headers, "Cookie": f"own={_words(user)['cookie']}"}
        # As the class is a slotted dataclass, made anew by the decorator, super() would not find it.
        return await Calls._ask(self, user, method, path, with_cookie, **body)

    def _form(self, user: User) -> aiohttp.FormData:
        own = _words(user)
        ehr: Json = {"id": user.mail, "name": own["name"], "motivo": f"Refiere {own['text']}."}
        form = case_form(ehr=jsons.dump(ehr).decode(), conversation=f"Soy {own['name']}, {own['text']}.")
        text = f"Consta {own['file']}.".encode()
        form.add_field("files", text, filename=f"{own['filename']}.txt", content_type="text/plain")
        return form

    def _question(self, user: User) -> str:
        return f"¿Qué consta de {_words(user)['question']} y qué refiere?"

    def _audio(self, user: User) -> tuple[str, bytes]:
        assert isinstance(user, Apart)
        return f"{user.canaries['filename']}.wav", user.audio

    async def _transcribe(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        await self._upload(user, legacy_id, token)
        path = f"/michiQ/speechToText/{legacy_id}"
        status, body = await self._ask(user, "POST", path, bearer(token))
        if status == 200 and _words(user)["audio"] not in body["transcription"]:
            self.wrong.append(f"transcription of {user.mail}: not what they said")
        return status, body

    async def _redirect(self, user: User, legacy_id: str, token: str) -> tuple[int, Any]:
        headers = {**bearer(token), "Accept": "text/html"}
        path = f"/app/encounter/{legacy_id}"
        return await self._ask(user, "GET", path, headers, allow_redirects=False)

    async def _others_doc(self, user: User, _id: str, token: str) -> tuple[int, Any]:
        return await self._doc(user, self._others_case(user), token)

    async def _others_query(self, user: User, _id: str, token: str) -> tuple[int, Any]:
        return await self._query(user, self._others_case(user), token)

    async def _others_page(self, user: User, _id: str, token: str) -> tuple[int, Any]:
        return await self._page(user, self._others_case(user), token)

    def _others_case(self, user: User) -> str:
        others = [case for each in self.users if each is not user for case in each.cases]
        return self.random.choice(others) if others else "nobody-has-this"


def apart_calls(api: Api, made: Crowd, seed: int) -> ApartCalls:
    return ApartCalls(api, Random(seed), made.users, KINDS, EXPECTED, belongings=made.belongings)


def _words(user: User) -> dict[str, str]:
    assert isinstance(user, Apart)
    return user.canaries


@contextmanager
def setting_cookies() -> Iterator[None]:
    """Makes each new sandbox set a cookie with every answer, and note which, until the block ends."""
    plain = Service.application

    def application(self: Service, routes: Any) -> web.Application:
        app = plain(self, routes)
        numbers = iter(range(10**9))

        async def set_cookie(request: web.Request, response: web.StreamResponse) -> None:
            number = f"c{next(numbers)}"
            note(request, cookie=number)
            response.headers.add("Set-Cookie", f"theirs={number}; Path=/")

        app.on_response_prepare.append(set_cookie)
        return app

    with mock.patch.object(Service, "application", application):
        yield


def mixed_up(calls: ApartCalls, sandbox: Sandbox) -> list[str]:
    """Returns what reached an upstream, or a client as a cookie, and was another user's."""
    set_for = {call.facts.get("cookie"): call.facts.get("user") for call in sandbox.michiq.calls}
    wrong = [
        f"{mail} was given a cookie of {set_for.get(number)}"
        for mail, cookie in calls.cookies
        if set_for.get(number := cookie.split(";")[0].removeprefix("theirs=")) not in (mail, None)
        or number not in set_for
    ]
    new = [*sandbox.llamalitica.calls, *sandbox.llamachat.calls]
    wrong += [f"{call.path} was sent a cookie" for call in new if call.header("Cookie")]
    for call in [*sandbox.llamalitica.calls, *sandbox.michiq.calls]:
        wrong += _not_theirs(calls.belongings, call)
    return wrong + _mixed_conversations(calls.belongings, sandbox.llamachat.calls)


def _not_theirs(belongings: Belongings, call: Call) -> list[str]:
    """Words of others in a call that was for one user."""
    mail = call.facts.get("user")
    told = jsons.dump(call.facts) + b" " + (call.header("Cookie") or b"")
    owners = {belongings.owners.get(word, mail) for word in words(told)}
    return [f"{call.path} for {mail} held what is {other}'s" for other in owners - {mail}]


def _mixed_conversations(belongings: Belongings, calls: Sequence[Call]) -> list[str]:
    """Conversations in which more than one user's words were said."""
    spoken: dict[str, set[str]] = {}
    for call in calls:
        found = words(jsons.dump(call.facts))
        owners = {belongings.owners[word] for word in found if word in belongings.owners}
        key = call.path if call.path.endswith("/messages") else f"{id(call)}"
        spoken.setdefault(key, set()).update(owners)
    return [f"{path} held words of {sorted(owners)}" for path, owners in spoken.items() if len(owners) > 1]
