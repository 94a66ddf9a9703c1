"""Every text of the page is in English and Spanish, and the catalog has no text that nothing shows."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from jinja2 import Environment
from jinja2.ext import InternationalizationExtension, extract_from_ast

from proxy.rollout.explain import words
from tests.conftest import ROOT

PAGE: Final = ROOT / "proxy" / "web" / "page"
EXPLAIN: Final = ROOT / "proxy" / "rollout" / "explain"
CATALOG: Final = PAGE / "locales" / "es" / "LC_MESSAGES" / "messages.po"
# A view's module calls these of `Words`.
_CALLS: Final = {"gettext": 1, "ngettext": 2}
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)s|%[^%(\s]|\{\w+\}")


def templates() -> list[Path]:
    return sorted((PAGE / "templates").glob("*.html"))


def in_templates() -> Iterator[str]:
    environment = Environment(extensions=[InternationalizationExtension, "jinja2.ext.do"], autoescape=True)
    for path in templates():
        for _, _, texts in extract_from_ast(environment.parse(path.read_text("utf-8"))):
            yield from (each for each in ([texts] if isinstance(texts, str) else texts or ()) if each)


def in_modules() -> Iterator[str]:
    for path in (PAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = node.args[: _CALLS.get(node.func.attr, 0)]
                yield from (
                    each.value
                    for each in given
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def in_sentences() -> Iterator[str]:
    """Yields the texts of the sentences about a request, which are below the page."""
    for path in EXPLAIN.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = node.args[: {"text": 1, "ngettext": 2}.get(node.func.attr, 0)]
                texts = [each.value for each in given if isinstance(each, ast.Constant)]
                yield from (each for each in texts if isinstance(each, str))
    for table in (words.SIDES, words.WHYS, words.CALLERS, words.TOKENS, words.DROPS, words.DIFFERENCES):
        yield from table.values()


def messages() -> list[Message]:
    with CATALOG.open("rb") as file:
        return [each for each in read_po(file, locale="es") if each.id]


def ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def strings(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def test_every_text_has_a_translation_and_every_translation_a_text() -> None:
    shown = {*in_templates(), *in_modules(), *in_sentences()}
    translated = {each for one in messages() for each in ids(one)}
    assert (sorted(shown - translated), sorted(translated - shown)) == ([], [])


def test_every_translation_is_whole_with_the_same_placeholders() -> None:
    for message in messages():
        assert all(strings(message)), message.id
        assert not message.fuzzy, message.id
        for translated in strings(message):
            assert Counter(_PLACEHOLDER.findall(translated)) == Counter(
                _PLACEHOLDER.findall(ids(message)[-1])
            ), message.id


def test_no_template_has_a_script_a_style_or_an_address_of_elsewhere_in_it() -> None:
    inline = re.compile(
        r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|(?:src|href|action)=\"(?:https?:)?//"
    )
    assert [
        (path.name, found[0]) for path in templates() for found in inline.finditer(path.read_text())
    ] == []


def test_no_template_turns_the_escaping_off() -> None:
    turned_off = re.compile(r"\|\s*safe\b|autoescape|Markup")
    assert [path.name for path in templates() if turned_off.search(path.read_text("utf-8"))] == []
