"""Spans of requests, calls and shadow runs, as a real collector gets them."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import pytest

from proxy.sandbox import Fault, SandboxConfig, run_sandbox
from proxy.upstream import open_upstreams
from proxy.upstream.trace_context import CONTEXT, TraceContext
from proxy.values import Identity
from tests.captured import captured_log
from tests.conftest import API_KEY, IDENTITY, Api, StartProxy, bearer
from tests.flows._client import until
from tests.rollout.moving import mode, new_case
from tests.rollout.shadow.test_shadow import compared, live
from tests.upstream.test_trace_context import GIVEN, PARENT, TRACE
from tests.web.collector import Collector, Seen

IN_ORDER: Final = 'me_beside = "0 s"'
HOST: Final = "127.0.0.1"
EVERYWHERE: Final = {"MICHIQ_TRACE_TO": HOST}


def in_order(text: str) -> str:
    """Changes newCase's mapping, so that users/me is always called first."""
    return text.replace('me_beside = "15 min"', IN_ORDER)


async def refused(api: Api, **headers: str) -> int:
    async with api.http.get(f"{api.url}/michiQ/encounters", headers=headers) as response:
        return response.status


async def unmapped(api: Api, method: str = "GET", **headers: str) -> int:
    async with api.http.request(method, f"{api.url}/other/place", headers=headers) as response:
        await response.read()
        return response.status


def sent(calls: Sequence[Mapping[str, str]], name: str) -> list[str | None]:
    return [call.get(name) for call in calls]


def headers_to(api: Api, system: str) -> list[dict[str, str]]:
    """Returns the headers of each call that a system of the sandbox got, names in lower case."""
    calls = getattr(api.sandbox, system).calls
    return [{name.decode().lower(): value.decode() for name, value in call.headers} for call in calls]


def below(parent: Seen, collector: Collector) -> list[Seen]:
    """Returns the spans whose parent this is."""
    place = parent.trace_id, parent.span_id
    return [span for span in collector.spans if (span.trace_id, span.parent_id) == place]


def names(spans: list[Seen]) -> list[str]:
    return [span.name for span in spans]


