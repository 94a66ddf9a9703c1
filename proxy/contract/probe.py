"""A legacy client that calls one host, and remembers the synthetic cases that it made there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from proxy.contract import expect, wire
from proxy.contract.reply import Reply
from proxy.contract.routes import ENCOUNTERS, NEW_CASE
from proxy.contract.samples import BARE, FULL, MULTIPART
from proxy.contract.verdicts import Mismatch, NoAnswer, NotApplicable
from proxy.values import Json

_SECONDS: Final = 120.0  # longer than a question or a short recording may take
_LIMIT: Final = 64 * 1024 * 1024  # of an answer: a user's list of encounters may be long


@dataclass(frozen=True, slots=True)
class Target:
    """The host under test and the caller. `other_user` is a second user of the same organization."""

    url: URL
    api_key: str = field(repr=False)
    organization: str
    user: str
    other_user: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A case that the host has made, with newCase's answer."""

    id: str
    token: str = field(repr=False)
    answer: dict[str, Json] = field(repr=False)


class Probe:
    """A client of one host.

    `is_proxy` says whether a michiq-proxy answers. `secrets` are what no report may show. `is_refused` says
    that newCase does not know the caller.
    """

    def __init__(self, http: aiohttp.ClientSession, target: Target, *, is_proxy: bool) -> None:
        self.target = target
        self.is_proxy = is_proxy
        self.secrets = {target.api_key}
        self._http = http
        self._made: dict[str, Case | Mismatch] = {}
        self.is_refused = False

    def identity(self, **changed: str) -> dict[str, str]:
        """Returns newCase's headers, some of them changed."""
        target = self.target
        names = {"API_KEY": target.api_key, "user_mail": target.user, "organization": target.organization}
        return names | changed

    async def ask(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = MULTIPART,
    ) -> Reply:
        """Returns the host's answer; redirects are answers. Raises NoAnswer when there is none."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("Content-Type", content_type)
        return await _asked(self._http, self.target.url, method, path, sent, body)

    async def raw(
        self, method: str, path: str, headers: list[tuple[str, bytes | str]], body: bytes | None = None
    ) -> Reply:
        """Returns the host's answer to exactly these header lines and bytes."""
        length: list[tuple[str, bytes | str]] = [] if body is None else [("Content-Length", str(len(body)))]
        head = wire.request(self.target.url, method, path, [*headers, *length])
        return await wire.talk(self.target.url, head + (body or b""))

    async def new_case(self, body: bytes, **headers: str) -> Reply:
        return await self.ask(NEW_CASE.method, NEW_CASE.path(), headers=self.identity(**headers), body=body)

    async def make(self, body: bytes, **headers: str) -> Case:
        """Returns a new case of this form. Raises Mismatch when the host makes none that is usable."""
        reply = await self.new_case(body, **headers)
        if reply.status == 401 and not headers:
            self.is_refused = True
        answer = expect.json_object(reply)
        legacy_id, token = answer.get("michiq_uuid"), answer.get("token")
        if not (isinstance(legacy_id, str) and legacy_id and isinstance(token, str) and token):
            raise Mismatch("newCase to give a `michiq_uuid` and a `token`", expect.keys_of(answer))
        self.secrets.add(token)
        return Case(legacy_id, token, answer)

    async def main(self) -> Case:
        """Returns the case with everything in it: conversation, ehr and two files."""
        return await self._once("main", FULL)

    async def knock(self) -> bool:
        """Makes the main case; returns whether the host knows the key, the user and the organization."""
        with suppress(Mismatch, NoAnswer):
            await self.main()
        return not self.is_refused

    async def bare(self) -> Case:
        """Returns a case of an ehr and one file."""
        return await self._once("bare", BARE)

    async def foreign(self) -> Case:
        """Returns a case of the other user. Raises NotApplicable when there is no other user."""
        if self.target.other_user is None:
            raise NotApplicable("it needs a second user (--other-user)")
        return await self._once("foreign", BARE, user_mail=self.target.other_user)

    async def _once(self, name: str, body: bytes, **headers: str) -> Case:
        """Returns the case of this name, or raises its Mismatch; asks the host once, not for each check."""
        if name not in self._made:
            try:
                self._made[name] = await self.make(body, **headers)
            except Mismatch as mismatch:
                self._made[name] = mismatch
        made = self._made[name]
        if isinstance(made, Mismatch):
            raise Mismatch(made.expected, made.came)
        return made

    async def encounters(self, token: str) -> list[dict[str, Json]]:
        """Returns the list of that token's user."""
        return expect.objects(await self.ask(ENCOUNTERS.method, ENCOUNTERS.path(), token=token))

    async def encounter(self, case: Case) -> dict[str, Json]:
        """Returns the list's entry of one case. Raises Mismatch unless there is exactly one."""
        found = [each for each in await self.encounters(case.token) if each.get("MichiqUUID") == case.id]
        if len(found) != 1:
            raise Mismatch("the new case once in the list of encounters", f"it is there {len(found)} times")
        return found[0]


@asynccontextmanager
async def probing(target: Target) -> AsyncIterator[Probe]:
    """Yields a probe of the host. Raises NoAnswer when the host can't be reached."""
    async with aiohttp.ClientSession(
        # No connection is used twice: the host may close it, and a POST on it would then seem refused.
        connector=aiohttp.TCPConnector(force_close=True),
        timeout=aiohttp.ClientTimeout(total=_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        headers={"Accept-Encoding": "identity", "User-Agent": wire.USER_AGENT},
        skip_auto_headers=("Content-Type",),
    ) as http:
        # The proxy's own refusals have its header in every mode of a route. An X-Request-ID proves nothing:
        # gateways in front of old servers set it, too.
        refused = await _asked(http, target.url, "DELETE", ENCOUNTERS.path(), {}, None)
        yield Probe(http, target, is_proxy=refused.header("X-Michiq-Cause") is not None)


async def _asked(
    http: aiohttp.ClientSession,
    base: URL,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> Reply:
    url = URL(f"{str(base).rstrip('/')}{path}", encoded=True)
    try:
        async with http.request(method, url, headers=headers, data=body, allow_redirects=False) as response:
            content = b""
            async for piece in response.content.iter_chunked(64 * 1024):
                content += piece
                if len(content) > _LIMIT:
                    raise NoAnswer("the answer never ended")
            return Reply(response.status, tuple(response.headers.items()), content)
    except (aiohttp.ClientError, OSError) as error:
        raise NoAnswer(type(error).__name__) from None
