"""Checks G: the rules of every legacy route, as far as a client can see them."""

import re
from typing import Final

from proxy.contract import expect
from proxy.contract.check import SHARED, Check, chosen, documented, proxys_own, unseen
from proxy.contract.probe import Probe
from proxy.contract.routes import (
    DOC,
    ENCOUNTER_PAGE,
    ENCOUNTERS,
    LEGACY,
    NEW_CASE,
    QUERY,
    SPEECH_TO_TEXT,
    UPLOAD_AUDIO,
    WITH_TOKEN,
    Route,
)
from proxy.contract.verdicts import Mismatch
from proxy.jsons import dump

BAD_TOKEN: Final = "Authorization token missing or invalid"  # noqa: S105  the document's wording
_MARK: Final = "prueba-michiq-proxy-secreta"
_WRONG_METHODS: Final = ("DELETE", "PUT")
_BAD_CREDENTIALS: Final = {
    "there is no Authorization": None,
    "its scheme isn't Bearer": "Basic cHJ1ZWJhOnBydWViYQ==",
    "there is no token after Bearer": "Bearer",
    "two tokens follow Bearer": "Bearer prueba prueba",
    "the token is unknown": "Bearer prueba-michiq-proxy",
    "the token is an unsigned JWT": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJwcnVlYmEifQ.",
}
# Malformed ids, as a URL has them; and each route's answer to an unknown id.
_NO_IDS: Final = ("prueba.punto", "prueba%2Fbarra", "..%2F..%2Fprueba", "prueba%00", "prueba%20", "p" * 65)
_UNKNOWN: Final[dict[Route, tuple[int, str | None]]] = {
    DOC: (404, "Not Found"),
    QUERY: (400, "Error al procesar la solicitud"),
    UPLOAD_AUDIO: (400, None),
    SPEECH_TO_TEXT: (400, None),
    ENCOUNTER_PAGE: (404, None),
}


@chosen("G01", ENCOUNTERS, "routing ignores Host, also one with a scheme in it")
async def any_host(probe: Probe) -> None:
    for host in ("lamalitica.com", "https://lamalitica.com/"):
        reply = await probe.raw(ENCOUNTERS.method, ENCOUNTERS.path(), [("Host", host)])
        expect.status(reply, 401, when=f"Host is {host}")


def wrong_method(route: Route) -> Check:
    @documented("G02", route, f"another method than {route.method} is answered 405, with Allow")
    async def run(probe: Probe) -> None:
        other = "POST" if route.method == "GET" else "GET"
        for method in (*_WRONG_METHODS, other):
            reply = await probe.ask(method, route.path())
            expect.text(reply, 405, "Método no permitido", when=f"the method is {method}")
            allowed = {each.strip() for each in (reply.header("Allow") or "").split(",")}
            expect.true(
                route.method in allowed and method not in allowed,
                f"Allow to name {route.method}",
                f"Allow: {', '.join(sorted(allowed)) or 'nothing'}" if allowed != {""} else "no Allow",
            )

    return run


def head(route: Route) -> Check:
    @documented("G02", route, "HEAD is served where GET is, without a body")
    async def run(probe: Probe) -> None:
        reply = await probe.ask("HEAD", route.path())
        expect.status(reply, 401, when="HEAD comes without a token, as GET gets")
        expect.true(not reply.body, "no body", f"{len(reply.body)} bytes")

    return run


def malformed_id(route: Route) -> Check:
    @chosen(
        "G03", route, "an id of other characters than letters, digits, _ and -, or of 65, is unknown", SHARED
    )
    async def run(probe: Probe) -> None:
        token = (await probe.main()).token
        body = dump({"query": "¿Qué edad tiene?"}) if route is QUERY else b""
        for legacy_id in _NO_IDS:
            reply = await probe.ask(
                route.method,
                route.path(legacy_id),
                token=token,
                body=body if route.method == "POST" else None,
            )
            expect.text(reply, *_UNKNOWN[route], when=f"the id is {legacy_id[:20]}")

    return run


def bad_token(route: Route) -> Check:
    sentence = "Error al obtener el token de autorización" if route is ENCOUNTERS else BAD_TOKEN

    @documented("G04", route, "no token, a malformed or an unknown one is answered 401")
    async def run(probe: Probe) -> None:
        for when, credentials in _BAD_CREDENTIALS.items():
            headers = {"Authorization": credentials} if credentials else {}
            reply = await probe.ask(route.method, route.path(), headers=headers)
            expect.text(reply, 401, sentence, when=when)

    return run


@proxys_own("G08", ENCOUNTERS, "an error says its cause as a short code without data")
async def cause(probe: Probe) -> None:
    code = (await probe.ask(ENCOUNTERS.method, ENCOUNTERS.path())).header("X-Michiq-Cause") or ""
    expect.true(bool(re.fullmatch(r"[a-z0-9-]{1,40}", code)), "a short code in X-Michiq-Cause", "none")


@proxys_own("G09", ENCOUNTERS, "every answer has an X-Request-ID; a sane one of the client stays")
async def request_id(probe: Probe) -> None:
    ours = "prueba-michiq-proxy-0001"
    for given, stays in ((None, False), (ours, True), ("con espacios y; signos", False)):
        headers = {"X-Request-ID": given} if given else {}
        came = (await probe.ask(ENCOUNTERS.method, ENCOUNTERS.path(), headers=headers)).header("X-Request-ID")
        if not came or (came == given) != stays:
            wanted = "the same X-Request-ID" if stays else "an X-Request-ID of the proxy's own"
            raise Mismatch(
                wanted, "none" if not came else "another one" if stays else "the one that was sent"
            )


@proxys_own("G10", ENCOUNTERS, "an error never quotes a token, a key or an id that came in")
async def nothing_quoted(probe: Probe) -> None:
    path, over_long = ENCOUNTERS.path(), "x" * 20_000
    replies = {
        "a token is unknown": await probe.ask("GET", path, token=_MARK),
        "a header is too long": await probe.raw("GET", path, [("API_KEY", _MARK + over_long)]),
        "a header holds a NUL": await probe.raw("GET", path, [("API_KEY", f"{_MARK}\0")]),
        "there is no such path": await probe.ask("GET", f"/michiQ/{_MARK}"),
        "an id is unknown": await probe.ask("GET", DOC.path(_MARK), token=_MARK),
    }
    for when, reply in replies.items():
        quoted = _MARK.encode() in reply.body or any(_MARK in value for _, value in reply.headers)
        expect.true(not quoted, f"no quotation when {when}", f"{reply.status} with what was sent in it")


_INSIDE: Final = "happens inside the proxy, or takes hours; the project's own tests prove it"

CHECKS: Final = (
    any_host,
    *map(wrong_method, LEGACY),
    *(head(route) for route in LEGACY if route.method == "GET"),
    *(malformed_id(route) for route in LEGACY if route.with_id),
    *map(bad_token, WITH_TOKEN),
    unseen("G05", NEW_CASE, "a token is looked up, never decoded to decide who someone is", _INSIDE),
    unseen("G06", NEW_CASE, "an expired access token is renewed silently", _INSIDE),
    unseen("G07", DOC, "what the proxy never saw goes to the legacy server", _INSIDE),
    cause,
    request_id,
    nothing_quoted,
)