async def test_a_new_case_is_a_server_span_with_a_client_span_for_each_call(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy({"new_case": in_order}) as api:
        await api.new_case()
    server = collector.named("POST /michiQ/newCase")
    assert server == Seen(
        name="POST /michiQ/newCase",
        kind="SERVER",
        trace_id=server.trace_id,
        span_id=server.span_id,
        parent_id="",
        nanoseconds=server.nanoseconds,
        has_failed=False,
        attributes={
            "http.request.method": "POST",
            "http.route": "/michiQ/newCase",
            "http.response.status_code": 200,
            "michiq.mode": "new",
            "michiq.side": "new",
            "michiq.revision": 0,
        },
        links=[],
    )
    calls = below(server, collector)
    assert names(calls) == ["GET /api/users/me", "POST /api/cases"]
    assert {call.kind for call in calls} == {"CLIENT"}
    assert calls[1].attributes == {
        "http.request.method": "POST",
        "url.template": "/api/cases",
        "http.response.status_code": 200,
        "server.address": HOST,
        "michiq.upstream": "llamalitica",
    }
    assert 0 < calls[1].nanoseconds <= server.nanoseconds


async def test_a_query_names_templates_where_ids_were(start_proxy: StartProxy, collector: Collector) -> None:
    async with start_proxy() as api:
        made = await api.new_case()
        url = f"{api.url}/michiQ/query/{made['michiq_uuid']}"
        async with api.http.post(url, json={"query": "¿Qué?"}, headers=bearer(made["token"])) as response:
            assert response.status == 200
    server = collector.named("POST /michiQ/query/{id}")
    assert server.attributes["http.route"] == "/michiQ/query/{id}"
    assert names(below(server, collector)) == [
        "POST /api/conversations",
        "POST /api/conversations/{id}/messages",
    ]


async def test_a_refused_call_has_our_cause_and_is_no_fault_of_the_server(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy() as api:
        assert await refused(api) == 401
    [server] = collector.spans
    assert server.attributes["error.type"] == "no-token"
    assert server.attributes["http.response.status_code"] == 401
    assert not server.has_failed


async def test_a_failed_call_has_its_cause_and_fails_both_spans(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy({"new_case": in_order}) as api:
        api.sandbox.llamalitica.faults.add(Fault(kind="status", status=503, path_prefix="/api/cases"))
        assert (await new_case(api))[0] == 500
    server, call = collector.named("POST /michiQ/newCase"), collector.named("POST /api/cases", "CLIENT")
    assert [server.has_failed, call.has_failed] == [True, True]
    assert server.attributes["error.type"] == call.attributes["error.type"] == "llamalitica-503"
    assert call.attributes["http.response.status_code"] == 503


async def test_a_pass_through_says_so_and_a_path_without_a_mapping_stays_unknown(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy({"encounters": mode("legacy")}, legacy=True) as api:
        await refused(api)
        await unmapped(api)
        await unmapped(api, "PROPFIND")
    passed, *others = [span for span in collector.spans if span.kind == "SERVER"]
    assert (passed.attributes["michiq.mode"], passed.attributes["michiq.side"]) == ("legacy", "legacy")
    assert names(below(passed, collector)) == ["GET /michiQ/encounters"]
    assert [other.name for other in others] == ["GET /{path}", "HTTP /{path}"]
    assert others[1].attributes["http.request.method"] == "_OTHER"
    call = next(span for span in collector.spans if span.parent_id == others[0].span_id)
    assert (call.name, "url.template" in call.attributes) == ("GET", False)


async def test_a_shadow_run_is_a_trace_of_its_own_with_a_link_to_the_request(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy({"new_case": live}, legacy=True, **EVERYWHERE) as api:
        await api.new_case(traceparent=GIVEN)
        assert await compared(api, "new_case") != {}
        asked = headers_to(api, "llamalitica")
    server, run = collector.named("POST /michiQ/newCase"), collector.named("shadow new_case", "INTERNAL")
    assert (run.kind, run.parent_id, run.links) == ("INTERNAL", "", [(server.trace_id, server.span_id)])
    assert run.trace_id != server.trace_id == TRACE
    assert run.attributes == {"michiq.route": "new_case", "michiq.shadow.outcome": "match"}
    calls = [span for span in collector.spans if span.parent_id == run.span_id]
    assert {span.trace_id for span in calls} == {run.trace_id}
    assert {f"00-{run.trace_id}-{call.span_id}-03" for call in calls} == {*sent(asked, "traceparent")}


@pytest.mark.parametrize(
    ("traceparent", "continued"),
    [(GIVEN, True), (GIVEN.replace("00-", "cc-", 1), True), (GIVEN[:-1], False), (GIVEN.upper(), False)],
)
async def test_a_trace_of_the_client_goes_on_and_a_malformed_one_begins_a_new_one(
    start_proxy: StartProxy, collector: Collector, traceparent: str, continued: bool
) -> None:
    with captured_log() as log:
        async with start_proxy() as api:
            await refused(api, traceparent=traceparent)
    [server] = collector.spans
    assert (server.trace_id == TRACE, server.parent_id == PARENT) == (continued, continued)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [line["trace_id"] for line in lines if line["event"] == "request"] == [server.trace_id]


async def test_the_clients_no_to_sampling_is_followed(start_proxy: StartProxy, collector: Collector) -> None:
    async with start_proxy(**EVERYWHERE) as api:
        await api.new_case(traceparent=GIVEN[:-1] + "0")
        asked = headers_to(api, "llamalitica")
    assert [span for span in collector.spans if span.trace_id == TRACE] == []
    assert {str(each)[-3:] for each in sent(asked, "traceparent")} == {"-00"}


async def test_the_sampler_is_the_variables(
    start_proxy: StartProxy, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    async with start_proxy() as api:
        await refused(api)
        await refused(api, traceparent=GIVEN)
    assert [span.trace_id for span in collector.spans] == [TRACE]


async def test_the_process_is_named_and_the_variables_win(
    start_proxy: StartProxy, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cr3t")
    async with start_proxy() as api:
        await refused(api)
    assert collector.resource["service.name"] == "michiq-proxy"
    assert collector.resource["deployment.environment.name"] == "test"
    assert [each["api-key"] for each in collector.headers] == ["s3cr3t"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "michiq-madrid")
    collector.bodies.clear()
    async with start_proxy() as api:
        await refused(api)
    assert collector.resource["service.name"] == "michiq-madrid"


async def test_a_call_goes_out_under_the_id_of_its_span(
    start_proxy: StartProxy, collector: Collector
) -> None:
    async with start_proxy({"new_case": in_order}, **EVERYWHERE) as api:
        await api.new_case(traceparent=GIVEN, tracestate="vendor=opaque")
        asked = headers_to(api, "llamalitica")
    calls = [span for span in collector.spans if span.kind == "CLIENT"]
    assert sent(asked, "traceparent") == [f"00-{TRACE}-{call.span_id}-01" for call in calls]
    assert sent(asked, "tracestate") == ["vendor=opaque"] * 2
    assert b"opaque" not in b"".join(collector.bodies)


@pytest.mark.parametrize("exports", [True, False])
async def test_no_host_gets_a_trace_that_is_not_named(
    start_proxy: StartProxy, collector: Collector, monkeypatch: pytest.MonkeyPatch, exports: bool
) -> None:
    if not exports:
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with start_proxy({"encounters": mode("legacy")}, legacy=True) as api:
        await api.new_case(traceparent=GIVEN)
        await refused(api)
        asked = headers_to(api, "llamalitica") + headers_to(api, "michiq")
    assert len(asked) >= 3
    assert sent(asked, "traceparent") == [None] * len(asked)
    assert (collector.spans != []) == exports


async def test_only_named_hosts_get_the_trace() -> None:
    context = TraceContext(TRACE, PARENT, flags=1)
    async with (
        run_sandbox(SandboxConfig()) as sandbox,
        open_upstreams(
            llamalitica_url=sandbox.llamalitica.url,
            llamachat_url=sandbox.llamachat.url.replace(HOST, "localhost"),
            legacy_url=None,
            randomness=lambda size: bytes(size),
            on_call=lambda call: None,
            trace_to=frozenset({HOST}),
        ) as upstreams,
    ):
        CONTEXT.set(context)
        await upstreams.llamalitica.me(Identity(API_KEY, IDENTITY["user_mail"], None))
        assert upstreams.llamachat
        await upstreams.llamachat.start("sandbox-chat-key")
        [asked], [chat] = sandbox.llamalitica.calls, sandbox.llamachat.calls
    assert (asked.header("traceparent"), chat.header("traceparent")) == (GIVEN.encode(), None)


async def test_without_spans_of_ours_the_clients_own_context_goes_on(start_proxy: StartProxy) -> None:
    async with start_proxy(**EVERYWHERE) as api:
        await api.new_case(traceparent=GIVEN, tracestate="a=1")
        await api.new_case()
        asked = headers_to(api, "llamalitica")
    given = [each for each in sent(asked, "traceparent") if each is not None]
    assert {*given} == {GIVEN}
    assert len(given) < len(asked)


@pytest.mark.parametrize("own", [GIVEN, "malformed"])
async def test_a_pass_through_leaves_the_clients_own_context_untouched(
    start_proxy: StartProxy, collector: Collector, own: str
) -> None:
    async with start_proxy(legacy=True, **EVERYWHERE) as api:
        await unmapped(api, traceparent=own, tracestate="a = b")
        await unmapped(api)
        [first, second] = headers_to(api, "michiq")
    assert (first["traceparent"], first["tracestate"]) == (own, "a = b")
    call = [span for span in collector.spans if span.kind == "CLIENT"][1]
    assert second["traceparent"] == f"00-{call.trace_id}-{call.span_id}-03"
    assert "tracestate" not in second


SECRET: Final = "c0llector-s3cret"


def told(log: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in log.splitlines()]
    return [line for line in lines if line.get("level") in ("warning", "error", "critical")]


@pytest.mark.parametrize("status", [None, 401, 503], ids=["hangs", "refuses", "is busy"])
async def test_a_bad_collector_costs_spans_and_one_warning(
    start_proxy: StartProxy, collector: Collector, monkeypatch: pytest.MonkeyPatch, status: int | None
) -> None:
    collector.status = status
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    monkeypatch.setattr("proxy.observe.tracing._MOST_FLUSH_SECONDS", 0.1)
    with captured_log() as log:
        async with start_proxy() as api:
            for _ in range(3):
                assert await refused(api) == 401
            await until(lambda: collector.bodies)
    warnings = told(log.getvalue())
    assert {line["event"] for line in warnings} == {"traces_lost"}
    assert sum(int(str(line["spans"])) for line in warnings) == 3
    assert SECRET not in log.getvalue()


async def test_an_address_with_nobody_behind_it_costs_spans_and_shows_no_password(
    start_proxy: StartProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:{SECRET}@127.0.0.1:1")
    monkeypatch.setattr("proxy.observe.tracing._MOST_FLUSH_SECONDS", 0.1)
    with captured_log() as log:
        async with start_proxy() as api:
            assert await refused(api) == 401
    [warning] = told(log.getvalue())
    assert (warning["event"], warning["spans"]) == ("traces_lost", 1)
    assert SECRET not in log.getvalue()


async def test_without_the_extra_the_proxy_serves_and_says_how_to_install_it(
    start_proxy: StartProxy, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "proxy.observe.otlp", None)
    with captured_log() as log:
        async with start_proxy() as api:
            assert await refused(api) == 401
    [warning] = told(log.getvalue())
    assert warning["event"] == "traces_off"
    assert "pip install 'michiq-proxy[otel]'" in str(warning["hint"])
    assert collector.bodies == []
