"""Tests a route's digest: it changes with what shapes or compares answers, not with what moves a route."""

import re
from typing import Final

import pytest

from tests.mapping.folders import Folder

ORGANIZATIONS: Final = "organizations.toml"
NORTE: Final = '[organizations."Clínica Norte"]\n'


def digests(folder: Folder) -> dict[str, str]:
    return {name: route.digest for name, route in folder.load().routes.items()}


def changed(folder: Folder, file: str, old: str, new: str) -> set[str]:
    """Returns the routes whose digest an edit changes; `old` empty adds `new` at the file's end."""
    before = digests(folder)
    if old:
        folder.replace(file, old, new)
    else:
        folder.append(file, new)
    return {name for name, digest in digests(folder).items() if digest != before[name]}


def test_each_route_has_its_own_digest_and_each_load_finds_the_same(folder: Folder) -> None:
    found = digests(folder)
    assert len(set(found.values())) == len(found)
    assert all(re.fullmatch("[0-9a-f]{12}", digest) for digest in found.values())
    assert digests(folder) == found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('mode = "new"', 'mode = "shadow"', id="mode"),
        pytest.param('mode = "new"', 'mode = "canary"\ncanary_percent = 5', id="percent"),
        pytest.param('mode = "new"', 'mode = "new"\nunknown_to_legacy = false', id="unknown_to_legacy"),
        pytest.param("", '\n[canary]\nallow = ["Clínica Norte"]\n', id="canary"),
        pytest.param("", "\n[step_back]\nleast = 5\n", id="step_back"),
        pytest.param("", "\n[shadow]\nsample_percent = 5\n", id="shadow"),
        pytest.param("", "\n[switch]\ncomparisons = 5\n", id="switch"),
        pytest.param("", "\n[notice]\nsunset = 2027-01-31\n", id="notice"),
        pytest.param(
            "",
            "\n[[brownouts]]\nbegin = 2027-01-31T10:00:00Z\nend = 2027-01-31T11:00:00Z\n",
            id="brownouts",
        ),
        pytest.param("[answer.document]", "# The document\n[answer.document]", id="comment"),
        pytest.param('timeout = "15 s"', 'timeout = "15000 ms"', id="another spelling"),
        pytest.param("", "\n[switch]\ndays = 14\n", id="a default"),
    ],
)
def test_what_only_moves_a_route_leaves_its_digest(folder: Folder, old: str, new: str) -> None:
    assert changed(folder, "doc.toml", old, new) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('title = "case.title"', 'title = "case.user"', id="answer"),
        pytest.param('failed = { status = 500, text = "E', 'failed = { status = 502, text = "E', id="errors"),
        pytest.param('"document.tokens_generated", ', "", id="compare"),
        pytest.param('timeout = "15 s"', 'timeout = "16 s"', id="timeout"),
        pytest.param('mode = "new"', 'mode = "new"\nshadow_writes = "live"', id="shadow_writes"),
    ],
)
def test_what_shapes_or_compares_answers_changes_this_routes_digest(
    folder: Folder, old: str, new: str
) -> None:
    assert changed(folder, "doc.toml", old, new) == {"doc"}


def test_templates_change_new_cases_digest(folder: Folder) -> None:
    assert changed(folder, "new_case.toml", "[templates]", '[templates]\n"1" = "agent-1"') == {"new_case"}


@pytest.mark.parametrize(
    ("entry", "routes"),
    [
        pytest.param("", set(), id="it is only named"),
        pytest.param('send_as = "Clínica Norte"\n', set(), id="it is sent as it came"),
        pytest.param('send_as = "norte"\n', {"new_case"}, id="it is sent under another name"),
        pytest.param("parent = true\n", {"new_case"}, id="it is not sent"),
        pytest.param('domains = ["norte.example"]\n', set(), id="nobody asks for its domains"),
        pytest.param(
            'llamachat_api_key_file = "norte.key"\n', {"query", "speech_to_text"}, id="it has an own key"
        ),
    ],
)
def test_an_organization_changes_the_digests_of_the_routes_that_use_its_entry(
    folder: Folder, entry: str, routes: set[str]
) -> None:
    folder.write("norte.key", "secret-1\n")
    assert changed(folder, ORGANIZATIONS, "", NORTE + entry) == routes


def test_a_new_secret_leaves_the_digests(folder: Folder) -> None:
    folder.write("norte.key", "secret-1\n")
    folder.append(ORGANIZATIONS, f'{NORTE}llamachat_api_key_file = "norte.key"\n')
    before = digests(folder)
    folder.write("norte.key", "secret-2\n")
    assert digests(folder) == before


def test_domains_count_where_they_decide_who_is_provisioned(folder: Folder) -> None:
    folder.replace("new_case.toml", 'provision = "any"', 'provision = "domains"')
    entry = f'{NORTE}domains = ["norte.example"]\n'
    assert changed(folder, ORGANIZATIONS, "", entry) == {"new_case"}
