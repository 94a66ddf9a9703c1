"""The rules of all legacy routes: hosts, methods, ids, tokens, upstream failures, headers."""

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest

from proxy.sandbox import Fault, SandboxConfig
from proxy.sandbox.faults import Kind
from proxy.upstream import llamalitica
from proxy.upstream.call import Budget
from tests.conftest import Api, Clock, StartProxy, bearer
from tests.flows._client import settled
from tests.flows._wire import (
    IDENTITY_LINES,
    MULTIPART,
    Reply,
    committed,
    form,
    new_case,
    part,
    refusal,
    request,
    talk,
    talk_each,
)
from tests.stores import ENGINES

# Every legacy route: its method, its path without an id, and whether one follows.
ROUTES: Final = {
    "new_case": ("POST", "/michiQ/newCase", False),
    "doc": ("GET", "/michiQ/doc", True),
    "encounters": ("GET", "/michiQ/encounters", False),
    "query": ("POST", "/michiQ/query", True),
    "upload_audio": ("POST", "/michiQ/uploadAudio", True),
    "speech_to_text": ("POST", "/michiQ/speechToText", True),
    "encounter_page": ("GET", "/app/encounter", True),
}
WITH_ID: Final = [name for name, (_, _, with_id) in ROUTES.items() if with_id]
WITH_TOKEN: Final = [name for name in ROUTES if name != "new_case"]

FORM: Final = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("conversation", "Hola."))
FAILED: Final = refusal(500, "Error al guardar el documento")
UNAUTHORIZED: Final = refusal(401, "Unauthorized")
NO_CREDITS: Final = refusal(500, "Créditos insuficientes")
WRONG_METHOD: Final = refusal(405, "Método no permitido")
NO_TOKEN: Final = dict.fromkeys(WITH_TOKEN, refusal(401, "Authorization token missing or invalid")) | {
    "encounters": refusal(401, "Error al obtener el token de autorización")
}
UNKNOWN_ID: Final = {
    "doc": refusal(404, "Not Found"),
    "query": refusal(400, "Error al procesar la solicitud"),
    "upload_audio": refusal(400, "ID audio no proporcionado"),
    "speech_to_text": refusal(400, "ID audio no proporcionado"),
    "encounter_page": refusal(404, "Not Found"),
}
BODIES: Final = {
    "new_case": (MULTIPART, FORM),
    "query": ("Content-Type: application/json", b'{"query": "Edad"}'),
    "upload_audio": (MULTIPART, form(part("audioChunk", b"RIFF\0\0\0\0WAVE", filename="a.wav"))),
    "speech_to_text": ("Content-Type: application/json", b"{}"),
}

UPSTREAM_STATUSES: Final = {
    # No five of 5xx in a row: with them a breaker opens.
    **dict.fromkeys((301, 500, 302, 501, 307, 502, 308, 503, 400, 504, 404, 599), FAILED),
    **dict.fromkeys((405, 409, 418, 422, 429), FAILED),
    **dict.fromkeys((401, 403), UNAUTHORIZED),
    402: NO_CREDITS,
}
UPSTREAM_KINDS: Final[dict[Kind, str]] = {
    "html": "garbage",
    "broken_json": "garbage",
    "wrong_content_type": "garbage",
    "oversized": "oversized",
    "truncated": "cut",
    "cut_before_body": "cut",
    "cut_after_body": "cut",
}

BASE_HEADERS: Final = {"Content-Type", "Content-Length", "Date", "X-Request-ID"}
UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def test_host_G01_is_of_no_importance(api: Api) -> None:
    hosts = [
        "llamalitica.com",
        "https://lamalitica.com/",
        "lamalitica.com:8443",
        "[::1]:80",
        "127.0.0.1",
        "Clínica",
        "",
    ]
    for host in hosts:
        line = f"Host: {host}".encode()
        reply = await talk(api.url, new_case(FORM).replace(b"Host: proxy.example", line))
        assert reply.status == 200, host
        reply = await talk(api.url, asked("encounters").replace(b"Host: proxy.example", line))
        assert reply.sentence == NO_TOKEN["encounters"], host


