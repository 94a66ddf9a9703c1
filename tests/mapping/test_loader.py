"""Each error in a mapping folder is reported with its file, line, key and remedy."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from proxy.flows.registry import SPECS
from proxy.mapping.loader import MappingError, load_table
from tests.mapping.folders import Folder

# Words of pydantic's, which say nothing to who wrote the file.
LIBRARY: Final = re.compile(
    r"\binput\b|\bstring\b|\bshould\b|\bvalid\b|\bpattern\b|\bcharacter", re.IGNORECASE
)


class Mistake(NamedTuple):
    """An edit of one place, and what is said of it: the line that begins so, the key, part of the reason."""

    file: str
    old: str
    new: str
    at: str
    key: str
    reason: str


NOTICE: Final = "\n[notice]\n"

MISTAKES: Final = {
    "off without quotes": Mistake(
        "doc.toml",
        'mode = "new"',
        "mode = off",
        "mode",
        "",
        "not TOML: Invalid value: mode = off                        # legacy | new | shadow | canary | off; "
        'write mode = "off"',
    ),
    "True in capitals": Mistake(
        "new_case.toml",
        "strict_templates = false",
        "strict_templates = True",
        "strict_templates",
        "",
        "; write strict_templates = true",
    ),
    "a mode that there is not": Mistake(
        "doc.toml",
        '"new"',
        '"mirror"',
        "mode",
        "mode",
        'write one of "legacy", "new", "shadow", "canary" or "off", in quotes',
    ),
    "a mode misspelt": Mistake(
        "doc.toml",
        '"new"',
        '"shaddow"',
        "mode",
        "mode",
        'or "off", in quotes; did you mean shadow?',
    ),
    "a pause beyond a connection's": Mistake(
        "new_case.toml",
        '# body_pause = "60 s"',
        'body_pause = "61 s"',
        "body_pause",
        "body_pause",
        'write at most "60 s"',
    ),
    "a page's address with a path": Mistake(
        "doc.toml",
        '# cors_origins = ["https://app.example"]',
        'cors_origins = ["https://app.example/"]',
        "cors_origins",
        "cors_origins",
        "write an origin as browsers send it",
    ),
    "a key misspelt": Mistake(
        "new_case.toml",
        "strict_templates =",
        "strict_template =",
        "strict_template",
        "strict_template",
        "unknown key; did you mean strict_templates?",
    ),
    "a key like no other": Mistake(
        "doc.toml", 'flow = "doc"', 'flow = "doc"\nzzz = 1', "zzz", "zzz", "unknown key"
    ),
    "an error without its text": Mistake(
        "doc.toml",
        'off = { status = 410, text = "Servicio no disponible" }',
        "off = { status = 410 }",
        "off",
        "errors.off.text",
        "this key is missing",
    ),
    "a status in quotes": Mistake(
        "doc.toml",
        "off = { status = 410",
        'off = { status = "410"',
        "off",
        "errors.off.status",
        "write a whole number, without quotes",
    ),
    "a status that is no error": Mistake(
        "doc.toml", "status = 410", "status = 200", "off", "errors.off.status", "at least 400"
    ),
    "a flag in quotes": Mistake(
        "new_case.toml",
        "strict_templates = false",
        'strict_templates = "false"',
        "strict_templates",
        "strict_templates",
        "write true or false, without quotes",
    ),
    "a number for a text": Mistake(
        "query.toml",
        'text = "Query no proporcionada"',
        "text = 7",
        "empty_query",
        "errors.empty_query.text",
        "write a text in quotes",
    ),
    "a duration without a unit": Mistake(
        "doc.toml", '"15 s"', "15", "timeout", "timeout", 'write a duration such as "30 s"'
    ),
    "a duration without end": Mistake(
        "new_case.toml", '"12 h"', '"99999999 d"', "session_lifetime", "session_lifetime", "at most 3650 d"
    ),
    "a size without a unit": Mistake(
        "new_case.toml", '"10 MB"', "10000000", "body_limit", "body_limit", 'write a size such as "10 MB"'
    ),
    "no limit where a body comes": Mistake(
        "query.toml", 'body_limit = "1 MB"\n', "", "#", "body_limit", "this key is missing"
    ),
    "a date that does not exist": Mistake(
        "doc.toml",
        "\n[errors]",
        f"{NOTICE}sunset = 2027-02-30\n\n[errors]",
        "sunset",
        "",
        "write a date that exists, as year-month-day: 2027-01-31",
    ),
    "a date in quotes": Mistake(
        "doc.toml",
        "\n[errors]",
        f'{NOTICE}sunset = "31/01/2027"\n\n[errors]',
        "sunset",
        "notice.sunset",
        "write a date without quotes, such as 2027-01-31",
    ),
    "a date with a time": Mistake(
        "doc.toml",
        "\n[errors]",
        f"{NOTICE}sunset = 2027-01-31T00:00:00Z\n\n[errors]",
        "sunset",
        "notice.sunset",
        "such as 2027-01-31",
    ),
    "a sunset before the deprecation": Mistake(
        "doc.toml",
        "\n[errors]",
        f"{NOTICE}deprecation = 2027-02-01\nsunset = 2027-01-31\n\n[errors]",
        "[notice]",
        "notice",
        "sunset comes before deprecation",
    ),
    "a link that is no address": Mistake(
        "doc.toml",
        "\n[errors]",
        '\n[notice.links]\nsunset = "docs/end"\n\n[errors]',
        "sunset",
        "notice.links.sunset",
        "write a whole address that begins with https:// or http://",
    ),
    "a text that never ends": Mistake(
        "organizations.toml",
        "# [organizations.",
        '[a]\nb = """\n# [organizations.',
        "# llamachat",
        "",
        "not TOML",
    ),
    "a key twice": Mistake(
        "doc.toml", 'timeout = "15 s"', 'timeout = "15 s"\ntimeout = "9 s"', 'timeout = "9', "", "not TOML"
    ),
    "a path without the id": Mistake(
        "doc.toml", '"/michiQ/doc/{id}"', '"/michiQ/doc"', "path", "path", "write a path that ends in /{id}"
    ),
    "a path with an id too many": Mistake(
        "encounters.toml", '/encounters"', '/encounters/{id}"', "path", "path", "write a path without an id"
    ),
    "a path with other signs": Mistake(
        "doc.toml",
        '"/michiQ/doc/{id}"',
        '"/michiQ/{x}/{id}"',
        "path",
        "path",
        "write a path that ends in /{id}",
    ),
    "a bad expression": Mistake(
        "doc.toml",
        'title = "case.title"',
        'title = "case."',
        "title",
        "answer.metadata.title",
        "not a JMESPath expression: 'case.'",
    ),
    "a fixed text without its quotes": Mistake(
        "new_case.toml",
        "\"'You are inside llamalitica services'\"",
        '"You are inside"',
        "message",
        "answer.message",
        "a fixed text is written \"'so'\"",
    ),
    "an unknown fact": Mistake(
        "doc.toml",
        'title = "case.title"',
        'title = "case.titel"',
        "title",
        "answer.metadata.title",
        "'case.titel' reads an unknown fact: case.titel; did you mean case.title?",
    ),
    "an unknown function": Mistake(
        "doc.toml",
        'title = "case.title"',
        'title = "upper(case.title)"',
        "title",
        "answer.metadata.title",
        "calls an unknown function: upper()",
    ),
    "a number in the answer": Mistake(
        "doc.toml",
        'cost = "`0`"',
        "cost = 0",
        "cost",
        "answer.document.cost",
        "write a JMESPath expression in quotes",
    ),
    "when_known with company": Mistake(
        "doc.toml",
        '{ when_known = "report.content" }',
        '{ when_known = "report.content", otherwise = "case.id" }',
        "generated_text",
        "answer.document.generated_text",
        "when_known must be the only key",
    ),
    "a bad expression over the ehr": Mistake(
        "new_case.toml",
        'name = "[name,',
        'name = "[name',
        "name",
        "patient.name",
        "not a JMESPath expression",
    ),
    "an empty expression": Mistake(
        "doc.toml", 'title = "case.title"', 'title = ""', "title", "answer.metadata.title", "not a JMESPath"
    ),
    "an unknown function over the ehr": Mistake(
        "new_case.toml",
        'name = "[name,',
        'name = "first([name])" #',
        "name",
        "patient.name",
        "function: first()",
    ),
    "an error kind missing": Mistake(
        "doc.toml",
        'foreign_id = { status = 404, text = "Not Found" }\n',
        "",
        "[errors]",
        "errors.foreign_id",
        'missing: this route can end in this error; add foreign_id = { status = 500, text = "…" }',
    ),
    "an error kind unused": Mistake(
        "doc.toml",
        "[errors]",
        '[errors]\nno_chat = { status = 500, text = "x" }',
        "no_chat",
        "errors.no_chat",
        "unused: this route never ends in this error",
    ),
    "a file that is another flow's": Mistake(
        "doc.toml",
        'flow = "doc"',
        'flow = "docs"',
        "flow",
        "flow",
        'write "doc", in quotes; did you mean doc?',
    ),
    "an unknown page setting of one organization": Mistake(
        "encounter_page.toml",
        "\n[errors]",
        '\n[organizations."Clínica Norte".ui]\nshowSideBar = false\n\n[errors]',
        "showSideBar",
        "organizations.Clínica Norte.ui.showSideBar",
        "unknown key; did you mean showSidebar?",
    ),
    "a wrong colour": Mistake(
        "encounter_page.toml",
        "\n[errors]",
        '\n[ui.colors]\nprimary = "blue"\n\n[errors]',
        "primary",
        "ui.colors.primary",
        "write a colour such as #1a2b3c, in quotes",
    ),
    "a path that is no path": Mistake(
        "encounter_page.toml",
        'ignore = ["urls"]',
        'ignore = ["a b"]',
        "ignore",
        "compare.ignore",
        "write a field's path such as document.files[].name",
    ),
    "a percentage above 100": Mistake(
        "doc.toml",
        "\n[errors]",
        "\n[switch]\nmax_difference_percent = 101\n\n[errors]",
        "max_difference_percent",
        "switch.max_difference_percent",
        "write a number that is at most 100",
    ),
    "a brownout without its zone": Mistake(
        "doc.toml",
        "\n[errors]",
        "\n[[brownouts]]\nbegin = 2027-01-31T10:00:00\nend = 2027-01-31T11:00:00Z\n\n[errors]",
        "begin",
        "brownouts.begin",
        "write a time with its time zone",
    ),
    "an empty agent": Mistake(
        "new_case.toml", "\n[errors]", '\n"7" = ""\n\n[errors]', '"7"', "templates.7", "it is empty"
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_file_line_key_and_mend(folder: Folder, name: str) -> None:
    mistake = MISTAKES[name]
    folder.replace(mistake.file, mistake.old, mistake.new)
    [complaint] = folder.complaints()
    assert mistake.reason in complaint.reason
    assert complaint.reason.startswith("not TOML") or LIBRARY.search(complaint.reason) is None
    assert (complaint.file, complaint.key) == (mistake.file, mistake.key)
    assert complaint.line == folder.line(mistake.file, mistake.at)
    place = f"{mistake.file}:{complaint.line}: "
    assert str(complaint) == place + (f"{mistake.key}: " if mistake.key else "") + complaint.reason


def test_the_default_mappings_can_be_served(folder: Folder) -> None:
    assert folder.load().routes.keys() == {spec.name for spec in SPECS}


def test_a_misspelt_key_of_an_error_is_told_as_missing_and_as_unknown(folder: Folder) -> None:
    folder.replace("doc.toml", "failed = { status", "failed = { statsu")
    line = folder.line("doc.toml", "failed")
    assert [str(complaint) for complaint in folder.complaints()] == [
        f"doc.toml:{line}: errors.failed.status: this key is missing",
        f"doc.toml:{line}: errors.failed.statsu: unknown key; did you mean status?",
    ]


def test_a_misspelt_error_kind_is_told_as_missing_and_as_unused(folder: Folder) -> None:
    folder.replace("doc.toml", "failed =", "faild =")
    missing, unused = folder.complaints()
    assert (missing.key, missing.line) == ("errors.failed", folder.line("doc.toml", "[errors]"))
    assert (unused.key, unused.line) == ("errors.faild", folder.line("doc.toml", "faild"))
    assert unused.reason.endswith("did you mean failed?")


def test_every_mistake_in_every_file_is_told_at_once_by_file_and_line(folder: Folder) -> None:
    folder.replace("doc.toml", 'title = "case.title"', 'title = "case."')
    folder.replace("doc.toml", '[answer.document]\nmichiq_uuid = "case.id"', '[answer.document]\nx = "nope"')
    folder.replace("query.toml", 'mode = "new"', "mode = off")
    folder.replace("encounters.toml", '"15 s"', "15")
    folder.append("organizations.toml", '\n[organizations."A"]\nparent = "yes"\n')
    complaints = folder.complaints()
    assert [complaint.file for complaint in complaints] == [
        "doc.toml",
        "doc.toml",
        "encounters.toml",
        "organizations.toml",
        "query.toml",
    ]
    assert [complaint.key for complaint in complaints[:2]] == ["answer.document.x", "answer.metadata.title"]


@pytest.mark.parametrize("file", ["doc.toml", "organizations.toml"])
def test_a_missing_file_is_named(folder: Folder, file: str) -> None:
    (folder.path / file).unlink()
    assert [str(complaint) for complaint in folder.complaints()] == [f"{file}:1: the file is missing"]


def test_a_folder_that_is_not_there_is_told_as_missing_files(tmp_path: Path) -> None:
    with pytest.raises(MappingError) as caught:
        load_table(tmp_path / "nowhere", SPECS)
    assert len(caught.value.complaints) == len(SPECS) + 1
    assert {complaint.reason for complaint in caught.value.complaints} == {"the file is missing"}
    assert str(caught.value) == "\n".join(map(str, caught.value.complaints))


def test_a_file_that_nothing_reads_is_named_with_the_name_that_it_is_like(folder: Folder) -> None:
    (folder.path / "doc.toml").rename(folder.path / "docs.toml")
    missing, stray = folder.complaints()
    assert str(missing) == "doc.toml:1: the file is missing"
    assert str(stray).startswith("docs.toml:1: no route has this name")
    assert stray.reason.endswith("did you mean doc.toml?")


@pytest.mark.parametrize(
    "name", [".#doc.toml", ".doc.toml.swp", "doc.toml~", "doc.toml.bak", "README.md", "norte.key"]
)
def test_what_editors_and_operators_leave_beside_the_mappings_is_let_be(folder: Folder, name: str) -> None:
    folder.write(name, "half a li")
    assert folder.complaints() == []


@pytest.mark.parametrize(
    "content", [b'# uno\n# Cl\xednica\nflow = "doc"\n', "# uno\n# Clínica\n".encode("utf-16")]
)
def test_a_file_that_is_not_utf8_is_told_with_its_first_bad_line(folder: Folder, content: bytes) -> None:
    folder.write("doc.toml", content)
    line = 2 if content.startswith(b"#") else 1
    assert [str(each) for each in folder.complaints()] == [
        f"doc.toml:{line}: not UTF-8: save the file as UTF-8"
    ]


def test_a_file_that_cannot_be_opened_is_told_with_the_reason(folder: Folder) -> None:
    (folder.path / "doc.toml").unlink()
    (folder.path / "doc.toml").mkdir()
    [complaint] = folder.complaints()
    assert str(complaint) == "doc.toml:1: the file can't be read: Is a directory"


@pytest.mark.parametrize(
    "saved",
    [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip("\n")],
)
def test_a_file_may_be_saved_the_way_any_editor_saves_it(folder: Folder, saved: Callable[[str], str]) -> None:
    folder.write("doc.toml", saved(folder.read("doc.toml")))
    assert folder.complaints() == []


def test_lines_are_counted_right_in_a_file_with_windows_line_ends(folder: Folder) -> None:
    folder.replace("doc.toml", '"case.title"', '"case."')
    line = folder.line("doc.toml", "title")
    folder.write("doc.toml", folder.read("doc.toml").replace("\n", "\r\n"))
    assert [complaint.line for complaint in folder.complaints()] == [line]


def test_a_multi_line_expression_does_not_shift_the_lines_of_what_follows(folder: Folder) -> None:
    folder.replace("new_case.toml", 'id = """[id,', 'id = """\n[id]\nx = [\nid,')
    folder.replace("new_case.toml", 'unnamed = "Paciente"', 'unnamed = ""')
    [complaint] = folder.complaints()
    assert complaint.line == folder.line("new_case.toml", "unnamed")


@pytest.mark.parametrize("path", ["/michiQ/encounters", "/michiQ/doc"])
def test_a_path_that_another_route_has_is_told(folder: Folder, path: str) -> None:
    """Covers a route with an id, which also answers on its path without one."""
    folder.replace("new_case.toml", '"/michiQ/newCase"', f'"{path}"')
    [complaint] = folder.complaints()
    assert (complaint.key, complaint.line) == ("path", folder.line(complaint.file, "path"))
    assert complaint.reason == f"{path} is taken by new_case.toml"
