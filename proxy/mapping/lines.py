"""Finds the line of a key in a TOML file, which the parser does not report."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Final

_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')"""
_PATH: Final = rf"(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)"
_HEADER: Final = re.compile(rf"\s*\[\[?\s*{_PATH}\s*\]\]?\s*(#.*)?")
_KEY: Final = re.compile(rf"\s*{_PATH}\s*=")

# Comments and short strings are matched so that quotation marks in them begin no long string.
_STRINGS: Final = re.compile(
    r"#[^\n]*"
    r'|"""(?:\\.|[^\\])*?"""'
    r"|'''.*?'''"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def line_of(text: str, path: Sequence[str]) -> int:
    """Returns the 1-based line of the key at `path`; `text` is valid TOML.

    Without such a key it is the line of the first key below it, else of its nearest table, else 1.
    """
    found = {key: line for line, key in _keys(_STRINGS.sub(_emptied, text))}
    below = [line for key, line in found.items() if path and key[: len(path)] == tuple(path)]
    if below and tuple(path) not in found:
        return min(below)
    for length in range(len(path), 0, -1):
        if tuple(path[:length]) in found:
            return found[tuple(path[:length])]
    return 1


def _emptied(string: re.Match[str]) -> str:
    """Returns a long string without its words, which could look like keys; its line ends stay."""
    return "\n" * string[0].count("\n") if string[0].startswith(('"""', "'''")) else string[0]


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line):
            table = _split(header["key"])
            yield number, table
        elif key := _KEY.match(line):
            yield number, table + _split(key["key"])


def _split(key: str) -> tuple[str, ...]:
    """Returns the parts of a dotted key, unquoted by the TOML parser itself."""
    node: object = tomllib.loads(f"{key} = 0")
    parts: list[str] = []
    while isinstance(node, dict):
        [(name, node)] = node.items()
        parts.append(name)
    return tuple(parts)