async def test_host_G01_in_the_request_line_is_of_no_importance(api: Api) -> None:
    absolute = b"POST https://lamalitica.com/michiQ/newCase HTTP/1.1"
    reply = await talk(api.url, new_case(FORM).replace(b"POST /michiQ/newCase HTTP/1.1", absolute))
    assert reply.status == 200


async def test_method_G02_that_is_wrong_is_refused_with_the_right_ones(api: Api) -> None:
    for name, (right, _, with_id) in ROUTES.items():
        allow = "GET, HEAD" if right == "GET" else "POST"
        wrong = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - {right}
        for method in wrong:
            for legacy_id in ("1", "") if with_id else ("1",):
                reply = await talk(api.url, asked(name, legacy_id, method=method))
                assert (reply.sentence, reply.header("Allow")) == (WRONG_METHOD, allow), (name, method)
    assert not api.sandbox.llamalitica.calls


async def test_method_G02_head_is_served_where_get_is(api: Api) -> None:
    session = await begin(api)
    await settled(api)
    for name in ("doc", "encounters", "encounter_page"):
        line = authorization(session["token"])
        got = await talk(api.url, asked(name, session["michiq_uuid"], line))
        head = await talk(api.url, asked(name, session["michiq_uuid"], line, method="HEAD"))
        assert (got.status, head.status, head.body) == (200, 200, b""), name
        for header in ("Content-Type", "Content-Length"):
            assert head.header(header) == got.header(header), (name, header)
        assert got.body, name


async def test_method_G02_head_is_refused_where_post_is(api: Api) -> None:
    for name in ("new_case", "query", "upload_audio", "speech_to_text"):
        reply = await talk(api.url, asked(name, method="HEAD"))
        assert (reply.status, reply.header("Allow"), reply.body) == (405, "POST", b""), name


