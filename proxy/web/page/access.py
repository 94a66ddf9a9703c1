"""Guards the page: host, session, origin, CSRF token and role; each answer gets the page's headers."""

import hmac
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, quote

import structlog
from aiohttp import web
from multidict import MultiDict

from proxy.addresses import is_loopback, parse_ip
from proxy.errors import Refusal
from proxy.headers import accepts_html, media_type
from proxy.server.responses import empty, respond
from proxy.store import StoreError
from proxy.values import Answer
from proxy.web.admin import problems
from proxy.web.admin.door import SAFE
from proxy.web.admin.inputs import read_bytes
from proxy.web.admin.keys import ACTOR, TOKENS
from proxy.web.admin.problems import Problem
from proxy.web.expect import go_on_later
from proxy.web.keys import DEPS
from proxy.web.page.errors import PageError
from proxy.web.page.keys import FORM, PAGE, SESSION, Session
from proxy.web.page.rendering import render_error
from proxy.web.resources import Handle

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CSRF_FIELD: Final = "csrf"

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FIELDS: Final = 200
_OWN: Final = ("same-origin", "none")  # `none` is the operator's own doing, such as a reload
_FAULT: Final = "This is an error of the proxy; see its log. / Es un error del proxy; vea su registro."
# A server in front of this one sets them: its client may be anywhere.
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")

_log: Final = structlog.get_logger("proxy.page")


@dataclass(frozen=True, slots=True)
class Resource:
    """A path's methods. An `is_open` one needs no session; `for_readers` may also POST who only read."""

    methods: Mapping[str, Handle]
    is_open: bool = False
    for_readers: bool = False


