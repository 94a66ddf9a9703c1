"""Logs operators in and out, and switches the page's language."""

from typing import Final

import structlog
from aiohttp import web

from proxy.store.rollout.page_sessions import SESSION_LIFE
from proxy.web.admin.keys import TOKENS
from proxy.web.admin.tokens import BadLogin, Operator
from proxy.web.keys import DEPS
from proxy.web.page.access import cookie_name, is_private_way, redirect, session_of
from proxy.web.page.brake import BRAKE
from proxy.web.page.keys import FORM, PAGE, SESSION
from proxy.web.page.language import COOKIE, LANGUAGES
from proxy.web.page.rendering import render
from proxy.web.stream.hub import HUB

_TOKEN_BYTES: Final = 32
_LONGEST: Final = 2000  # characters of an address to go back to
_YEAR_SECONDS: Final = 365 * 24 * 3600

_log: Final = structlog.get_logger("proxy.page")


async def show(request: web.Request) -> web.StreamResponse:
    if await session_of(request):
        return redirect(_local(request.query.get("next", "")))
    return await _form(request, 200, request.query.get("next", ""))


async def log_in(request: web.Request) -> web.StreamResponse:
    """Begins a session for the operator whose token it is; over a way that others can read, for nobody."""
    form, brake, deps = request[FORM], request.app[BRAKE], request.app[DEPS]
    wanted, peer = form.get("next", ""), request.remote or ""
    if not is_private_way(request):
        return await _form(request, 403, wanted)
    if wait := brake.wait(peer, deps.effects.monotonic()):
        refused = await _form(request, 429, wanted, wait=wait)
        refused.headers["Retry-After"] = str(wait)
        return refused
    try:
        operator = request.app[TOKENS].of_token(form.get("token", "").strip().encode())
    except BadLogin:
        brake.failed(peer, deps.effects.monotonic())
        _log.warning("page_login_failed", peer=peer)
        return await _form(request, 403, wanted, is_wrong=True)
    brake.succeeded(peer)
    return await _begin(request, operator, _local(wanted))


async def log_out(request: web.Request) -> web.StreamResponse:
    session = request[SESSION]
    await request.app[DEPS].store.page_sessions.end(session.token)
    request.app[HUB].end(session.token)
    _log.info("page_logout", actor=session.actor)
    response = redirect("/login")
    response.del_cookie(cookie_name(request), path="/", secure=request.secure, httponly=True)
    return response


async def switch_language(request: web.Request) -> web.StreamResponse:
    chosen, response = request[FORM].get("language"), redirect(_local(request[FORM].get("next", "")))
    if chosen in LANGUAGES:
        response.set_cookie(
            COOKIE, chosen, max_age=_YEAR_SECONDS, httponly=True, samesite="Strict", secure=request.secure
        )
    return response


async def _begin(request: web.Request, operator: Operator, wanted: str) -> web.StreamResponse:
    deps, token = request.app[DEPS], request.app[PAGE].randomness(_TOKEN_BYTES).hex()
    sessions = deps.store.page_sessions
    await sessions.begin(token, operator.name, operator.token_hash, deps.effects.clock())
    _log.info("page_login", actor=operator.name)
    response = redirect(wanted)
    response.set_cookie(
        cookie_name(request),
        token,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return response


async def _form(
    request: web.Request, status: int, wanted: str, *, wait: int = 0, is_wrong: bool = False
) -> web.StreamResponse:
    return await render(
        request,
        "login.html",
        status,
        wanted=_local(wanted),
        wait=wait,
        is_wrong=is_wrong,
        is_private=is_private_way(request),
    )


def _local(address: str) -> str:
    """Returns an address of this page to go to; anything else becomes the first view."""
    # A browser reads `//host` and `/\host` as another site.
    is_ours = address.startswith("/") and address[1:2] not in ("/", "\\")
    return (
        address
        if is_ours and address.isascii() and address.isprintable() and len(address) <= _LONGEST
        else "/"
    )