# A path's spelling, without the id; `{}` is where the slashes of a careless client stand.
SPELLINGS: Final = {
    "a slash before": "/{path}",
    "a slash within": "{doubled}",
    "a slash at the end": "{path}/",
    "many everywhere": "//{doubled}///",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_path_G02_of_more_slashes_than_needed_names_the_same_route(api: Api, spelling: str) -> None:
    session = await begin(api)
    await settled(api)

    def spelt(name: str) -> bytes:
        method, path, with_id = ROUTES[name]
        plain = f"{path}/{session['michiq_uuid']}" if with_id else path
        written = SPELLINGS[spelling].format(path=plain, doubled=plain.replace("/", "//"))
        said = asked(name, session["michiq_uuid"], authorization(session["token"]), method=method)
        return said.replace(plain.encode(), written.encode(), 1)

    replies = await talk_each(
        api.url, {name: spelt(name) for name in ("doc", "encounters", "encounter_page")}
    )
    assert {name: reply.status for name, reply in replies.items()} == dict.fromkeys(replies, 200)
    case = new_case(FORM).replace(b"/michiQ/newCase", spelt("new_case").split(b" ")[1])
    assert (await talk(api.url, case)).status == 200


@pytest.mark.parametrize("path", ["/michiQ/query", "/michiQ/query/", "/michiQ/query//", "//michiQ//query//"])
async def test_path_G02_without_an_id_has_none_however_it_ends(api: Api, path: str) -> None:
    session = await begin(api)
    said = asked("query", "", authorization(session["token"])).replace(b"/michiQ/query/", path.encode(), 1)
    assert (await talk(api.url, said)).sentence == refusal(400, "ID audio no proporcionado")


async def test_path_G02_of_a_webhook_may_have_more_slashes_too(api: Api) -> None:
    for path in ("//webhooks/llamalitica", "/webhooks//llamalitica/"):
        reply = await talk(api.url, request(f"POST {path} HTTP/1.1", body=b"{}"))
        assert (reply.status, reply.json) == (401, {"error": "Invalid signature"}), path


async def test_path_G02_reaches_the_legacy_server_with_its_slashes(start_proxy: StartProxy) -> None:
    legacy = {"encounters": lambda text: text.replace('mode = "new"', 'mode = "legacy"')}
    async with start_proxy(legacy, legacy=True) as api:
        for path in ("//michiQ//encounters/?a=//b/", "/otra//cosa/"):
            await talk(api.url, request(f"GET {path} HTTP/1.1"))
        paths = ["//michiQ//encounters/", "/otra//cosa/"]
        assert [call.path for call in api.sandbox.michiq.calls] == paths


async def test_id_G03_that_is_none_is_unknown_and_reaches_nobody(api: Api) -> None:
    session = await begin(api)
    own = session["michiq_uuid"]
    ids = [
        *(".", "..", "%2e%2e", "a%2Fb", "..%2F..%2Fapi%2Fcases", f"..%2Fdoc%2F{own}", f"{own}%2F", f".{own}"),
        *("%00", f"{own}%00", f"{own}%0A", "%0D%0AX-Odd:%20x", "a%20b", "%20", "%7F", "a%zz", "%"),
        *("a{b", "a}b", "{id}", "%7Bid%7D", "a.b", "a:b", "a;b", "a@b", "a+b", "a~b", "a*b", "a'b"),
        *("a%22b", "a%3Fb", "%C3%B1", "%FF", "%EF%BC%91", "%D9%A1", "x" * 65, "x" * 4000),
    ]  # fmt: skip
    before = platform_calls(api)
    for name in WITH_ID:
        requests = {each: asked(name, each, authorization(session["token"])) for each in ids}
        replies = await talk_each(api.url, requests)
        sentences = {each: reply.sentence for each, reply in replies.items()}
        assert sentences == dict.fromkeys(ids, UNKNOWN_ID[name]), name
    assert platform_calls(api) == before


async def test_id_G03_beyond_what_a_request_line_holds_is_refused(api: Api) -> None:
    for each in ("x" * 100_000, "a\0b", "a b", "ñ"):
        assert (await talk(api.url, asked("doc", each))).status == 400, each


async def test_id_G03_of_64_characters_is_one(api: Api) -> None:
    session = await begin(api)
    for each in ("x" * 64, "-", "_", "Az09_-"):
        reply = await talk(api.url, asked("upload_audio", each, authorization(session["token"])))
        assert (reply.status, reply.text) == (200, f"Archivo subido exitosamente con UUID: {each}")


async def test_token_G04_that_is_missing_malformed_or_unknown_is_refused(api: Api) -> None:
    session = await begin(api)
    own, legacy_id = session["token"], session["michiq_uuid"]
    table = {
        "none": [],
        "empty": ["Authorization:"],
        "no scheme": [f"Authorization: {own}"],
        "no token": ["Authorization: Bearer"],
        "other scheme": [f"Authorization: Basic {own}"],
        "two words": [f"Authorization: Bearer {own} x"],
        "a comma": [f"Authorization: Bearer {own},"],
        "quoted": [f'Authorization: Bearer "{own}"'],
        "beyond ASCII": ["Authorization: Bearer ñ"],
        "twice": [f"Authorization: Bearer {own}"] * 2,
        "unknown": ["Authorization: Bearer unknown"],
        "changed": [f"Authorization: Bearer {own[:-4]}AAAA"],
        "in a cookie": [f"Cookie: Authorization=Bearer {own}"],
    }
    for name in WITH_TOKEN:
        requests = {case: asked(name, legacy_id, *lines) for case, lines in table.items()}
        replies = await talk_each(api.url, requests)
        sentences = {case: reply.sentence for case, reply in replies.items()}
        assert sentences == dict.fromkeys(table, NO_TOKEN[name]), name


async def test_token_G04_is_read_whatever_the_case_of_its_scheme(api: Api) -> None:
    session = await begin(api)
    for scheme in ("Bearer", "bearer", "BEARER", "Bearer  "):
        line = f"Authorization: {scheme} {session['token']}"
        assert (await talk(api.url, asked("encounters", "", line))).status == 200, scheme


async def test_token_G04_that_is_expired_is_refused_everywhere(api: Api) -> None:
    session = await begin(api)
    api.clock.ahead = timedelta(hours=12, seconds=1)
    for name in WITH_TOKEN:
        reply = await talk(api.url, asked(name, session["michiq_uuid"], authorization(session["token"])))
        assert reply.sentence == NO_TOKEN[name], name


async def test_session_G05_is_kept_under_the_tokens_digest_and_not_in_the_clear(
    api: Api, tmp_path: Path
) -> None:
    token = (await begin(api))["token"]
    (kept,) = committed(tmp_path, "SELECT * FROM sessions")
    assert sha256(token.encode()).hexdigest() in kept
    on_disk = await ENGINES.bytes_of(tmp_path)
    for secret in (token, "sandbox-api-key", "ana@clinica.example", "Clínica Norte"):
        assert secret.encode() not in on_disk, secret


async def test_session_G05_is_not_to_be_had_by_what_a_token_claims(api: Api) -> None:
    token = (await begin(api))["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    forged = [jwt.encode(claims, "x" * 32, "HS256"), jwt.encode(claims, "", "none"), f"{token}="]
    for each in forged:
        reply = await talk(api.url, asked("encounters", "", authorization(each)))
        assert reply.sentence == NO_TOKEN["encounters"]


async def test_renewal_G06_gives_a_fresh_access_token_under_the_same_legacy_token(
    start_proxy: StartProxy,
) -> None:
    clock = Clock()
    async with start_proxy(config=SandboxConfig(clock=clock)) as api:
        session = await begin(api)
        api.clock.ahead = clock.ahead = timedelta(minutes=90)
        before = platform_calls(api)
        for _ in range(2):
            reply = await talk(api.url, case_request("doc", session))
            assert reply.status == 200
        # Once is enough, and it is the same user who asks.
        assert platform_calls(api) == before + 1
        renewal = api.sandbox.llamalitica.calls[-1]
        assert (renewal.path, renewal.header("X-ORGANIZATION")) == ("/api/users/me", "Clínica Norte".encode())
        fresh = await page_token(api, session)
        assert fresh != session["token"]
        assert api.sandbox.llamalitica.accounts.check(fresh).email == "ana@clinica.example"


async def test_renewal_G06_is_not_made_while_the_access_token_lives(api: Api) -> None:
    session = await begin(api)
    before = platform_calls(api)
    for name in ("doc", "encounters", "encounter_page"):
        assert (await talk(api.url, case_request(name, session))).status == 200
    assert platform_calls(api) == before
    assert await page_token(api, session) == session["token"]


async def test_renewal_G06_is_not_made_for_records_where_no_expiry_is_known(api: Api) -> None:
    session = await begin(api)
    await api.proxy.deps.store.sessions.renew(session["token"], "opaque", None)
    before = platform_calls(api)
    assert (await talk(api.url, case_request("doc", session))).status == 200
    assert platform_calls(api) == before
    assert await page_token(api, session) not in ("opaque", session["token"])


async def test_renewal_G06_that_the_platform_can_not_give_keeps_nobody_from_their_records(api: Api) -> None:
    session = await begin(api)
    api.clock.ahead = timedelta(hours=2)
    for fault in (Fault(kind="status", status=500), Fault(kind="cut_after_body", times=2)):
        api.sandbox.llamalitica.faults.add(fault)
        assert (await talk(api.url, case_request("doc", session))).status == 200
        api.sandbox.llamalitica.faults.clear()


async def test_renewal_G08_that_the_platform_refuses_is_unauthorized(api: Api) -> None:
    session = await begin(api)
    api.clock.ahead = timedelta(hours=2)
    for name in WITH_TOKEN:
        for status in (401, 403):
            api.sandbox.llamalitica.faults.add(Fault(kind="status", status=status))
            reply = await talk(api.url, case_request(name, session))
            assert reply.sentence == NO_TOKEN[name], (name, status)
            assert reply.header("X-Michiq-Cause") == "renewal-refused"


async def test_stranger_G07_without_a_legacy_server_is_unknown(api: Api) -> None:
    """A token, or an id, that the old server may know is nobody's here, and the old server is not asked."""
    session = await begin(api)
    for name in ("doc", "query", "encounter_page"):
        foreign_id = asked(name, "0b9c3c6e-legacy", authorization(session["token"]))
        assert (await talk(api.url, foreign_id)).sentence == UNKNOWN_ID[name]
    legacy = api.sandbox.michiq
    for name in WITH_TOKEN:
        foreign_token = asked(name, session["michiq_uuid"], authorization("legacy-token"))
        assert (await talk(api.url, foreign_token)).sentence == NO_TOKEN[name]
    assert not legacy.calls


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/users/me"), ("POST", "/api/cases")])
async def test_upstream_G08_every_status_has_its_documented_answer(api: Api, method: str, path: str) -> None:
    for status, expected in UPSTREAM_STATUSES.items():
        kind: Kind = "redirect" if status < 400 else "status"
        api.sandbox.llamalitica.faults.add(Fault(kind=kind, status=status, method=method, path_prefix=path))
        reply = await talk(api.url, new_case(FORM))
        cause = f"llamalitica-{'redirect' if status < 400 else status}"
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (expected, cause)
    posts = sum(call.method == "POST" for call in api.sandbox.llamalitica.calls)
    assert posts == (len(UPSTREAM_STATUSES) if method == "POST" else 0)


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/users/me"), ("POST", "/api/cases")])
async def test_upstream_G08_every_misbehaviour_is_the_routes_own_error(
    api: Api, method: str, path: str
) -> None:
    for kind, cause in UPSTREAM_KINDS.items():
        # Twice: a GET whose connection drops is asked once more.
        fault = Fault(kind=kind, method=method, path_prefix=path, times=1 if method == "POST" else 2)
        api.sandbox.llamalitica.faults.add(fault)
        reply = await talk(api.url, new_case(FORM))
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, f"llamalitica-{cause}"), kind
        api.sandbox.llamalitica.faults.clear()


@pytest.mark.parametrize(("method", "constant"), [("GET", "_ME"), ("POST", "_CREATE")])
async def test_upstream_G08_that_takes_too_long_is_the_routes_own_error(
    api: Api, monkeypatch: pytest.MonkeyPatch, method: str, constant: str
) -> None:
    monkeypatch.setattr(llamalitica, constant, Budget(total=0.3, connect=0.3, read=0.3))
    api.sandbox.llamalitica.faults.add(Fault(kind="delay", delay=1, method=method))
    reply = await talk(api.url, new_case(FORM))
    assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, "llamalitica-timeout")


