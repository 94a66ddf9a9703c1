"""The admin API over real sockets: its access check, its changes, its answers."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.store.audit.usage import Visit
from proxy.store.records.journal import JournalEntry
from proxy.store.rollout.evidence import Outcome
from tests.captured import captured_log
from tests.conftest import Api, StartProxy, bearer
from tests.damage import damage
from tests.web.admin.operators import ANA, BEN, TOKENS, Operator, said

READS: Final = (
    "routes",
    "overrides",
    "history",
    "processes",
    "audit",
    "audit/verify",
    "comparisons?route=doc",
    "differences",
    "learned",
    "series",
    "clients",
    "organizations?route=doc",
    "can-switch/doc",
    "pending",
    "system",
    "openapi.yaml",
)


@pytest.fixture
async def moved(start_proxy: StartProxy) -> AsyncIterator[Api]:
    """Runs a proxy that follows its folder, with a legacy server and two operators."""
    async with start_proxy(legacy=True, watch=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        yield api


@pytest.fixture
def ana(moved: Api) -> Operator:
    return Operator(moved.http, moved.proxy.admin_url)


@pytest.fixture
def ben(moved: Api) -> Operator:
    return Operator(moved.http, moved.proxy.admin_url, BEN + "0")


async def test_without_tokens_the_api_is_closed_and_the_probes_are_open(start_proxy: StartProxy) -> None:
    async with start_proxy() as api:
        operator = Operator(api.http, api.proxy.admin_url)
        for path in (*READS, "/admin", "/admin/", "/admin/none", "/%61dmin/v1/routes"):
            found = await operator.get(path)
            assert (found.status, said(found)["type"]) == (404, "/problems/closed")
            assert said(found)["detail"] == "the admin API is closed: MICHIQ_ADMIN_TOKENS is not set"
        assert [(await operator.get(path)).status for path in PROBES] == [200] * 4


PROBES: Final = ("/livez", "/healthz", "/readyz", "/metrics")


async def test_probes_34_are_answered_apart_from_the_admin_api_where_they_have_an_address(
    start_proxy: StartProxy,
) -> None:
    environ = {"MICHIQ_STATUS_LISTEN": "127.0.0.1:0", "MICHIQ_ADMIN_TOKENS": TOKENS}
    async with start_proxy(watch=True, **environ) as api:
        assert api.proxy.status_url
        apart = Operator(api.http, api.proxy.status_url)
        beside = Operator(api.http, api.proxy.admin_url)
        for one in (apart, beside):
            assert [(await one.get(path)).status for path in PROBES] == [200] * 4
            assert [(await one.ask("HEAD", path)).status for path in PROBES] == [200] * 4
        for path in (*READS, "/admin", "/"):
            refused = await apart.get(path)
            assert (refused.status, said(refused)["title"]) == (404, "Not Found"), path
        for path in PROBES:
            assert (await apart.get(path)).answer.header("Cache-Control") == "no-store"
        assert (await beside.get("routes")).status == 200


async def test_probes_34_have_no_address_of_their_own_unless_it_is_set(api: Api) -> None:
    assert api.proxy.status_url is None


async def test_probes_34_are_answered_to_the_end(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_STATUS_LISTEN="127.0.0.1:0") as api:
        apart = Operator(api.http, api.proxy.status_url or "")
        api.proxy.ending._serving.stop()
        assert [(await apart.get(path)).status for path in ("/livez", "/readyz")] == [200, 503]


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="michiq-proxy admin"'),
        ({"Authorization": "Bearer 0123456789abcdee"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer 0123456789abcde"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer ana:0123456789abcdef"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer 0123456789abcdef 0123456789abcdef"}, ', error="invalid_token"'),
        ({"Authorization": "Basic MDEyMzQ1Njc4OWFiY2RlZg=="}, ', error="invalid_token"'),
        ({"Authorization": "0123456789abcdef"}, ', error="invalid_token"'),
        ({"Authorization": "Bearer ñ0123456789abcdef"}, ', error="invalid_token"'),
    ],
)
async def test_nobody_comes_in_without_an_operators_token(
    moved: Api, headers: dict[str, str], challenge: str
) -> None:
    stranger = Operator(moved.http, moved.proxy.admin_url, token="")
    for path in (*READS, "/admin/none", "/%61dmin/v1/routes"):
        refused = await stranger.get(path, **headers)
        assert (refused.status, said(refused)["title"]) == (401, "Unauthorized")
        assert (refused.answer.header("WWW-Authenticate") or "").endswith(challenge)
    changed = await stranger.ask("PUT", "overrides/doc", {"mode": "off", "reason": "x"}, headers=headers)
    assert changed.status == 401
    assert (await moved.proxy.deps.store.overrides.revision()) == 0


async def test_two_tokens_are_none(moved: Api) -> None:
    twice = [("Authorization", f"Bearer {ANA}")] * 2
    async with moved.http.get(f"{moved.proxy.admin_url}/admin/v1/routes", headers=twice) as response:
        assert response.status == 401


async def test_a_failed_login_is_logged_without_the_token(moved: Api) -> None:
    with captured_log() as log:
        for token in ("CANARY-0123456789", ""):
            await Operator(moved.http, moved.proxy.admin_url, token).get("overrides/doc?x=CANARY")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    failed = [line for line in lines if line["event"] == "admin_login_failed"]
    assert [line["fault"] for line in failed] == ["unknown", "missing"]
    assert {line["path"] for line in failed} == {"/admin/v1/overrides/{route}"}
    assert "CANARY" not in log.getvalue()


async def test_the_tokens_name_is_the_actor_in_the_history_and_in_the_audit(
    ana: Operator, ben: Operator
) -> None:
    await ana.set_mode("doc", "shadow", reason="compare")
    await ben.set_mode("doc", "canary", percent=5, reason="begin")
    changes = said(await ana.get("history"))["changes"]
    assert [(each["actor"], each["mode"], each["reason"]) for each in changes] == [
        ("ben", "canary", "begin"),
        ("ana", "shadow", "compare"),
    ]
    rows = said(await ana.get("audit?limit=2"))["rows"]
    assert [(row["actor"], row["action"], row["detail"]["mode"]) for row in rows] == [
        ("ben", "mode_set", "canary"),
        ("ana", "mode_set", "shadow"),
    ]


async def test_a_change_is_in_force_here_when_it_is_answered(moved: Api, ana: Operator) -> None:
    case = await moved.new_case()
    changed = await ana.set_mode("doc", "off")
    assert changed.status == 200, changed.answer.body
    async with moved.http.get(
        f"{moved.url}/michiQ/doc/{case['michiq_uuid']}", headers=bearer(case["token"])
    ) as response:
        assert response.status == 410
    assert said(changed)["override"]["revision"] == 1
    assert changed.answer.header("ETag") == '"1"'
    process = said(await ana.get("processes"))["processes"]
    assert len(process) == 1
    doc = next(each for each in said(await ana.get("routes"))["routes"] if each["route"] == "doc")
    assert doc["everyone"] == {"mode": "off", "percent": None, "revision": 1}
    assert doc["mapping"]["mode"] == "new"


async def test_an_organizations_override_stands_beside_everyones_until_it_ends(
    moved: Api, ana: Operator
) -> None:
    await ana.set_mode("doc", "shadow")
    changed = await ana.set_mode("doc", "canary", organization=" Clínica Norte ", percent=5, until="2 h")
    assert said(changed)["override"]["organization"] == "Clínica Norte"
    assert said(changed)["notes"] == ["organizations.toml does not name this organization"]
    before = await ana.get("overrides")
    assert [(each["mode"], each["organization"]) for each in said(before)["overrides"]] == [
        ("shadow", None),
        ("canary", "Clínica Norte"),
    ]
    doc = next(each for each in said(await ana.get("routes"))["routes"] if each["route"] == "doc")
    assert doc["everyone"]["mode"] == "shadow"
    assert [(each["mode"], each["percent"]) for each in doc["organizations"]] == [("canary", 5)]
    moved.clock.ahead = timedelta(hours=3)
    after = await ana.get("overrides", **{"If-None-Match": before.answer.header("ETag") or ""})
    assert after.status == 200
    assert [each["mode"] for each in said(after)["overrides"]] == ["shadow"]


@pytest.mark.parametrize(
    ("until", "status"),
    [
        ("2 h", 200),
        ("7 d", 200),
        ("2999-01-31T18:00:00Z", 422),  # more than ten years ahead
        ("2031-01-31T18:00:00Z", 200),
        ("2031-01-31T18:00:00.5-03:00", 200),
        ("2020-01-31T18:00:00Z", 422),
        ("2031-01-31T18:00:00", 422),
        ("2031-13-31T18:00:00Z", 422),
        ("2031-01-31", 422),
        ("tomorrow", 422),
        ("", 422),
        (7200, 422),
    ],
)
async def test_an_override_ends_at_a_time_or_after_a_while(ana: Operator, until: Any, status: int) -> None:
    assert (await ana.set_mode("doc", "off", until=until)).status == status


async def test_of_two_who_saw_the_same_one_changes_and_the_other_is_told(
    ana: Operator, ben: Operator
) -> None:
    tag = (await ana.get("overrides")).answer.header("ETag") or ""
    both = await asyncio.gather(
        ana.set_mode("doc", "shadow", tag), ben.set_mode("doc", "off", tag), ben.set_mode("query", "off", tag)
    )
    assert sorted(each.status for each in both) == [200, 412, 412]
    stale = next(each for each in both if each.status == 412)
    assert (said(stale)["type"], said(stale)["revision"]) == ("/problems/stale-revision", 1)
    assert stale.answer.header("ETag") == '"1"'
    assert len(said(await ana.get("history"))["changes"]) == 1


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (None, 428),
        ("*", 200),
        ('"1"', 200),
        ('"1.0af"', 200),
        ('"7", "1"', 200),
        ('"0"', 412),
        ('W/"1"', 412),
        ('"other"', 412),
        ('""', 412),
        ("1", 400),
        ('"1', 400),
        ('"1" "2"', 400),
        ("", 400),
    ],
)
async def test_a_change_says_what_was_seen(ana: Operator, seen: str | None, status: int) -> None:
    await ana.set_mode("doc", "shadow")
    headers = {} if seen is None else {"If-Match": seen}
    bodies: list[tuple[str, str, Any]] = [
        ("PUT", "overrides/doc", {"mode": "off", "reason": "x"}),
        ("DELETE", "overrides/doc?reason=x", None),
        ("POST", "rollback", {"reason": "x"}),
    ]
    for method, path, body in bodies:
        changed = await ana.ask(method, path, body, headers=headers)
        assert changed.status == status, changed.answer.body
        if status == 200:
            break  # the next one would see another revision


@pytest.mark.parametrize("path", ["overrides", "routes"])
async def test_what_is_there_already_is_not_sent_again(ana: Operator, path: str) -> None:
    await ana.set_mode("doc", "shadow")
    first = await ana.get(path)
    tag = first.answer.header("ETag") or ""
    assert tag.startswith('"1')
    for given in (tag, f'"0", {tag}', f"W/{tag}", "*"):
        again = await ana.get(path, **{"If-None-Match": given})
        assert (again.status, again.answer.body, again.answer.header("ETag")) == (304, b"", tag)
        assert again.answer.header("Content-Type") is None
    assert (await ana.get(path, **{"If-None-Match": '"0"'})).status == 200
    await ana.set_mode("doc", "off")
    assert (await ana.get(path, **{"If-None-Match": tag})).status == 200


async def test_a_tag_of_the_routes_is_good_for_a_change(ana: Operator) -> None:
    tag = (await ana.get("routes")).answer.header("ETag") or ""
    assert (await ana.set_mode("doc", "off", tag)).status == 200
    assert (await ana.set_mode("doc", "off", tag)).status == 412


async def test_a_rollback_undoes_the_newest_change_and_there_is_an_end_to_it(ana: Operator) -> None:
    await ana.set_mode("doc", "shadow")
    await ana.set_mode("query", "off")
    await ana.set_mode("doc", "off")
    undone = await ana.roll_back(route="query")
    assert (said(undone)["override"]["mode"], said(undone)["override"]["undoes"]) == (None, 2)
    assert said(await ana.roll_back())["override"]["mode"] == "shadow"
    assert said(await ana.roll_back())["override"]["mode"] is None
    nothing = await ana.roll_back()
    assert (nothing.status, said(nothing)["type"]) == (409, "/problems/nothing-to-undo")
    assert said(await ana.get("overrides"))["overrides"] == []


async def test_delete_gives_a_route_back_to_its_mapping_and_an_organization_to_everyones(
    ana: Operator,
) -> None:
    await ana.set_mode("doc", "shadow")
    await ana.set_mode("doc", "off", organization="Clínica Norte")
    path = "overrides/doc?reason=enough&organization=Cl%C3%ADnica%20Norte"
    cleared = await ana.ask("DELETE", path, headers={"If-Match": '"2"'})
    assert said(cleared)["override"]["mode"] is None
    assert [each["mode"] for each in said(await ana.get("overrides"))["overrides"]] == ["shadow"]
    await ana.ask("DELETE", "overrides/doc?reason=enough", headers={"If-Match": '"3"'})
    assert said(await ana.get("overrides"))["overrides"] == []


async def test_a_mode_that_needs_the_legacy_server_needs_one(start_proxy: StartProxy) -> None:
    async with start_proxy(MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        ana = Operator(api.http, api.proxy.admin_url)
        for mode in ("legacy", "shadow", "canary"):
            refused = await ana.set_mode("doc", mode)
            assert (refused.status, said(refused)["type"]) == (409, "/problems/no-legacy-server")
        assert [(await ana.set_mode("doc", mode)).status for mode in ("new", "off")] == [200, 200]
        reloaded = await ana.ask("POST", "mappings/reload")
        assert (reloaded.status, said(reloaded)["type"]) == (409, "/problems/nothing-to-reload")


async def test_reload_takes_the_files_into_force_or_says_what_is_wrong_with_them(
    ana: Operator, tmp_path: Path
) -> None:
    file = tmp_path / "mappings" / "doc.toml"
    good = file.read_text("utf-8")
    before = said(await ana.get("routes"))["mappings"]["digest"]
    file.write_text(good.replace('mode = "new"', 'mode = "shadow"'), "utf-8")
    reloaded = await ana.ask("POST", "mappings/reload")
    assert reloaded.status == 200, reloaded.answer.body
    assert said(reloaded)["digest"] != before
    file.write_text(good.replace('mode = "new"', 'mode = "shadowy"'), "utf-8")
    refused = await ana.ask("POST", "mappings/reload")
    assert (refused.status, said(refused)["type"]) == (409, "/problems/mappings-rejected")
    assert "doc.toml" in said(refused)["complaints"][0]
    told = said(await ana.get("routes"))
    assert told["mappings"] == {
        "digest": said(reloaded)["digest"],
        "rejected": said(refused)["complaints"],
    }
    assert next(each for each in told["routes"] if each["route"] == "doc")["everyone"]["mode"] == "shadow"


@pytest.mark.parametrize(
    ("body", "status", "pointers"),
    [
        ({"mode": "of", "reason": "x"}, 422, ["#/mode"]),
        ({"mode": None, "reason": "x"}, 422, ["#/mode"]),
        ({"reason": "x"}, 422, ["#/mode"]),
        ({"mode": "off"}, 422, ["#/reason"]),
        ({"mode": "off", "reason": "  "}, 422, ["#"]),
        ({"mode": "off", "reason": "two\nlines"}, 422, ["#"]),
        ({"mode": "off", "reason": "x" * 301}, 422, ["#"]),
        ({"mode": "off", "reason": "x", "a/b~c d": 1}, 422, ["#/a~1b~0c%20d"]),
        ({"mode": "off", "reason": "x", "organization": " "}, 422, ["#"]),
        ({"mode": "off", "reason": "x", "organization": 7}, 422, ["#/organization"]),
        ({"mode": "off", "reason": "x", "percent": 5}, 422, ["#"]),
        ({"mode": "canary", "reason": "x", "percent": 101}, 422, ["#"]),
        ({"mode": "canary", "reason": "x", "percent": "5"}, 422, ["#/percent"]),
        ({"mode": "canary", "percent": True}, 422, ["#/percent", "#/reason"]),
        (b"", 400, None),
        (b"[]", 400, None),
        (b'{"mode": "off", "reason": "x", "reason": "y"}', 400, None),
        (b'{"mode": "canary", "reason": "x", "percent": NaN}', 400, None),
        (b'{"mode": "off", "reason": "\xff"}', 400, None),
        (b'{"mode": "off", "reason": "\\ud800"}', 400, None),
        (b"[" * 1000, 400, None),
    ],
)
async def test_a_body_that_can_not_be_is_told_of_by_its_places(
    ana: Operator, body: Any, status: int, pointers: list[str] | None
) -> None:
    refused = await ana.ask("PUT", "overrides/doc", body, headers={"If-Match": "*"})
    assert refused.status == status, refused.answer.body
    told = said(refused)
    assert [each["pointer"] for each in told.get("errors", [])] == (pointers or [])
    assert (await ana.get("overrides")).answer.header("ETag") == '"0"'


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        ({}, 64 * 1024 + 1, 413),
        ({}, 256 * 1024, 413),
        ({"Content-Type": "text/plain"}, 10, 415),
        ({"Content-Type": "application/json; charset=latin-1"}, 10, 415),
        ({"Content-Type": "application/problem+json"}, 10, 415),
        ({"Content-Encoding": "gzip"}, 10, 415),
        ({"Content-Type": "application/json; charset=UTF-8"}, 64 * 1024, 400),
    ],
)
async def test_a_body_is_json_of_at_most_64_kib(
    ana: Operator, headers: dict[str, str], size: int, status: int
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(0, size, 1024):
            yield b" " * 1024

    whole = {"If-Match": "*", **headers}
    assert (await ana.ask("PUT", "overrides/doc", b" " * size, headers=whole)).status == status
    async with ana.http.put(
        f"{ana.url}/admin/v1/overrides/doc",
        data=pieces(),
        headers={**bearer(ANA), "Content-Type": "application/json", **whole},
    ) as response:
        assert response.status == status
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("history?limit=0", ["limit"]),
        ("history?limit=1001", ["limit"]),
        ("history?limit=ten", ["limit"]),
        ("history?limit=", ["limit"]),
        ("history?limit=1&limit=2", ["limit"]),
        ("history?lmit=1&route=dok", ["lmit"]),
        ("history?route=dok", ["route"]),
        ("audit?since=1", ["since"]),
        ("comparisons", ["route"]),
        ("comparisons?route=doc&days=0", ["days"]),
        ("comparisons?route=", ["route"]),
        ("differences?route=dok", ["route"]),
        ("learned?route=dok", ["route"]),
        ("clients?since=yesterday", ["since"]),
        ("clients?since=0", ["since"]),
        ("clients?since=2026-02-30", ["since"]),
        ("clients?since=20260201", ["since"]),
        ("history?limit=+5", ["limit"]),
        ("history?limit=1_0", ["limit"]),
        ("history?limit=5.0", ["limit"]),
        ("history?=", [""]),
        ("clients?route=dok&since=2026-01-01", ["route"]),
    ],
)
async def test_a_query_that_can_not_be_is_told_of_by_its_parameters(
    ana: Operator, path: str, parameters: list[str]
) -> None:
    refused = await ana.get(path)
    assert (refused.status, said(refused)["type"]) == (422, "/problems/invalid")
    assert [each["parameter"] for each in said(refused)["errors"]] == parameters


async def test_an_unknown_route_is_not_found_and_the_nearest_is_named(ana: Operator) -> None:
    for exchange in (
        await ana.set_mode("docs", "off"),
        await ana.ask("DELETE", "overrides/docs?reason=x", headers={"If-Match": "*"}),
        await ana.get("can-switch/docs"),
    ):
        assert exchange.status == 404
        assert said(exchange)["detail"] == "there is no such route; did you mean doc?"
    assert said(await ana.roll_back(route="docs"))["errors"][0]["pointer"] == "#/route"


async def test_any_other_method_or_path_is_a_problem_too(ana: Operator) -> None:
    for method, path, allowed in [
        ("POST", "routes", "GET, HEAD"),
        ("GET", "overrides/doc", "DELETE, PUT"),
        ("GET", "rollback", "POST"),
        ("OPTIONS", "overrides", "GET, HEAD"),
        ("POST", "/healthz", "GET, HEAD"),
        ("DELETE", "/readyz", "GET, HEAD"),
    ]:
        refused = await ana.ask(method, path, headers={"Origin": "https://other.example"})
        assert (refused.status, refused.answer.header("Allow")) == (405, allowed)
        assert refused.answer.header("Content-Type") == "application/problem+json"
        assert not [name for name, _ in refused.answer.headers if name.lower().startswith("access-control")]
    for path in ("none", "routes/", "/other", "/admin", "overrides/"):
        missing = await ana.ask("PROPFIND", path, headers={"Expect": "a-miracle"})
        assert (missing.status, said(missing)["title"]) == (404, "Not Found"), path
        assert missing.answer.header("Content-Type") == "application/problem+json"


async def test_head_is_served_where_get_is_and_nothing_is_for_a_cache(ana: Operator) -> None:
    for path in (*READS, "/livez", "/healthz", "/readyz"):
        for kind in ("application/json", "text/csv"):
            whole = await ana.get(path, Accept=kind)
            head = await ana.ask("HEAD", path, headers={"Accept": kind})
            assert (whole.status, head.status, head.answer.body) == (200, 200, b""), path
            for exchange in (whole, head):
                assert exchange.answer.header("Cache-Control") == "no-store"
                assert exchange.answer.header("Content-Type") == whole.answer.header("Content-Type")
                assert exchange.answer.header("Server") is None


async def test_a_request_that_is_no_http_is_a_problem_without_its_words(moved: Api) -> None:
    host, port = moved.proxy.admin_url.removeprefix("http://").split(":")
    for line in (b"GET /admin/\x00CANARY HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"CANARY" * 2000):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(line + b"\r\n\r\n")
        answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b" 400 Bad Request" in head.split(b"\r\n")[0]
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == 400
        assert b"CANARY" not in answer


async def test_a_store_that_fails_is_503_and_nothing_of_the_failure_is_told(
    ana: Operator, tmp_path: Path
) -> None:
    await damage(tmp_path, "ALTER TABLE overrides RENAME TO gone")
    with captured_log() as log:
        refused = await ana.get("overrides"), await ana.set_mode("doc", "off"), await ana.roll_back()
    assert log.getvalue().count("admin_store_failed") == 3
    for exchange in refused:
        assert (exchange.status, said(exchange)["title"]) == (503, "Service Unavailable")
        assert b"overrides" not in exchange.answer.body
        assert b"rror" not in exchange.answer.body


@pytest.mark.here_only("PostgreSQL itself takes no text that is no JSON")
async def test_what_nobody_foresaw_is_a_500_whose_text_is_told_to_nobody(
    moved: Api, ana: Operator, tmp_path: Path
) -> None:
    await asked_wrongly(moved, "r-1")
    await damage(tmp_path, "UPDATE requests SET story = 'CANARY'")
    with captured_log() as log:
        failed = await ana.get("requests/r-1")
    assert failed.status == 500
    assert said(failed)["detail"] == "this is an error of the proxy; see its log"
    assert "CANARY" not in log.getvalue()
    line = next(json.loads(each) for each in log.getvalue().splitlines() if "request_failed" in each)
    assert line["request_id"] == failed.answer.header("X-Request-ID")


async def test_a_requests_story_is_found_by_its_id_whatever_signs_it_has(moved: Api, ana: Operator) -> None:
    for request_id in ("r-1", "a/b:c=+1"):
        await asked_wrongly(moved, request_id)
        told = said(await ana.get(f"requests/{request_id.replace('/', '%2F')}"))
        assert told["request_id"] == request_id
        assert told["stories"][0]["story"]["route"] == "encounters"
    assert (await ana.get("requests/a/b:c=+1")).status == 200
    for unknown in ("r-2", "r-1%00", "r-1%0A", "r-1%FF"):
        assert (await ana.get(f"requests/{unknown}")).status == 404


async def test_calls_of_which_nobody_knows_are_shown_without_data(moved: Api, ana: Operator) -> None:
    assert said(await ana.get("pending")) == {"pending": []}
    journal, now = moved.proxy.deps.store.journal, moved.clock()
    await journal.begin(JournalEntry("i-1", "owner", "new_case", None, "digest", now))
    await journal.fail("i-1", "upstream_timeout", ambiguous=True)
    found = said(await ana.get("pending"))["pending"]
    assert [(each["id"], each["kind"], each["cause"]) for each in found] == [
        ("i-1", "new_case", "upstream_timeout")
    ]
    assert "owner" not in json.dumps(found)


async def test_cases_N19_that_no_client_was_told_of_are_shown_by_their_ids(moved: Api, ana: Operator) -> None:
    journal, now = moved.proxy.deps.store.journal, moved.clock()
    await journal.begin(JournalEntry("i-1", "owner", "new_case", None, "digest", now))
    await journal.fail("i-1", "made-for-refused", ambiguous=True, case_id="case-1")
    [found] = said(await ana.get("pending"))["pending"]
    assert (found["id"], found["cause"], found["case"]) == ("i-1", "made-for-refused", "case-1")


async def test_clients_are_told_as_json_and_to_spreadsheets_without_formulas(
    moved: Api, ana: Operator
) -> None:
    now = moved.clock()
    visits = [
        Visit(
            "a" * 64,
            "b" * 64,
            "Clínica Norte",
            "c" * 64,
            agent,
            "doc",
            "new",
            200,
            now - timedelta(days=days),
        )
        for agent, days in (("=cmd()", 0), ("okhttp/4.9", 3))
    ]
    await moved.proxy.deps.store.evidence.add(visits=visits, at=now)
    calls = said(await ana.get("clients"))["calls"]
    assert [each["user_agent"] for each in calls] == ["okhttp/4.9", "=cmd()"]
    since = said(await ana.get(f"clients?since={now.date()}&route=doc"))["calls"]
    assert [each["user_agent"] for each in since] == ["=cmd()"]
    assert said(await ana.get("clients?route=query"))["calls"] == []
    for accept in ("text/csv", "application/json;q=0.5, text/csv"):
        lines = (await ana.get("clients", Accept=accept)).answer.body.decode().splitlines()
        assert lines[0].startswith("key,organization,user,user_agent,")
        assert [line.split(",")[3] for line in lines[1:]] == ["okhttp/4.9", "'=cmd()"]
    for accept in ("*/*", "text/csv;q=0", "application/json, text/csv;q=0.9"):
        assert "calls" in said(await ana.get("clients", Accept=accept))


async def test_the_audit_is_verified_and_a_changed_row_is_seen(ana: Operator, tmp_path: Path) -> None:
    for mode in ("shadow", "off"):
        await ana.set_mode("doc", mode)
    whole = said(await ana.get("audit/verify"))
    assert (whole["ok"], whole["rows"], whole["first_bad"]) == (True, 2, None)
    await damage(tmp_path, "UPDATE audit SET actor = 'ben' WHERE id = 1")
    verdict = await ana.get("audit/verify")
    assert (verdict.status, said(verdict)["ok"], said(verdict)["first_bad"]) == (200, False, 1)


async def test_can_switch_weighs_what_was_seen_by_the_mappings_thresholds(start_proxy: StartProxy) -> None:
    edit = {"doc": lambda text: f"{text}\n[switch]\ncomparisons = 10\nmax_difference_percent = 50\n"}
    async with start_proxy(edit, legacy=True, MICHIQ_ADMIN_TOKENS=TOKENS) as api:
        ana = Operator(api.http, api.proxy.admin_url)
        outcomes = [Outcome("doc", "a" * 64, "match")] * 12
        visit = Visit("", "", "Clínica Sur", "d" * 64, "", "doc", "shadow", 200, api.clock())
        await api.proxy.deps.store.evidence.add(outcomes=outcomes, visits=[visit], at=api.clock())
        verdict = said(await ana.get("can-switch/doc"))
        assert (verdict["yes"], verdict["comparisons"], verdict["contract_run"]) == (False, 12, None)
        assert verdict["never_compared"] == [{"hash": "d" * 64, "name": "Clínica Sur"}]
        assert {each["ok"] for each in verdict["reasons"]} == {True, False}
        counted = said(await ana.get("comparisons?route=doc&days=1"))["comparisons"]
        assert [(each["outcome"], each["count"]) for each in counted] == [("match", 12)]


async def asked_wrongly(api: Api, request_id: str) -> None:
    """Sends a request that the proxy itself refuses; its story is written on return."""
    headers = {"X-Request-ID": request_id}
    async with api.http.post(f"{api.url}/michiQ/encounters", headers=headers) as response:
        assert response.status == 405
    await api.proxy.moving.recorder.flush()


async def called(api: Api, *names: str) -> None:
    """Adds a call of each organization to the ledger."""
    store, now = api.proxy.deps.store, api.clock()
    calls = [
        Visit("k", "u", name, store.sealer.organization(name), "okhttp", "new_case", "legacy", 200, now)
        for name in names
    ]
    await store.evidence.add(visits=calls, at=now)


@pytest.mark.on_both
async def test_who_is_in_a_canary_is_listed_page_by_page_with_the_rule(moved: Api, ana: Operator) -> None:
    await called(moved, "Clínica Norte", "Clínica Sur", "Clínica Este")
    await ana.set_mode("new_case", "canary", percent=50)
    await ana.set_mode("new_case", "new", organization="Clínica Sur")
    outcomes = [Outcome("new_case", moved.proxy.deps.store.sealer.organization("Clínica Sur"), "difference")]
    await moved.proxy.deps.store.evidence.add(outcomes=outcomes, at=moved.clock())
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page = said(await ana.get(f"organizations?route=new_case&limit=2{cursor}"))
        found += page["organizations"]
        cursor = f"&cursor={page['next']}" if page["next"] else None
    by_name = {each["name"]: each for each in found if each["calls"]}
    assert by_name.keys() == {"Clínica Norte", "Clínica Sur", "Clínica Este"}
    sur = by_name["Clínica Sur"]
    assert (sur["side"], sur["rule"], sur["set_by"], sur["revision"]) == ("new", "mode", "organization", 2)
    assert (sur["compared"], sur["differing"], sur["calls"]) == (1, 1, 1)
    norte = by_name["Clínica Norte"]
    assert (norte["rule"], norte["side"] == "new") == ("percent", norte["bucket"] < 5000)


@pytest.mark.on_both
async def test_a_preview_says_what_its_change_would_do_and_changes_nothing(moved: Api, ana: Operator) -> None:
    await called(moved, "Clínica Norte")
    await ana.set_mode("new_case", "legacy")
    shown = await ana.ask("POST", "overrides/new_case:preview", {"mode": "new"})
    found = said(shown)
    assert [(each["name"], each["before"]["side"], each["after"]["side"]) for each in found["moves"]] == [
        ("Clínica Norte", "legacy", "new")
    ]
    assert (found["refused"], found["risks"], found["unchanged"]) == (True, ["new"], False)
    assert (shown.answer.header("ETag"), said(await ana.get("overrides"))["revision"]) == ('"1"', 1)
    again = said(await ana.ask("POST", "overrides/new_case:preview", {"mode": "legacy"}))
    assert (again["unchanged"], again["moves"], again["against"]) == (True, [], [])


@pytest.mark.parametrize("body", [{}, {"mode": "off", "clear": True}, {"mode": "off", "percent": 5}])
async def test_a_preview_of_what_can_not_be_meant_is_refused(ana: Operator, body: Any) -> None:
    assert (await ana.ask("POST", "overrides/doc:preview", body)).status == 422


async def test_the_audit_says_that_a_change_came_by_the_api(ana: Operator) -> None:
    await ana.set_mode("doc", "shadow")
    await ana.roll_back()
    await ana.set_mode("doc", "off")
    await ana.ask("DELETE", "overrides/doc?reason=x", headers={"If-Match": "*"})
    rows = said(await ana.get("audit?limit=4"))["rows"]
    assert [row["detail"]["via"] for row in rows] == ["api"] * 4


async def test_the_ledger_has_the_side_that_answered(moved: Api, ana: Operator) -> None:
    await moved.new_case()
    await moved.proxy.moving.recorder.flush()
    calls = said(await ana.get("clients"))["calls"]
    assert [(each["route"], each["side"]) for each in calls] == [("new_case", "new")]
