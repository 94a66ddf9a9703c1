"""Settings that differ from one organization to another."""

import unicodedata
from typing import Final

import pytest

from proxy.mapping.models import EncounterPage, NewCase
from tests.mapping.folders import Folder

NORTE: Final = '\n[organizations."Clínica Norte"]\n'
ENTRY: Final = f'{NORTE}llamachat_api_key_file = "norte.key"\n'


@pytest.mark.parametrize(
    ("entry", "sent"),
    [
        ("", "Clínica Norte"),
        (NORTE, "Clínica Norte"),
        (f'{NORTE}send_as = "norte"\n', "norte"),
        (f"{NORTE}parent = true\n", None),
    ],
)
def test_organizations_N02_a_legacy_name_goes_out_as_it_is_unless_mapped(
    folder: Folder, entry: str, sent: str | None
) -> None:
    folder.append("organizations.toml", entry)
    assert folder.load().organizations.send_as("Clínica Norte") == sent


def test_organizations_N02_another_organization_is_not_touched_by_an_entry(folder: Folder) -> None:
    folder.append("organizations.toml", f"{NORTE}parent = true\n")
    assert folder.load().organizations.send_as("Clínica Sur") == "Clínica Sur"


def test_a_name_is_known_in_whichever_way_an_editor_composed_its_accents(folder: Folder) -> None:
    folder.append("organizations.toml", unicodedata.normalize("NFD", f'{NORTE}send_as = "norte"\n'))
    assert folder.load().organizations.send_as("Clínica Norte") == "norte"


@pytest.mark.parametrize(
    ("lines", "key", "reason"),
    [
        ('parent = true\nsend_as = "x"', "", "keep one of them"),
        ('send_as = ""', ".send_as", "write one line of text"),
        ('send_as = "a\\nb"', ".send_as", "write one line of text"),
        ('send_as = " a"', ".send_as", "write one line of text"),
        ('parent = "true"', ".parent", "write true or false, without quotes"),
        ('domains = "norte.example"', ".domains", "write a list in brackets"),
        ('domains = ["norte.example", "@norte"]', ".domains", "write a domain such as clinica.example"),
        ("parnt = true", ".parnt", "unknown key; did you mean parent?"),
        ('llamachat_api_key_file = ""', ".llamachat_api_key_file", "it is empty"),
    ],
)
def test_a_mistake_about_an_organization_is_told_at_its_line(
    folder: Folder, lines: str, key: str, reason: str
) -> None:
    folder.append("organizations.toml", f"{NORTE}{lines}\n")
    [complaint] = folder.complaints()
    assert complaint.key == f"organizations.Clínica Norte{key}"
    assert reason in complaint.reason
    beginning = key.removeprefix(".") or "[organizations"
    assert complaint.line == folder.line("organizations.toml", beginning)


def test_organizations_Q07_a_key_is_read_from_its_file_without_the_line_end(folder: Folder) -> None:
    folder.append("organizations.toml", ENTRY)
    folder.write("norte.key", "norte-key\n")
    assert folder.load().organizations.chat_keys == {"Clínica Norte": "norte-key"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "norte.key: No such file or directory"),
        ("", "norte.key must hold the key and nothing else, on one line"),
        (" \n", "must hold the key"),
        ("CANARY and more\n", "must hold the key"),
        ("CANARY\nCANARY\n", "must hold the key"),
        ("CANARY-ñ\n", "must hold the key"),
        ("CANARY\0", "must hold the key"),
    ],
)
def test_organizations_Q07_a_key_file_that_holds_no_key_is_told_without_its_words(
    folder: Folder, content: str | None, reason: str
) -> None:
    folder.append("organizations.toml", ENTRY)
    if content is not None:
        folder.write("norte.key", content)
    [complaint] = folder.complaints()
    assert complaint.key == "organizations.Clínica Norte.llamachat_api_key_file"
    assert complaint.line == folder.line("organizations.toml", "llamachat_api_key_file")
    assert reason in complaint.reason
    assert "CANARY" not in str(complaint)


def test_every_missing_key_file_is_told(folder: Folder) -> None:
    folder.append("organizations.toml", ENTRY + ENTRY.replace("Norte", "Sur").replace("norte", "sur"))
    assert [complaint.reason.rpartition("/")[2] for complaint in folder.complaints()] == [
        "norte.key: No such file or directory",
        "sur.key: No such file or directory",
    ]


@pytest.mark.parametrize("good", ["norte", "sur"])
def test_organizations_Q07_a_key_file_that_is_missing_is_told_beside_a_good_one(
    folder: Folder, good: str
) -> None:
    folder.append("organizations.toml", ENTRY + ENTRY.replace("Norte", "Sur").replace("norte", "sur"))
    folder.write(f"{good}.key", "a-key\n")
    [complaint] = folder.complaints()
    assert {"norte", "sur"} - {good} == {complaint.reason.rpartition("/")[2].partition(".")[0]}


def test_organizations_N14_templates_may_differ_by_organization(folder: Folder) -> None:
    tables = '"1" = "agent-a"\n\n[organizations."Clínica Norte".templates]\n"1" = "agent-b"\n\n[errors]'
    folder.replace("new_case.toml", "\n[errors]", f"\n{tables}")
    mapping = folder.load().routes["new_case"].mapping
    assert isinstance(mapping, NewCase)
    assert mapping.templates == {"1": "agent-a"}
    assert mapping.organizations["Clínica Norte"].templates == {"1": "agent-b"}


def test_organizations_E03_page_settings_may_differ_by_organization(folder: Folder) -> None:
    table = '[organizations."Clínica Norte".ui]\nshowSidebar = false\n'
    folder.replace("encounter_page.toml", "\n[errors]", f"\n{table}\n[errors]")
    mapping = folder.load().routes["encounter_page"].mapping
    assert isinstance(mapping, EncounterPage)
    assert mapping.organizations["Clínica Norte"].ui.model_fields_set == {"showSidebar"}
    assert mapping.organizations["Clínica Norte"].ui.showSidebar is False
