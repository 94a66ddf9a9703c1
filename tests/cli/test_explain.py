"""`michiq-proxy explain`: the trace of one request, for an operator who was woken by it."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final, get_args

import pytest

from proxy.compare import Kind
from proxy.rollout.decide import Token, Why
from proxy.rollout.explain.words import DIFFERENCES, TOKENS, WHYS
from proxy.store import Store
from proxy.store.audit.request_traces import RequestTrace
from proxy.values import Side
from tests.captured import captured_log
from tests.conftest import IDENTITY, Api, StartProxy, case_form
from tests.stores import ENGINES

from .filled import Site, ago, said, site

ID: Final = "r-1"


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site(tmp_path, secret_key, monkeypatch)


def request(**changes: Any) -> dict[str, Any]:
    """Returns the trace of a GET on doc that the legacy server answered."""
    return {
        "route": "doc",
        "asked": {
            "method": "GET",
            "headers": ["authorization", "host"],
            "other_headers": 2,
            "bytes": 0,
            "token": "known",
            "user": "u" * 16,
            "organization": "c" * 16,
            "id_lives_on": "legacy",
            **changes.pop("asked", {}),
        },
        "decided": decided(),
        "calls": [call()],
        "answered": {"status": 200, "bytes": 1234, "cause": None, "milliseconds": 40},
        **changes,
    }


def decided(**changes: Any) -> dict[str, Any]:
    values = {"side": "legacy", "why": "home", "mode": "new", "percent": 0.0, "revision": 12}
    return {**values, "shadowed": False, **changes}


def call(**changes: Any) -> dict[str, Any]:
    values = {"upstream": "legacy", "method": "GET", "path": "/michiQ/doc/{id}", "status": 200}
    return {**values, "cause": None, "milliseconds": 35, **changes}


def shadow(outcome: str, *differences: dict[str, str]) -> dict[str, Any]:
    return {"shadow": {"outcome": outcome, "differences": list(differences)}}


def difference(kind: str, path: str = "voice") -> dict[str, str]:
    return {"path": path, "kind": kind, "control": "string", "candidate": "number"}


def tell(here: Site, *stories: dict[str, Any]) -> str:
    """Returns the text that `explain` prints for a request with these traces."""

    async def add(store: Store) -> None:
        await store.evidence.add(stories=[RequestTrace(ID, ago(hours=1), each) for each in stories], at=ago())

    here.fill(add)
    result = here.call("explain", ID)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= 100
    return said(result)


def test_a_request_is_told_from_what_came_in_to_what_was_answered(here: Site) -> None:
    lines = [
        "GET on the route doc, with the headers authorization, host, and 2 others.",
        f"user {'u' * 16} of organization {'c' * 16}, with a token that this proxy knows.",
        "The id in the path lives on the legacy server.",
        "The mode was new, by revision 12.",
        "home: the case was made on the legacy server, so its calls go there whatever the mode says.",
        "legacy: GET /michiQ/doc/{id} answered 200 after 35 ms.",
        "The client got 200, 1,234 bytes, after 40 ms.",
    ]
    told = tell(here, request())
    places = [told.find(line) for line in lines]
    assert -1 not in places, told
    assert places == sorted(places)


@pytest.mark.parametrize("why", get_args(Why))
@pytest.mark.parametrize("side", get_args(Side))
def test_every_reason_has_a_sentence(here: Site, why: str, side: str) -> None:
    told = tell(here, request(decided=decided(why=why, side=side)))
    sentence = told.partition(f"decided {why}: ")[2].partition(".")[0]
    assert len(sentence.split()) > 5, told


def test_no_code_of_a_story_is_without_words() -> None:
    for codes, words in ((Why, WHYS), (Kind, DIFFERENCES), (Token, TOKENS)):
        assert set(get_args(codes)) == set(words)


@pytest.mark.parametrize(
    ("story", "told"),
    [
        (request(decided=decided(mode="canary", percent=12.5)), "The mode was canary of 12.5 %, by revision"),
        (request(decided=decided(mode="new", revision=0)), "The mode was new, by the mapping file."),
        (request(decided=None), "It was refused before a side was chosen."),
        (request(route="none", decided=None), "GET on no route of the mappings"),
        (request(route="none", decided=None), "It is no legacy call."),
        (request(asked={"method": "other"}), "a method that no route has on the route doc"),
        (request(asked={"bytes": 5000}), "on the route doc, 5,000 bytes, with"),
        (request(asked={"user": None, "organization": None}), "a caller that this proxy doesn't know"),
        (
            request(calls=[call(status=None, cause="legacy-timeout")]),
            "GET /michiQ/doc/{id} gave no answer (legacy-timeout) after 35 ms.",
        ),
        (
            request(answered={"status": 500, "bytes": 0, "cause": "llamalitica-402", "milliseconds": 7}),
            "The client got 500 because of llamalitica-402, after 7 ms.",
        ),
        (shadow("match"), "The new side would have answered the same."),
        (shadow("dropped:not-sampled"), "Not compared: it was not in the sample (sample_percent)."),
        (shadow("dropped:something-new"), "Not compared: something-new."),
        (shadow("dry-run-failed:a:b"), "breaks the new API's description: a:b."),
        (shadow("difference", difference("missing")), "`voice` (string) is missing on the new side."),
        (shadow("difference", difference("type")), "`voice` is string on the legacy server, number on"),
        (shadow("difference", difference("text", "")), "The whole answer (string) is another text."),
        (shadow("difference", difference("status", "")), "The status is string on the legacy server, number"),
    ],
)
def test_a_step_is_told_in_a_sentence(here: Site, story: dict[str, Any], told: str) -> None:
    assert told in tell(here, story)


def test_all_requests_of_one_id_are_told_with_what_their_shadows_found(here: Site) -> None:
    told = tell(here, request(decided=decided(shadowed=True)), shadow("match"), request(route="query"))
    assert told.count("answered at") == 2
    assert told.index("on the route doc") < told.index("answered the same") < told.index("route query")
    assert told.count("runs after the answer") == 1


def test_a_program_gets_the_stories_as_they_are(here: Site) -> None:
    tell(here, request(), shadow("match"))
    found = json.loads(here.call("explain", ID, "--json").stdout)
    assert [each["story"] for each in found] == [request(), shadow("match")]
    assert {each["request_id"] for each in found} == {ID}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_an_unknown_id_ends_with_1_and_a_sentence(here: Site, arguments: list[str]) -> None:
    tell(here, request())
    result = here.call("explain", "r-2", *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "r-2 is not among the stored requests" in result.output


async def test_what_a_proxy_keeps_of_a_request_is_what_explain_tells(
    tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch, start_proxy: StartProxy
) -> None:
    async with start_proxy({"new_case": _shadowed}, legacy=True) as api:
        await api.new_case(case_form(ehr='{"id": "p-1", "name": "Quirogamuñoz"}'), **{"X-Request-ID": ID})
        await _kept(api, 2)
        monkeypatch.chdir(tmp_path)
        stored = await ENGINES.environ(tmp_path)
        for name, value in {"MICHIQ_SECRET_KEYS": secret_key, **stored}.items():
            monkeypatch.setenv(name, value)
        with captured_log():
            result = await asyncio.to_thread(Site(tmp_path, secret_key).call, "explain", ID)
    told = said(result)
    assert "POST on the route new_case" in told
    assert "mode: only the mode decides here, and it says the legacy server." in told
    assert "legacy: POST /michiQ/newCase answered 200" in told
    assert "The client got 200" in told
    assert "The new side would have answered" in told
    assert [secret for secret in ("Quirogamuñoz", *IDENTITY.values()) if secret in told] == []


async def _kept(api: Api, count: int) -> None:
    """Returns once the store has so many traces of the request: they come right after its last byte."""
    async with asyncio.timeout(20):
        while len(await api.proxy.deps.store.stories.of(ID)) < count:
            await api.proxy.moving.shadow.idle()
            await api.proxy.moving.recorder.flush()
            await asyncio.sleep(0.005)


def _shadowed(text: str) -> str:
    return text.replace('mode = "new"', 'mode = "shadow"')