def serve_resource(app: web.Application, path: str, resource: Resource) -> None:
    """Serves a path of the page, and HEAD with GET; every error is a page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            response = await _answer(request, resource)
        except (PageError, Problem, Refusal, StoreError) as error:
            response = await render_error(request, _as_page_error(error))
        return with_headers(response)

    # aiohttp would answer an unknown expectation itself, before any middleware.
    app.router.add_route("*", path, handle, expect_handler=go_on_later)


async def nothing(request: web.Request) -> web.StreamResponse:
    """Answers a path that there is not: with a page for a browser, with problem details for a program."""
    wants = accepts_html(", ".join(request.headers.getall("Accept", [])))
    if request.path.startswith("/admin") or request.method not in SAFE or not wants:
        raise Problem(404, "there is nothing at this path")
    with suppress(StoreError):  # then the page has no menu
        await session_of(request)
    return with_headers(await render_error(request, PageError(404, "nothing")))


def failed(request: web.Request) -> web.StreamResponse:
    """Returns the answer to an unexpected error, without its text: to a browser one that it can show."""
    if request.path.startswith("/admin") or not accepts_html(request.headers.get("Accept", "")):
        return problems.failed(request)
    return with_headers(respond(Answer(500, _FAULT.encode(), "text/plain; charset=utf-8")))


def with_headers(response: web.StreamResponse) -> web.StreamResponse:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def redirect(address: str) -> web.StreamResponse:
    """Sends the browser on by GET, also after a POST."""
    return empty(303, [("Location", address)])


def _as_page_error(error: PageError | Problem | Refusal | StoreError) -> PageError:
    match error:
        case PageError():
            return error
        case Problem():  # of a function that the admin API uses, too
            return PageError(error.status, "refused", error.detail, error.headers)
        case Refusal():
            return PageError(400, "body")
        case StoreError():
            _log.error("page_store_failed", cause=error.cause, exc_info=error)
            return PageError(503, "store", error.cause)


async def _answer(request: web.Request, resource: Resource) -> web.StreamResponse:
    if not is_own_host(request):
        raise PageError(421, "host")
    method = "GET" if request.method == "HEAD" else request.method
    handle = resource.methods.get(method)
    if handle is None:
        methods = {*resource.methods, *(("HEAD",) if "GET" in resource.methods else ())}
        raise PageError(405, "method", headers={"Allow": ", ".join(sorted(methods))})
    if request.method not in SAFE and not _is_own_origin(request):
        raise PageError(403, "origin")
    # What is open asks nothing of the store: also its error page has a style sheet.
    session = None if resource.is_open else await session_of(request)
    if session is None and not resource.is_open:
        return _to_login(request)
    if request.method not in SAFE:
        await _check_form(request, resource, session)
    return await handle(request)


async def _check_form(request: web.Request, resource: Resource, session: Session | None) -> None:
    request[FORM] = form = await _form(request)
    if session is None:  # logging in or choosing a language: nothing to protect
        return
    if not hmac.compare_digest(form.get(CSRF_FIELD, "").encode(), session.csrf.encode()):
        raise PageError(403, "csrf")
    if session.reads_only and not resource.for_readers:
        raise PageError(403, "read-only")


async def _form(request: web.Request) -> MultiDict[str]:
    if media_type(request.headers.get("Content-Type", ""))[0] != _FORM:
        raise PageError(415, "body")
    body = await read_bytes(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise PageError(400, "body") from None
    return MultiDict(pairs)


async def session_of(request: web.Request) -> Session | None:
    """Returns the request's session, and notes it there.

    It ends with the operator's token, also when that is replaced by another one. Raises StoreError.
    """
    token = request.cookies.get(cookie_name(request))
    if not token:
        return None
    deps = request.app[DEPS]
    stored = await deps.store.page_sessions.find(token, deps.effects.clock())
    operator = request.app[TOKENS].named(stored.actor) if stored else None
    if stored is None or operator is None:
        return None
    if not hmac.compare_digest(deps.store.page_sessions.operator(operator.token_hash), stored.operator):
        return None
    session = Session(stored.actor, operator.reads_only, _csrf(token), token, stored.expires_at)
    request[SESSION], request[ACTOR] = session, session.actor
    return session


def _csrf(token: str) -> str:
    return hmac.digest(token.encode("utf-8", "surrogateescape"), b"csrf", "sha256").hex()


def cookie_name(request: web.Request) -> str:
    """Returns the name of the session's cookie.

    Cookies are not apart by port, so the name has it: two proxies may be tunnelled to one host. Over TLS the
    prefix keeps other hosts from setting it (RFC 6265bis, section 4.1.3.2).
    """
    port = request.url.explicit_port
    name = f"michiq-session-{port}" if port else "michiq-session"
    return f"__Host-{name}" if request.secure else name


def _to_login(request: web.Request) -> web.StreamResponse:
    if "HX-Request" in request.headers:  # a fragment: the whole page has to go to the login
        return empty(401, [("HX-Refresh", "true")])
    wanted = quote(request.path_qs, safe="/") if request.method in SAFE and request.path_qs != "/" else ""
    return redirect(f"/login?next={wanted}" if wanted else "/login")


def is_own_host(request: web.Request) -> bool:
    """Returns whether the request's host can be this listener's.

    A page of another site can make a browser ask this listener under the site's own name, once that name
    points here (DNS rebinding). Over TLS the certificate has no such name. Over plain http an address, the
    loopback's name and the name that the listener was given are no foreign names. That needs no setting: over
    plain http nobody can log in under any other name.
    """
    host = (request.url.host or "").lower()
    names = ("localhost", request.app[PAGE].host.lower())
    return request.secure or parse_ip(host) is not None or host in names


def is_private_way(request: web.Request) -> bool:
    """Returns whether nobody on the way can read a token: by TLS, or within this machine."""
    if request.secure:
        return True
    if any(name in request.headers for name in _FORWARDED):
        return False
    return is_loopback(request.url.host or "") and is_loopback(request.remote or "")


def _is_own_origin(request: web.Request) -> bool:
    """Returns whether a form comes from this page.

    A browser that is told to send no referrer sends `null` as the Origin of a form, and Sec-Fetch-Site.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site not in _OWN:
        return False
    if origin is None or (origin == "null" and site is not None):
        return True
    return origin == str(request.url.origin())
