"""The side that answers, as a table: homes go before modes, unknown callers go to the legacy server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.errors import Refusal
from proxy.mapping.models import RouteMapping
from proxy.modes import EVERYONE, Mode
from proxy.rollout.canary import bucket
from proxy.rollout.decide import Asked, InBrownout, decide
from proxy.rollout.snapshot import InForce
from tests.conftest import ROOT, edited_table

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
# A keyed hash whose bucket is low, and one whose bucket is high.
LOW = "0" * 64
HIGH = next(each for each in (f"{n:x}" * 64 for n in range(1, 16)) if bucket(each) > 5000)
KNOWN = Asked(organization="Clínica Norte", scope=LOW, token="known", at_legacy=True, has_id=True)
MAKES = Asked(organization="Clínica Norte", scope=LOW, makes_case=True)
LISTS = replace(KNOWN, has_id=False)


@pytest.fixture(scope="module")
def mapping(tmp_path_factory: pytest.TempPathFactory) -> RouteMapping:
    assert ROOT
    return edited_table(tmp_path_factory.mktemp("mappings"), {}).routes["doc"].mapping


def in_force(mode: Mode, percent: float = 0) -> InForce:
    return InForce(mode, percent, EVERYONE, 7)


@pytest.mark.parametrize(
    ("asked", "mode", "side", "why"),
    [
        # A case lives where it was made, whatever the mode says.
        (replace(KNOWN, home="legacy"), "new", "legacy", "home"),
        (replace(KNOWN, home="new"), "legacy", "new", "home"),
        (replace(KNOWN, home="new", token="unknown"), "legacy", "new", "home"),
        (replace(KNOWN, home="legacy", forced="new"), "new", "legacy", "home"),
        # A new case goes where the mode says.
        (MAKES, "legacy", "legacy", "mode"),
        (MAKES, "shadow", "legacy", "mode"),
        (MAKES, "new", "new", "mode"),
        (replace(MAKES, forced="new"), "legacy", "new", "tester"),
        (replace(MAKES, forced="legacy"), "new", "legacy", "tester"),
        # G07: only the legacy server can know whom this proxy never saw.
        (Asked(None, None, token="unknown"), "new", "legacy", "unknown-token"),
        (KNOWN, "new", "legacy", "unknown-id"),
        # Who has no session on the legacy server would be refused there for the split's sake.
        (replace(KNOWN, at_legacy=False), "legacy", "new", "no-legacy-session"),
        (replace(LISTS, at_legacy=False), "legacy", "new", "no-legacy-session"),
        # A list whose parts are on both sides is merged by the new side.
        (replace(LISTS, both_sides=True), "legacy", "new", "both-sides"),
        (replace(KNOWN, both_sides=True), "legacy", "new", "both-sides"),
        (LISTS, "legacy", "legacy", "mode"),
        (LISTS, "new", "new", "mode"),
        # Nobody: whoever the mode names refuses.
        (Asked(None, None), "new", "new", "mode"),
        (Asked(None, None), "legacy", "legacy", "mode"),
        # An id alone sends nobody to the legacy server, who comes without a token.
        (Asked(None, None, has_id=True), "new", "new", "mode"),
        (Asked(None, None, has_id=True, forced="new"), "legacy", "new", "tester"),
    ],
)
def test_G07_who_answers_follows_home_token_id_and_mode_in_this_order(
    mapping: RouteMapping, asked: Asked, mode: Mode, side: str, why: str
) -> None:
    decision = decide(asked, in_force(mode), mapping, NOW, has_legacy=True)
    assert (decision.side, decision.why) == (side, why)


def test_G07_a_mapping_may_keep_what_is_unknown_from_the_legacy_server(mapping: RouteMapping) -> None:
    kept = mapping.model_copy(update={"unknown_to_legacy": False})
    for asked in (Asked(None, None, token="unknown"), KNOWN):
        assert decide(asked, in_force("new"), kept, NOW, has_legacy=True).side == "new"


def test_without_a_legacy_server_the_new_side_answers_everything(mapping: RouteMapping) -> None:
    for asked in (MAKES, KNOWN, Asked(None, None, token="unknown"), replace(KNOWN, home="legacy")):
        assert decide(asked, in_force("new"), mapping, NOW, has_legacy=False).side == "new"


@pytest.mark.parametrize(
    ("asked", "percent", "canary", "side"),
    [
        (MAKES, 30, {}, "new"),
        (LISTS, 30, {}, "new"),
        (LISTS, 30, {"deny": ["Clínica Norte"]}, "legacy"),
        (replace(MAKES, scope=HIGH), 30, {}, "legacy"),
        (replace(MAKES, scope=HIGH), 100, {}, "new"),
        (MAKES, 0, {}, "legacy"),
        (MAKES, 100, {"deny": ["Clínica Norte"]}, "legacy"),
        (MAKES, 0, {"allow": ["Clínica Norte"]}, "new"),
        (MAKES, 0, {"allow": ["Clínica Norte"], "deny": ["Clínica Norte"]}, "legacy"),
        (replace(MAKES, organization=None, scope=None), 99, {}, "legacy"),
        (replace(MAKES, organization=None), 99, {}, "legacy"),
        (replace(MAKES, scope=None), 99, {}, "legacy"),
        (replace(MAKES, organization=None, scope=None), 100, {}, "new"),
    ],
)
def test_a_canary_is_decided_by_organization(
    mapping: RouteMapping, asked: Asked, percent: float, canary: dict[str, Any], side: str
) -> None:
    listed = mapping.model_copy(update={"canary": mapping.canary.model_copy(update=canary)})
    decision = decide(asked, in_force("canary", percent), listed, NOW, has_legacy=True)
    assert (decision.side, decision.why) == (side, "mode")


@pytest.mark.parametrize(
    ("mode", "percent", "has_legacy", "side", "why"),
    [
        ("new", 0, True, "new", "options"),
        ("legacy", 0, True, "legacy", "options"),
        ("shadow", 0, True, "legacy", "options"),
        ("canary", 99.9, True, "legacy", "options"),
        ("canary", 100, True, "new", "options"),
        ("legacy", 0, False, "new", "only-new"),
    ],
)
def test_options_G02_go_by_the_mode_alone_and_are_never_shadowed(
    mapping: RouteMapping, mode: Mode, percent: float, has_legacy: bool, side: str, why: str
) -> None:
    asked = replace(KNOWN, organization=None, scope=None, home="legacy", options=True)
    decision = decide(asked, in_force(mode, percent), mapping, NOW, has_legacy=has_legacy)
    assert (decision.side, decision.why, decision.shadow) == (side, why, False)
    with pytest.raises(Refusal, match="route-off"):
        decide(asked, in_force("off"), mapping, NOW, has_legacy=has_legacy)


@pytest.mark.parametrize(
    ("asked", "mode", "shadowed"),
    [
        (MAKES, "shadow", True),
        (replace(KNOWN, home="legacy"), "shadow", True),
        (replace(KNOWN, home="new"), "shadow", False),
        (MAKES, "legacy", False),
        (MAKES, "canary", False),
    ],
)
def test_only_what_the_legacy_server_answers_in_shadow_mode_is_shadowed(
    mapping: RouteMapping, asked: Asked, mode: Mode, shadowed: bool
) -> None:
    assert decide(asked, in_force(mode), mapping, NOW, has_legacy=True).shadow is shadowed


def test_a_route_that_is_off_is_off_for_every_home(mapping: RouteMapping) -> None:
    with pytest.raises(Refusal) as refused:
        decide(replace(KNOWN, home="new"), in_force("off"), mapping, NOW, has_legacy=True)
    assert (refused.value.kind, refused.value.cause) == ("off", "route-off")


@pytest.mark.parametrize("has_legacy", [True, False])
def test_a_decision_names_the_mode_that_was_in_force(mapping: RouteMapping, has_legacy: bool) -> None:
    mode = in_force("canary", 30)
    assert decide(MAKES, mode, mapping, NOW, has_legacy=has_legacy).in_force is mode


def test_options_G02_know_no_list_of_organizations(mapping: RouteMapping) -> None:
    asked = Asked("Clínica Norte", LOW, options=True)
    listed = mapping.model_copy(
        update={"canary": mapping.canary.model_copy(update={"deny": ["Clínica Norte"]})}
    )
    assert decide(asked, in_force("canary", 100), listed, NOW, has_legacy=True).side == "legacy"


@pytest.mark.parametrize(
    ("window", "organization", "refused"),
    [
        ({}, "Clínica Norte", True),
        ({}, None, True),
        ({"organizations": ["Clínica Norte"]}, "Clínica Norte", True),
        ({"organizations": ["Clínica Sur"]}, "Clínica Norte", False),
        ({"organizations": ["Clínica Sur"]}, None, False),
        ({"exempt": ["Clínica Norte"]}, "Clínica Norte", False),
        ({"begin": NOW + timedelta(seconds=1)}, "Clínica Norte", False),
        ({"begin": NOW - timedelta(hours=2), "end": NOW}, "Clínica Norte", False),
    ],
)
def test_a_brownout_is_for_its_time_and_its_organizations(
    mapping: RouteMapping, window: dict[str, Any], organization: str | None, refused: bool
) -> None:
    times = {"begin": NOW, "end": NOW + timedelta(hours=1)}
    browned = RouteMapping.model_validate(
        {**mapping.model_dump(), "timeout": "15 s", "brownouts": [{**times, **window}]} | _durations(mapping)
    )
    asked = replace(MAKES, organization=organization)
    if not refused:
        decide(asked, in_force("new"), browned, NOW, has_legacy=True)
        return
    with pytest.raises(InBrownout) as stopped:
        decide(asked, in_force("new"), browned, NOW, has_legacy=True)
    assert stopped.value.until == NOW + timedelta(hours=1)
    assert (stopped.value.kind, stopped.value.cause) == ("brownout", "brownout")


def _durations(mapping: RouteMapping) -> dict[str, Any]:
    """Returns texts for the fields that model_dump gives as times."""
    return {"step_back": {}, "shadow": {}, "body_limit": "1 MB", "body_pause": "60 s"}
