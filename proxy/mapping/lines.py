"""Finds the line of a key in a TOML file, which the parser does not tell."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Final

_HEADER: Final = re.compile(r"\s*\[\[?\s*(?P<key>[^\]#]+?)\s*\]\]?\s*(#.*)?")
_NAME: Final = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY: Final = re.compile(rf"\s*(?P<key>{_NAME}(?:\s*\.\s*{_NAME})*)\s*=")


def line_of(text: str, path: Sequence[str]) -> int:
    """The 1-based line of the key at `path`, else of its nearest table, else 1."""
    found = {key: line for line, key in _keys(text)}
    for length in range(len(path), 0, -1):
        if tuple(path[:length]) in found:
            return found[tuple(path[:length])]
    return 1


def _keys(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _split(header["key"])
            yield number, table
        elif key := _KEY.match(line):
            yield number, table + _split(key["key"])


def _split(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, unquoted by the TOML parser itself."""
    try:
        node: object = tomllib.loads(f"{key} = 0")
    except tomllib.TOMLDecodeError:
        return (key,)
    parts: list[str] = []
    while isinstance(node, dict):
        [(name, node)] = node.items()
        parts.append(name)
    return tuple(parts)