async def test_upstream_G08_that_can_not_be_reached_is_the_routes_own_error(start_proxy: StartProxy) -> None:
    nowhere = {f"MICHIQ_LLAMALITICA_{side}_URL": "http://127.0.0.1:1" for side in ("API", "WEB")}
    async with start_proxy(**nowhere) as api:
        reply = await talk(api.url, new_case(FORM))
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, "llamalitica-unreachable")


async def test_upstream_G08_answers_are_the_mappings(start_proxy: StartProxy) -> None:
    old = 'upstream_no_credits = { status = 500, text = "Créditos insuficientes" }'
    new = 'upstream_no_credits = { status = 503, text = "Sin créditos ñ" }'
    async with start_proxy(edit={"new_case": replaced(old, new)}) as api:
        api.sandbox.llamalitica.out_of_credits.add("sandbox-api-key")
        assert (await talk(api.url, new_case(FORM))).sentence == refusal(503, "Sin créditos ñ")


async def test_time_G08_that_the_mapping_allows_ends_in_the_routes_own_error(start_proxy: StartProxy) -> None:
    async with start_proxy(edit={"new_case": replaced('timeout = "60 s"', 'timeout = "300 ms"')}) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="delay", delay=1))
        reply = await talk(api.url, new_case(FORM))
        assert (reply.sentence, reply.header("X-Michiq-Cause")) == (FAILED, "out-of-time")


