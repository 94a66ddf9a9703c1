"""Two recorded sessions: a proxy with relays on all its sides, and the sandbox's systems asked directly."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from proxy.sandbox import Fault, Sandbox, SandboxConfig, run_sandbox
from proxy.sandbox.reports import signature
from proxy.store.sql.memory import ALL
from proxy.values import Json
from proxy.web.service import Running, running
from tests import samples
from tests.conftest import API_KEY, Clock, bearer, case_form, edited_table, settings_for
from tests.contracts.exchange import Exchange
from tests.contracts.relay import Relay, relay
from tests.contracts.visits import Visitor, bad_calls, file_form, good_calls, whole_form
from tests.damage import damage

HOOK: Final = "/webhooks/llamalitica"
SECRET: Final = "sandbox-webhook-secret"
_CHAT: Final = {"X-Api-Key": "sandbox-chat-key"}
_LATER: Final = timedelta(minutes=55)  # past what a page needs an access token to live for
_TIMEOUT: Final = aiohttp.ClientTimeout(total=60)


@dataclass(frozen=True)
class Recorded:
    """The recorded exchanges: legacy answers of the proxy and of the sandbox's old server; calls of the new
    systems by the proxy and by others; events on their way to the proxy."""

    proxy: tuple[Exchange, ...]
    michiq: tuple[Exchange, ...]
    llamalitica: tuple[Exchange, ...]
    llamachat: tuple[Exchange, ...]
    strange_llamalitica: tuple[Exchange, ...]
    strange_llamachat: tuple[Exchange, ...]
    events: tuple[Exchange, ...]
    strange_events: tuple[Exchange, ...]


@dataclass(frozen=True)
class _Sides:
    """A running proxy, and the relays on its way in and out."""

    front: Relay
    llamalitica: Relay
    llamachat: Relay
    hook: Relay
    proxy: Running
    sandbox: Sandbox
    clock: Clock
    http: aiohttp.ClientSession


async def record(folder: Path) -> Recorded:
    """Plays everything once; a few seconds."""
    async with AsyncExitStack() as stack:
        sides = await _start(folder, stack)
        guest = await good_calls(Visitor(sides.http, sides.front.url))
        await bad_calls(guest)
        await _only_the_proxy(guest)
        await _pages(guest, sides)
        await _failures(guest, sides, folder)
        await sides.proxy.deps.tasks.drain(10)
        await sides.sandbox.llamalitica.webhooks.idle()
        by_proxy = tuple(sides.llamalitica.exchanges), tuple(sides.llamachat.exchanges)
        events = tuple(sides.hook.exchanges)
        await _strange_events(sides)
        return Recorded(
            proxy=tuple(sides.front.exchanges),
            michiq=await _seen(_old_server, sides.sandbox.michiq.url, sides, stack),
            llamalitica=by_proxy[0],
            llamachat=by_proxy[1],
            strange_llamalitica=await _seen(_strange_platform, sides.sandbox.llamalitica.url, sides, stack),
            strange_llamachat=await _seen(_strange_chat, sides.sandbox.llamachat.url, sides, stack),
            events=events,
            strange_events=tuple(sides.hook.exchanges[len(events) :]),
        )


async def _start(folder: Path, stack: AsyncExitStack) -> _Sides:
    enter = stack.enter_async_context
    front, llamalitica, llamachat, hook = [await enter(relay()) for _ in range(4)]
    sandbox, clock = await enter(run_sandbox(SandboxConfig())), Clock()
    settings = settings_for(folder, llamalitica.url, llamachat.url)
    edit = {
        "upload_audio": lambda text: text.replace('"100 MB"', '"1 MB"'),
        "new_case": lambda text: text.replace("strict_templates = false", "strict_templates = true").replace(
            '# "1" = "agent-uuid"', '"1" = "agent-uuid"'
        ),
    }
    proxy = await enter(running(settings, edited_table(folder / "mappings", edit), clock))
    front.target = hook.target = proxy.url
    llamalitica.target, llamachat.target = sandbox.llamalitica.url, sandbox.llamachat.url
    sandbox.llamalitica.webhook_url = f"{hook.url}{HOOK}"
    http = await enter(aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()))
    return _Sides(front, llamalitica, llamachat, hook, proxy, sandbox, clock, http)


async def _only_the_proxy(guest: Visitor) -> None:
    """Makes the calls that the old server has no answer for."""
    for text in ("Hola.", "Otra cosa."):
        await guest.new_case(case_form(conversation=text), **{"Idempotency-Key": "k-1"})
    await guest.new_case(template="no-such-template")
    await guest.upload(bytes(2 * 1024 * 1024), "grande.wav")
    # Longer than the server reads: refused before any route is known, on every route alike.
    for path in ("/michiQ/doc/{id}", "/michiQ/encounters", "/app/encounter/{id}"):
        await guest.ask("GET", path, headers={"X-Long": "a" * 70_000})


async def _pages(guest: Visitor, sides: _Sides) -> None:
    """A browser at the page of a case, and at where it is sent to."""
    for method in ("GET", "HEAD"):
        for view in ("case", "mini-widget", "chat"):
            await guest.ask(method, f"/app/encounter/{{id}}?view={view}", headers={"Accept": "text/html"})
    urls = json.loads(await guest.ask("GET", "/app/encounter/{id}"))["urls"]
    for url in urls.values():
        async with sides.http.get(URL(url, encoded=True)) as response:
            await response.read()


async def _failures(guest: Visitor, sides: _Sides, folder: Path) -> None:
    """The 500 of every route: both new systems fail, then the proxy's own database."""
    platform, chat = sides.sandbox.llamalitica.faults, sides.sandbox.llamachat.faults
    for status in (402, 404, 500):
        platform.add(Fault(kind="status", path_prefix="/api/cases", status=status))
        await guest.new_case()
    for status in (402, 500):
        platform.add(Fault(kind="status", path_prefix="/api/users/me", status=status))
        await guest.new_case()
    chat.add(Fault(kind="status", status=502))
    await guest.ask("POST", "/michiQ/query/{id}", json={"query": "¿Qué le pasa?"})
    sides.clock.ahead = _LATER
    for method in ("GET", "HEAD"):
        platform.add(Fault(kind="status", path_prefix="/api/users/me", status=500))
        await guest.ask(method, "/app/encounter/{id}")
    sides.clock.ahead = timedelta()
    await damage(folder, "ALTER TABLE cases RENAME TO gone")
    # What is in memory needs no database.
    sides.proxy.deps.store.changes.memory.forget([ALL])
    for method in ("GET", "HEAD"):
        await guest.ask(method, "/michiQ/doc/{id}")
        await guest.ask(method, "/michiQ/encounters")
    await guest.upload(samples.wav(0.1))


