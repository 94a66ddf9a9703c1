"""A browser without scripts: it has cookies, follows links and sends the forms that it is shown."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from tests.conftest import Api, StartProxy

ANA: Final = "ana-token-0123456789"
EVA: Final = "eva-token-0123456789"
TOKENS: Final = f"ana:{ANA},eva:{EVA}:read"
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@dataclass(frozen=True)
class Shown:
    """An answer of the page."""

    status: int
    url: URL
    headers: Mapping[str, str]
    text: str

    @property
    def heading(self) -> str:
        """Returns the text of the one h1."""
        [found] = re.findall(r"<h1>(.*?)</h1>", self.text, re.DOTALL)
        return html.unescape(str(found)).strip()


class Browser:
    """A browser at a proxy's admin listener."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self.url = url
        self.csrf = ""

    async def get(self, path: str, **headers: str) -> Shown:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Shown:
        """Sends a form as this page's own, with the session's CSRF token unless the form has one."""
        fields = {**({"csrf": self.csrf} if self.csrf else {}), **(form or {})}
        return await self._ask("POST", path, fields, {"Sec-Fetch-Site": "same-origin", **headers})

    async def log_in(self, token: str = ANA, wanted: str = "/") -> Shown:
        return await self.post("/login", {"token": token, "next": wanted})

    @property
    def cookies(self) -> dict[str, str]:
        return {each.key: each.value for each in self._http.cookie_jar}

    async def _ask(
        self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]
    ) -> Shown:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(f"{self.url}{path}", encoded=True)
        async with self._http.request(method, url, data=form, headers=named) as answer:
            shown = Shown(answer.status, answer.url, answer.headers, await answer.text())
        if found := _CSRF.search(shown.text):
            self.csrf = found[1]
        return shown


@asynccontextmanager
async def browsing(api: Api) -> AsyncIterator[Browser]:
    """Opens a browser with no cookies."""
    jar = aiohttp.CookieJar(unsafe=True)  # a browser takes cookies of addresses, too
    async with aiohttp.ClientSession(cookie_jar=jar) as http:
        yield Browser(http, api.proxy.admin_url)


@asynccontextmanager
async def logged_in(start_proxy: StartProxy, token: str = ANA, **environ: str) -> AsyncIterator[Browser]:
    """Starts a proxy with an operator at its page."""
    environ = {"MICHIQ_ADMIN_TOKENS": TOKENS, **environ}
    async with start_proxy(**environ) as api, browsing(api) as browser:
        assert (await browser.log_in(token)).status == 200
        yield browser
