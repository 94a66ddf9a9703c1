"""The words and the English of the code: whoever reads it at night learned English at school."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

ROOT: Final = Path(__file__).parent.parent
# Words of an older dialect: each stood for several things, or for something that has a common name.
RETIRED: Final = frozenset(
    {
        "settle",
        "settled",
        "settles",
        "told",
        "kept",
        "known",
        "place",
        "heard",
        "judge",
        "judged",
        "judges",
        "mend",
        "mends",
        "mended",
        "rim",
    }
)
# A channel between processes was called a line; lines of text are lines.
LINES: Final = frozenset({"line", "lines"})
OF_TEXT: Final = frozenset(
    {
        "proxy/cli/demo/case.py",
        "proxy/cli/demo/run.py",
        "proxy/cli/routes/stored_lists.py",
        "proxy/contract/new_case.py",
        "proxy/contract/report.py",
        "proxy/mapping/lines.py",
        "proxy/observe/lines.py",
        "proxy/text/passages.py",
    }
)
# Such a sentence has no subject, or comes to its subject late.
RIDDLES: Final = frozenset(
    {
        "As",
        "How",
        "If",
        "It",
        "Of",
        "That",
        "They",
        "This",
        "What",
        "When",
        "Where",
        "Whether",
        "Which",
        "Who",
        "Whom",
        "Whose",
        "Why",
    }
)
VERB: Final = re.compile(r"[A-Z][a-z]+s")

Named: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), parsed(path)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def named(tree: ast.Module) -> Iterator[Named]:
    return (node for node in ast.walk(tree) if isinstance(node, Named))


def words(name: str) -> list[str]:
    """Returns the words of a name in snake_case or CamelCase, in lower case."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def first_word(docstring: str | None) -> str | None:
    found = re.match(r"[A-Za-z]+", docstring or "")
    return found[0] if found else None


def test_a_name_is_split_into_its_words() -> None:
    assert words("tell_place") == ["tell", "place"]
    assert words("_KeptConnection2") == ["kept", "connection"]


def test_no_retired_word_names_a_module_a_class_or_a_function() -> None:
    found = []
    for path, tree in modules("proxy"):
        retired = RETIRED if path in OF_TEXT else RETIRED | LINES
        names = [Path(path).stem, *(node.name for node in named(tree))]
        found += [f"{path}: {name}" for name in names if not retired.isdisjoint(words(name))]
    assert found == []


def test_a_functions_docstring_begins_with_a_verb_in_the_third_person() -> None:
    functions = (
        (path, node) for path, tree in modules("proxy") for node in named(tree) if isinstance(node, FUNCTIONS)
    )
    found = [
        f"{path}: {node.name}: {word}"
        for path, node in functions
        if (word := first_word(ast.get_docstring(node)))
        and not VERB.fullmatch(word)
        and not _is_command(node)
    ]
    assert found == []


def _is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Returns whether click makes a command of it."""
    decorators = [ast.unparse(each) for each in function.decorator_list]
    return any(re.match(r"\w+\.(command|group)\(", each) for each in decorators)


def test_no_docstring_begins_as_a_riddle() -> None:
    found = [
        f"{path}: {word}"
        for path, tree in modules("proxy", "tests")
        for node in (tree, *named(tree))
        if (word := first_word(ast.get_docstring(node))) in RIDDLES
    ]
    assert found == []