async def _strange_events(sides: _Sides) -> None:
    """Deliveries that nobody signed, that are no events, or too large."""
    for body in (b"{}", b"[]", b" " * (1024 * 1024 + 1)):
        for secret in (SECRET, "wrong"):
            headers = {"Content-Type": "application/json", "X-Webhook-Signature": signature(secret, body)}
            async with sides.http.post(f"{sides.hook.url}{HOOK}", data=body, headers=headers) as response:
                await response.read()


async def _seen(
    play: Callable[[str, _Sides], Awaitable[None]], target: str, sides: _Sides, stack: AsyncExitStack
) -> tuple[Exchange, ...]:
    between = await stack.enter_async_context(relay())
    between.target = target
    await play(between.url, sides)
    return tuple(between.exchanges)


async def _old_server(url: str, sides: _Sides) -> None:
    guest = await good_calls(Visitor(sides.http, url))
    await bad_calls(guest)


async def _strange_platform(url: str, sides: _Sides) -> None:
    """Calls of the new API that the proxy never makes."""
    good = {"X-API-KEY": API_KEY, "X-USER-EMAIL": "ana@clinica.example"}
    patient = case_form(patientMetadata='{"id": "p-1", "name": "Ana"}')
    tries: list[tuple[str, str, dict[str, str], aiohttp.FormData | None]] = [
        *(("GET", "/api/users/me", {**good, name: "no"}, None) for name in good),
        ("GET", "/api/users/me", {**good, "X-ORGANIZATION": ""}, None),
        ("POST", "/api/cases", {**good, "X-API-KEY": "no"}, patient),
        ("POST", "/api/cases", good, whole_form()),
        ("GET", "/dashboard/cases/none?config=%3F", {}, None),
        ("GET", "/dashboard/cases/none/mini-widget?config=e30%3D", {}, None),
    ]
    for method, path, headers, form in tries:
        async with sides.http.request(
            method, URL(url + path, encoded=True), headers=headers, data=form
        ) as response:
            await response.read()


async def _strange_chat(url: str, sides: _Sides) -> None:
    """Calls of LlamaChat that the proxy never makes."""
    async with sides.http.post(f"{url}/api/conversations", headers=_CHAT) as response:
        known = f"/api/conversations/{(await response.json())['id']}/messages"
    unknown = "/api/conversations/64f1a2b3c4d5e6f7a8b9c0d1/messages"
    voice = "/api/transcription"
    said: list[Json] = [{}, [], {"content": ""}, {"content": "a" * 2001}, {"content": "Hola."}]
    tries: list[tuple[str, dict[str, str], aiohttp.FormData | aiohttp.JsonPayload | None]] = [
        *((path, {}, None) for path in ("/api/conversations", known, voice)),
        (unknown, _CHAT, aiohttp.JsonPayload(said[-1])),
        *((known, _CHAT, aiohttp.JsonPayload(each)) for each in said),
        (voice, _CHAT, file_form("audio", b"no audio", "a.wav")),
        (voice, _CHAT, file_form("other", samples.wav(0.1), "a.wav")),
    ]
    for path, headers, body in tries:
        async with sides.http.post(url + path, headers=headers, data=body) as response:
            await response.read()
    for path in ("/api/conversations", known, voice):
        sides.sandbox.llamachat.faults.add(Fault(kind="status", status=502))
        async with sides.http.post(url + path, headers=bearer("none")) as response:
            await response.read()