async def test_answer_G09_has_an_id_and_nothing_else_added(api: Api) -> None:
    session = await begin(api)
    doc = authorization(session["token"])
    table: dict[str, tuple[bytes, set[str]]] = {
        "newCase": (new_case(FORM), set()),
        "doc": (asked("doc", session["michiq_uuid"], doc), set()),
        "encounters": (asked("encounters", "", doc), set()),
        "upload": (asked("upload_audio", "1", doc), set()),
        "no token": (asked("doc", "1"), {"X-Michiq-Cause"}),
        "unknown id": (asked("doc", "1", doc), {"X-Michiq-Cause"}),
        "wrong method": (asked("doc", "1", method="PUT"), {"X-Michiq-Cause", "Allow"}),
        "malformed": (new_case(b"x"), {"X-Michiq-Cause"}),
        "unknown expectation": (asked("doc", "1", "Expect: x"), {"X-Michiq-Cause"}),
        "no HTTP": (asked("doc", "\0"), set()),
        "no route": (request("GET /nothing HTTP/1.1", []), set()),
        "no webhook": (request("GET /webhooks/llamalitica HTTP/1.1", []), {"Allow"}),
    }
    replies = await talk_each(api.url, {name: data for name, (data, _) in table.items()})
    for name, (_, further) in table.items():
        headers = [header for header, _ in replies[name].headers if header != "Connection"]
        assert sorted(headers) == sorted(BASE_HEADERS | further), name
        assert UUID.fullmatch(replies[name].header("X-Request-ID") or ""), name
        assert re.fullmatch(r"[a-z0-9-]+", replies[name].header("X-Michiq-Cause") or "none"), name


