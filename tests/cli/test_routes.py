"""`michiq-proxy routes`: the files' modes, those in force, the processes that follow, what was learned."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from proxy.cli.routes.report import Now, listing
from proxy.cli.shared.console import columns
from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.modes import EVERYONE, Change
from proxy.rollout.live import mappings_digest
from proxy.rollout.snapshot import InForce
from proxy.store import JournalEntry, Store
from proxy.store.rollout.evidence import SeenAnswer
from tests.cli.shared.test_console import printed

from .filled import Site, ago, nothing, said, site

OWN: Final = ("route", "method", "path", "mode", "timeout", "s", "body", "bytes")

END: Final = ago(days=-30)

Work: TypeAlias = Callable[[Store], Awaitable[Any]]


@pytest.fixture
def here(tmp_path: Path, secret_key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site(tmp_path, secret_key, monkeypatch)


def set_to(mode: Any, route: str = "doc", organization: str | None = None, **changes: Any) -> Work:
    """Makes a change as of three days ago."""
    change = Change(actor="eva", reason="try", route=route, mode=mode, organization=organization, **changes)

    async def add(store: Store) -> None:
        await store.overrides.change(change, expected=None, at=ago(days=3))

    return add


def process(name: str, mappings: str, *, revision: int = 0, seconds: float = 0, rejected: str = "") -> Work:
    async def add(store: Store) -> None:
        await store.processes.report(
            name,
            name,
            revision=revision,
            mappings_digest=mappings,
            rejected=[rejected] if rejected else [],
            started_at=ago(hours=1),
            at=ago(seconds=seconds),
        )

    return add


def ambiguous(intent: str, kind: str = "new_case", cause: str = "llamalitica-timeout") -> Work:
    async def add(store: Store) -> None:
        await store.journal.begin(JournalEntry(intent, "o" * 64, kind, None, "body", ago(days=1)))
        await store.journal.fail(intent, cause, ambiguous=True)

    return add


def seen(side: Any, *leaves: tuple[str, str], route: str = "query", status: int = 200) -> Work:
    one = SeenAnswer(route, side, status, "application/json", frozenset({("", "object"), *leaves}))

    async def add(store: Store) -> None:
        await store.evidence.add(seen=[one], at=ago())

    return add


def in_force(here: Site, route: str = "doc") -> dict[str, Any]:
    rows = json.loads(here.call("routes", "--json").stdout)
    found: dict[str, Any] = next(row["in_force"] for row in rows if row["route"] == route)
    return found


@pytest.mark.parametrize("arguments", [["mappings"], []], ids=["a folder is named", "there are no keys"])
def test_without_a_store_the_files_own_modes_are_listed(
    here: Site, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here.fill(set_to("off"))
    if not arguments:
        monkeypatch.delenv("MICHIQ_SECRET_KEYS")
    result = here.call("routes", *arguments)
    assert result.output.split()[: len(OWN)] == list(OWN)
    assert (result.exit_code, "off" in result.output, "note" in result.output) == (0, False, False)
    rows = json.loads(here.call("routes", "--json", *arguments).stdout)
    assert {"in_force" in row for row in rows} == {False}


def test_a_store_that_was_never_made_is_not_made_by_looking(here: Site) -> None:
    result = here.call("routes")
    assert (result.exit_code, "in force" in result.output) == (0, False)
    assert [path.name for path in here.folder.iterdir()] == ["mappings"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("MICHIQ_LISTEN", "8080", "MICHIQ_LISTEN needs host:port"),
        ("MICHIQ_SECRET_KEYS", "A" * 43 + "=", "none of the keys opens this database"),
    ],
)
def test_settings_that_lead_to_no_store_are_told_of_beside_the_listing(
    here: Site, name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.fill(set_to("off"))
    monkeypatch.setenv(name, value)
    result = here.call("routes")
    assert (result.exit_code, told in result.stderr) == (0, True), result.output
    assert "what is in force is unknown" in result.stderr
    assert result.stdout.split()[: len(OWN)] == list(OWN)


@pytest.mark.parametrize(
    ("works", "told"),
    [
        pytest.param([], "new", id="nothing was set"),
        pytest.param([set_to("off")], "off", id="for good"),
        pytest.param([set_to("off"), set_to(None)], "new", id="set and given back"),
        pytest.param([set_to("canary", percent=12.5)], "canary 12.5 %", id="a canary"),
        pytest.param([set_to("off", until=ago(days=1))], "new", id="until yesterday"),
        pytest.param([set_to("legacy", organization="Norte")], "new +1", id="one has another"),
        pytest.param(
            [set_to("legacy"), set_to("legacy", organization="Norte"), set_to("off", organization="Sur")],
            "legacy +1",
            id="one has the same of its own",
        ),
        pytest.param([set_to("off", route="query")], "new", id="another route was set"),
    ],
)
def test_the_listing_has_what_is_in_force_for_everyone(here: Site, works: list[Work], told: str) -> None:
    here.fill(nothing)
    for work in works:
        here.fill(work)
    words = next(line.split() for line in here.call("routes").output.splitlines() if line.startswith("doc\t"))
    assert " ".join(words[4:-2]) == told


def test_an_end_within_the_day_is_told_by_its_time(here: Site) -> None:
    at = datetime(2026, 3, 21, 10, 0, tzinfo=UTC)
    table = load_table(here.folder / "mappings", SPECS)
    everyone = InForce("shadow", 0.0, EVERYONE, 3)
    for end, told in [(at.replace(hour=14, minute=30), "14:30Z"), (END, f"{END:%Y-%m-%d %H:%MZ}")]:
        now = dict.fromkeys(table.routes, Now(everyone, end, 2))
        cells = [row[4] for row in listing(table, now, at).rows]
        assert cells[0] == f"shadow until {told} +2"


def test_the_listing_is_at_most_100_columns_wide(here: Site) -> None:
    for work in (set_to("canary", percent=12.5, until=END), set_to("off", organization="Norte")):
        here.fill(work)
    heads, *rows = (line.split("\t") for line in here.call("routes").stdout.splitlines()[:8])
    grid = columns(*heads, wraps=["in force"])
    for row in rows:
        grid.add_row(*row)
    for width in (60, 80, 100):
        lines = printed(grid, width).splitlines()
        assert max(map(len, lines)) <= width
        assert "/michiQ/speechToText/{id}" in " ".join(lines)


def test_a_program_gets_what_is_in_force_beside_the_files_mode(here: Site) -> None:
    here.fill(set_to("canary", percent=25, until=END))
    here.fill(set_to("off", organization="Norte"))
    found = in_force(here)
    assert datetime.fromisoformat(found.pop("until")) == END.replace(
        microsecond=END.microsecond // 1000 * 1000
    )
    assert found == {"mode": "canary", "percent": 25.0, "revision": 1, "organizations": 1}
    assert in_force(here, "query") == {
        "mode": "new",
        "percent": None,
        "until": None,
        "revision": 0,
        "organizations": 0,
    }


def test_notes_are_apart_from_what_a_program_reads(here: Site) -> None:
    here.fill(ambiguous("intent-1"))
    result = here.call("routes", "--json")
    assert len(json.loads(result.stdout)) == 7
    assert "1 ambiguous call;" in result.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "Revision 1; 1 live process."),
        ({"revision": 0}, "one:1 serves revision 0; the newest is 1."),
        ({"mappings": "0123456789ab"}, "one:1 serves other mapping files than the listed ones (01234"),
        ({"rejected": "doc.toml:5: mode: no"}, "Rejected by one:1: doc.toml:5: mode: no"),
        ({"seconds": 30, "revision": 0}, "Revision 1; 0 live processes."),
    ],
    ids=["it follows", "it is behind", "it has other files", "it refused a file", "it is gone"],
)
def test_a_process_that_is_not_where_it_should_be_is_named(
    here: Site, changes: dict[str, Any], told: str
) -> None:
    values = {"mappings": mappings_digest(here.folder / "mappings"), "revision": 1, **changes}
    here.fill(set_to("off"))
    here.fill(process("one:1", **values))
    output = here.call("routes").output
    assert told in output
    assert ("one:1" in output) == ("one:1" in told)


def test_a_file_that_two_processes_refuse_is_told_of_once(here: Site) -> None:
    digest = mappings_digest(here.folder / "mappings")
    for name in ("one:1", "two:2"):
        here.fill(process(name, digest, rejected="doc.toml:5: mode: no"))
    assert "Rejected by one:1, two:2: doc.toml:5: mode: no" in here.call("routes").output


def test_pending_lists_the_ambiguous_calls_and_says_what_to_do(here: Site) -> None:
    for intent in ("intent-1", "intent-2"):
        here.fill(ambiguous(intent))
    assert "2 ambiguous calls; michiq-proxy pending has more." in here.call("routes").output
    result = here.call("routes", "--pending")
    assert [line.split()[0] for line in result.output.splitlines()] == [
        "intent",
        "intent-1",
        "intent-2",
        "None",
        "`michiq-proxy",
    ]
    assert "None is ever sent again: if the platform" in result.output
    rows = json.loads(here.call("routes", "--pending", "--json").stdout)
    assert [(row["id"], row["cause"], row["kind"]) for row in rows] == [
        ("intent-1", "llamalitica-timeout", "new_case"),
        ("intent-2", "llamalitica-timeout", "new_case"),
    ]
    assert here.fill(_open_calls) == 2, "looking settles nothing"


async def untold(store: Store) -> None:
    await store.journal.begin(JournalEntry("intent-1", "o" * 64, "new_case", None, "body", ago()))
    await store.journal.fail("intent-1", "made-for-refused", ambiguous=True, case_id="case-1")


def test_pending_N19_names_a_case_that_no_client_was_told_of_and_says_what_to_do(here: Site) -> None:
    here.fill(untold)
    result = here.call("routes", "--pending")
    assert "made-for-refused" in result.output
    assert "case-1" in result.output
    assert "erase --case ID" in result.output
    [row] = json.loads(here.call("routes", "--pending", "--json").stdout)
    assert (row["id"], row["case"], row["cause"]) == ("intent-1", "case-1", "made-for-refused")


async def _open_calls(store: Store) -> int:
    return len(await store.journal.pending())


def test_nothing_pending_is_said(here: Site) -> None:
    here.fill(nothing)
    assert here.call("routes", "--pending").stdout == "no ambiguous calls\n"


def test_learned_tells_where_real_answers_differ_from_the_mappings(here: Site) -> None:
    for work in (
        seen("legacy", ("answer", "string")),
        seen("legacy", ("document", "object"), ("metadata", "object"), route="doc", status=418),
    ):
        here.fill(work)
    told = said(here.call("routes", "--learned"))
    assert "query Only the legacy server has `answer` (string 1 time)." in told
    assert "Only our side has `response`." in told
    assert "doc The legacy server answered with status 418 (1 time); our side never did." in told
    rows = json.loads(here.call("routes", "--learned", "--json").stdout)
    assert {(row["route"], row["kind"], row["path"]) for row in rows} == {
        ("query", "only-legacy", "answer"),
        ("query", "only-new", "response"),
        ("doc", "status", ""),
    }


def test_learned_holds_a_list_to_the_table_of_its_elements(here: Site) -> None:
    table = load_table(here.folder / "mappings", SPECS)
    names = [f"[].{name}" for name in table.routes["encounters"].mapping.answer]
    leaves = [("[]", "object"), *((name, "string") for name in names), ("[].Ward", "string")]
    one = SeenAnswer("encounters", "legacy", 200, "application/json", frozenset({("", "array"), *leaves}))

    async def add(store: Store) -> None:
        await store.evidence.add(seen=[one], at=ago())

    here.fill(add)
    told = said(here.call("routes", "--learned"))
    assert told == "encounters Only the legacy server has `[].Ward` (string 1 time)."


def test_learned_says_of_a_route_that_it_is_as_we_took_it_for(here: Site) -> None:
    here.fill(seen("legacy", ("response", "string")))
    assert said(here.call("routes", "--learned")) == "query As the mapping says."


def test_learned_of_nothing_says_so(here: Site) -> None:
    here.fill(seen("new", ("response", "string")))
    assert "No legacy answer was seen yet" in here.call("routes", "--learned").output


@pytest.mark.parametrize(
    "arguments", [["--pending", "--learned"], ["mappings", "--pending"], ["/no/such/folder"]]
)
def test_what_does_not_go_together_is_misuse(here: Site, arguments: list[str]) -> None:
    assert here.call("routes", *arguments).exit_code == 2


@pytest.mark.parametrize("option", ["--pending", "--learned"])
def test_what_needs_a_store_is_misuse_without_one(
    here: Site, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MICHIQ_SECRET_KEYS")
    result = here.call("routes", option)
    assert (result.exit_code, "MICHIQ_SECRET_KEYS is required" in result.output) == (2, True)


def brownout(begin: datetime, end: datetime, more: str = "") -> str:
    return f"\n[[brownouts]]\nbegin = {begin:%Y-%m-%dT%H:%M:%SZ}\nend = {end:%Y-%m-%dT%H:%M:%SZ}\n{more}"


def test_a_brownout_in_force_is_said_with_its_end_and_whom_it_is_for(here: Site) -> None:
    here.edit("doc.toml", "", brownout(ago(hours=1), END, 'organizations = ["Norte"]\n'))
    here.edit("query.toml", "", brownout(END, END + timedelta(hours=1)))
    result = here.call("routes")
    until = f"{END:%Y-%m-%d %H:%M:%SZ}"
    assert f"doc: a brownout until {until}, for Norte: 503 with Retry-After." in said(result)
    assert "query: a brownout" not in said(result)
    rows = {row["route"]: row["brownouts"] for row in json.loads(here.call("routes", "--json").stdout)}
    assert [each["organizations"] for each in rows["doc"]] == [["Norte"]]
    assert rows["query"] == []
