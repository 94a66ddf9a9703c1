"""Pages, help texts, the `.env` of init and mapping files are in sentences of at most 25 words."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.cli import main
from tests.conftest import ROOT
from tests.english import comments, help_of, markdown, sentences, too_long

PAGES = (
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "docs/operate.md",
    "docs/scale.md",
    "docs/settings.md",
    "docs/move.md",
    "docs/scale.md",
    "docs/clients.md",
    "docs/reliability.md",
    "docs/performance.md",
    "docs/DESIGN.md",
    "docs/scale.md",
)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_only_sentences_of_25_words(page: str) -> None:
    found = [*markdown((ROOT / page).read_text("utf-8"))]
    assert len(found) > 20
    assert too_long(iter(found)) == []


def test_help_has_only_sentences_of_25_words() -> None:
    found = [*help_of(main)]
    assert len(found) > 100
    assert too_long(iter(found)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "mappings").glob("*.toml")), ids=lambda path: path.name)
def test_a_mapping_file_has_only_sentences_of_25_words(path: Path) -> None:
    found = [*comments(path.read_text("utf-8"))]
    assert found
    assert too_long(iter(found)) == []


def test_the_env_file_of_init_has_only_sentences_of_25_words(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "made")])
    assert result.exit_code == 0, result.output
    found = [*comments((tmp_path / "made" / ".env").read_text("utf-8"))]
    assert len(found) > 20
    assert too_long(iter(found)) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two; three: four", ["One", "Two", "three", "four"]),
        ("Python 3.11 at 3 a.m. is one", ["Python 3.11 at 3 am is one"]),
        ("see [the page](docs/a.md) at https://a.example/b; `a: b. c`", ["see the page at", "`code`"]),
    ],
)
def test_sentences_end_at_their_signs_and_nowhere_inside_of_code(text: str, found: list[str]) -> None:
    assert [*sentences(text)] == found


def test_paragraphs_items_and_cells_are_texts_of_their_own() -> None:
    page = "# Head\n\nA first\nline\n- an item\n  goes on\n- next\n\n```sh\nno text\n```\n| a | b |\n"
    assert [*markdown(page)] == ["Head", "A first line", "an item goes on", "next", "a", "b"]


def test_comments_are_read_and_what_is_commented_out_is_not() -> None:
    text = '# One\n# goes on.\na = "#x"  # behind\n# b = 1  # too\n# MICHIQ_A=a long value\n'
    assert [*comments(text)] == ["One goes on", "behind", "too"]


def test_a_sentence_of_26_words_is_too_long() -> None:
    assert too_long(iter(["w " * 25])) == []
    assert too_long(iter(["w - " * 26])) != []