async def test_id_G09_of_a_request_is_kept_where_it_is_sane(api: Api) -> None:
    for sane in ("1", "a-B_c.9:/+=", "x" * 128):
        for data in (asked("doc", "1", f"X-Request-ID: {sane}"), new_case(FORM, f"x-request-id: {sane}")):
            assert (await talk(api.url, data)).header("X-Request-ID") == sane
    odd: list[list[bytes | str]] = [
        ["X-Request-ID:"],
        ["X-Request-ID: a b"],
        ["X-Request-ID: ñ"],
        ["X-Request-ID: a\tb"],
        ["X-Request-ID: <script>"],
        [f"X-Request-ID: {'x' * 129}"],
        ["X-Request-ID: 1", "X-Request-ID: 2"],
    ]
    for lines in odd:
        made = (await talk(api.url, asked("doc", "1", *lines))).header("X-Request-ID")
        assert UUID.fullmatch(made or ""), lines


async def test_notice_G09_is_given_with_every_answer_of_its_route_and_no_other(
    start_proxy: StartProxy,
) -> None:
    notice = (
        "\n[notice]\ndeprecation = 2026-01-31\nsunset = 2027-01-31\n"
        '[notice.links]\nsuccessor-version = "https://llamalitica.com/docs"\n'
        'deprecation = "https://llamalitica.com/fin"\n'
    )
    expected = [
        ("Deprecation", "@1769817600"),
        ("Sunset", "Sun, 31 Jan 2027 00:00:00 GMT"),
        ("Link", '<https://llamalitica.com/docs>; rel="successor-version"'),
        ("Link", '<https://llamalitica.com/fin>; rel="deprecation"'),
    ]
    async with start_proxy(edit={"new_case": lambda text: text + notice}) as api:
        for data in (new_case(FORM), new_case(b"x"), asked("new_case", method="GET")):
            assert noticed(await talk(api.url, data)) == expected
        assert noticed(await talk(api.url, asked("encounters"))) == []


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", []),
        ("deprecation = 2026-01-31", ["Deprecation"]),
        ("sunset = 2027-01-31", ["Sunset"]),
        ('links = { deprecation = "https://llamalitica.com/fin" }', ["Link"]),
    ],
)
async def test_notice_G09_holds_only_what_the_mapping_sets(
    start_proxy: StartProxy, lines: str, expected: list[str]
) -> None:
    async with start_proxy(edit={"encounters": lambda text: f"{text}\n[notice]\n{lines}\n"}) as api:
        assert [name for name, _ in noticed(await talk(api.url, asked("encounters")))] == expected


