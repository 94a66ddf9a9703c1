"""The board and the alert rules: valid, firing where they must, and about metrics that there really are."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.certificates import make, trusting
from tests.conftest import IDENTITY, StartProxy, case_form
from tests.docker.tools import tool
from tests.rollout.moving import eventually, mode
from tests.web.test_metrics import text_of

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "docker/prometheus/rules.yaml"
BOARD: Final = ROOT / "docker/grafana/michiq.json"
# A selector, and the names of labels in it.
_SELECTOR: Final = re.compile(r"\b(michiq_[a-z_]+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r"([a-z_]+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
_GROUPED: Final = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")
# Labels that Prometheus adds, and that of a bucket.
_ADDED: Final = {"instance", "job"}


def _rules() -> list[dict[str, Any]]:
    [group] = YAML(typ="safe").load(RULES)["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _board_expressions() -> Iterator[str]:
    board = json.loads(BOARD.read_text("utf-8"))
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (each["expr"] for each in board["annotations"]["list"])
    queries = (each["query"] for each in board["templating"]["list"] if each["type"] == "query")
    yield from (
        re.sub(r"label_values\((.*), (\w+)\)", r"count by (\2) (\1)", each["query"]) for each in queries
    )


def _plain(expression: str) -> str:
    """Returns an expression of the board as Prometheus gets it."""
    return (
        expression.replace("$__rate_interval", "5m")
        .replace('"$instance"', '".*"')
        .replace('"$route"', '".*"')
    )


EXPRESSIONS: Final = (*(rule["expr"] for rule in _rules()), *map(_plain, _board_expressions()))


def _promtool(*arguments: str) -> None:
    command = [tool("promtool"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_rules_are_valid_and_fire_where_they_must() -> None:
    _promtool("check", "rules", str(RULES))
    _promtool("test", "rules", str(Path(__file__).parent / "rules.test.yaml"))


def test_each_rule_is_fired_by_the_test_and_says_what_to_do() -> None:
    tested = (Path(__file__).parent / "rules.test.yaml").read_text("utf-8")
    for rule in _rules():
        assert f"labels: '{{alertname=\"{rule['alert']}\"}}'" in tested
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_handbook_says_what_to_do_at_each_alert() -> None:
    handbook = (ROOT / "docs/operate.md").read_text("utf-8")
    rows = (line for line in handbook.splitlines() if line.startswith("| `Michiq"))
    named = [name for row in rows for name in re.findall(r"`(Michiq\w+)`", row)]
    assert sorted(named) == sorted(rule["alert"] for rule in _rules())


def test_the_boards_expressions_are_valid(tmp_path: Path) -> None:
    rules = [{"record": f"board:{number}", "expr": each} for number, each in enumerate(EXPRESSIONS)]
    (tmp_path / "board.yaml").write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    _promtool("check", "rules", "--lint=none", str(tmp_path / "board.yaml"))


def test_the_board_covers_no_ground_twice() -> None:
    panels = [each["gridPos"] for each in json.loads(BOARD.read_text("utf-8"))["panels"]]
    taken = [
        (x, y)
        for each in panels
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23


async def test_every_metric_and_label_that_they_name_is_there(
    start_proxy: StartProxy, tmp_path: Path
) -> None:
    """Scrapes a real proxy that has compared an answer and has a certificate."""
    made = make(tmp_path, "served")
    async with start_proxy({"new_case": mode("shadow")}, legacy=True, **made.settings) as api:
        url, form = f"{api.url}/michiQ/newCase", case_form()
        async with api.http.post(url, data=form, headers=IDENTITY, ssl=trusting(made)) as response:
            assert response.status == 200
        text = await eventually(lambda: text_of(api), lambda found: "michiq_shadow_outcomes_total{" in found)
    there: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = there.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    assert [problem for each in EXPRESSIONS for problem in _problems(each, there)] == []
    assert len(EXPRESSIONS) > 50


def _problems(expression: str, there: Mapping[str, Mapping[str, set[str]]]) -> Iterator[str]:
    """Yields what an expression names that a scrape has not."""
    known = set(_ADDED)
    for name, matchers in _SELECTOR.findall(expression):
        if name not in there:
            yield f"{name} is not there: {expression}"
            continue
        known |= there[name].keys()
        for label, sign, value in _MATCHER.findall(matchers):
            if label not in there[name] and label not in _ADDED:
                yield f"{name} has no {label}: {expression}"
            elif sign == "=" and label in ("state", "kind", "mode") and value not in there[name][label]:
                yield f"{name} has no {label} {value}: {expression}"
    for group in _GROUPED.findall(expression):
        unknown = {each.strip() for each in group.split(",") if each.strip()} - known
        if unknown:
            yield f"nothing has {unknown}: {expression}"


@pytest.mark.parametrize("wrong", ["michiq_nothing", 'michiq_x{side="new"}', "sum by (who) (michiq_x)"])
def test_a_name_that_is_not_there_is_found(wrong: str) -> None:
    assert [*_problems(wrong, {"michiq_x": {"route": {"doc"}}})]