async def test_off_G09_is_gone_with_a_link_to_what_comes_next(start_proxy: StartProxy) -> None:
    link = '\n[notice.links]\nsuccessor-version = "https://llamalitica.com/docs"\n'

    def off(text: str) -> str:
        return replaced('mode = "new"', 'mode = "off"')(text) + link

    async with start_proxy(edit=dict.fromkeys(ROUTES, off)) as api:
        for name in ROUTES:
            reply = await talk(api.url, asked(name))
            assert reply.sentence == refusal(410, "Servicio no disponible"), name
            assert noticed(reply) == [("Link", '<https://llamalitica.com/docs>; rel="successor-version"')]
            assert (await talk(api.url, asked(name, method="DELETE"))).sentence == WRONG_METHOD, name
        assert not api.sandbox.llamalitica.calls


async def begin(api: Api) -> dict[str, str]:
    """A new case: its id and its user's token."""
    reply = await talk(api.url, new_case(FORM))
    assert reply.status == 200, reply.text
    answer: dict[str, str] = reply.json
    return answer


def asked(name: str, legacy_id: str = "1", *lines: str | bytes, method: str | None = None) -> bytes:
    """A request to a route, with the body that it expects."""
    right, path, with_id = ROUTES[name]
    used = method or right
    kind, body = BODIES.get(name, ("X-Type: none", b"")) if used == right else ("X-Type: none", b"")
    identity = IDENTITY_LINES if name == "new_case" else ()
    target = f"{path}/{legacy_id}" if with_id else path
    return request(f"{used} {target} HTTP/1.1", [*identity, *lines, kind], body or None)


def case_request(name: str, session: dict[str, str]) -> bytes:
    return asked(name, session["michiq_uuid"], authorization(session["token"]))


def authorization(token: str) -> str:
    return f"Authorization: Bearer {token}"


def platform_calls(api: Api) -> int:
    return len(api.sandbox.llamalitica.calls) + len(api.sandbox.llamachat.calls)


async def page_token(api: Api, session: dict[str, str]) -> str:
    """The access token with which the platform's page opens."""
    url = f"{api.url}/app/encounter/{session['michiq_uuid']}"
    async with api.http.get(url, headers=bearer(session["token"])) as response:
        page = (await response.json())["urls"]["case"]
    config: dict[str, Any] = json.loads(base64.b64decode(parse_qs(urlsplit(page).query)["config"][0]))
    return str(config["accessToken"])


def noticed(reply: Reply) -> list[tuple[str, str]]:
    return [(name, value) for name, value in reply.headers if name in ("Deprecation", "Sunset", "Link")]


def replaced(old: str, new: str) -> Callable[[str], str]:
    def edited(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edited
