"""Takes the sentences out of Markdown, help texts and comments of TOML and .env files; counts their words."""

import re
from collections.abc import Iterator
from typing import Final

import click

MOST: Final = 25  # words of a sentence
_FENCE: Final = re.compile(r"^( *)(```|~~~).*?^\1\2 *$", re.DOTALL | re.MULTILINE)
_MADE_BY_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_URL: Final = re.compile(r"<?https?://\S*[\w/]>?")
_CODE: Final = re.compile(r"``.+?``|`[^`]+`")
_ITEM: Final = re.compile(r"^\s*(?:[-*]|\d+\.)\s+|^#+\s+|^>\s+")
_CELLS: Final = re.compile(r"(?<!\\)\|")
# A full stop, a semicolon or a colon ends a sentence; a point inside of a word, as in 3.11, doesn't.
_END: Final = re.compile(r"[.;:!?…]+[)\"'”*_]*(?:\s|$)")
_WORD: Final = re.compile(r"\S*\w\S*")
_ABBREVIATIONS: Final = re.compile(r"\b(?:a\.m|p\.m|e\.g|i\.e|etc)\.")
_SETTING: Final = re.compile(r"^[A-Z_]+=|^[\w.\"]+ = |^\[")


def markdown(text: str) -> Iterator[str]:
    """Yields each sentence of a page: of its paragraphs, list items, headings and table cells."""
    text = _MADE_BY_COMMENT.sub("", _FENCE.sub("\n\n", text))
    for block in _blocks(text):
        yield from sentences(block)


def comments(text: str) -> Iterator[str]:
    """Yields each sentence of a file's comments; a setting that is commented out is none."""
    paragraph: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        whole = stripped.startswith("#") and not _SETTING.match(stripped.lstrip("#:").strip())
        if whole:
            paragraph.append(stripped.lstrip("#:").strip())
            continue
        yield from sentences(" ".join(paragraph))
        paragraph = []
        yield from sentences(_behind(stripped.lstrip("# ")))
    yield from sentences(" ".join(paragraph))


def help_of(command: click.Command) -> Iterator[str]:
    """Yields each sentence of a command's --help but its examples, and of the commands below it."""
    for paragraph in (command.help or "").split("\n\n"):
        yield from sentences(paragraph)
    for parameter in command.params:
        yield from sentences(getattr(parameter, "help", None) or "")
    for paragraph in (command.epilog or "").split("\n\n"):
        if not paragraph.startswith("\b\nExamples:"):
            yield from sentences(paragraph)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from help_of(below)


def sentences(text: str) -> Iterator[str]:
    """Yields what stands between full stops, semicolons and colons. Code counts as a word, a URL as none."""
    text = _URL.sub("", _LINK.sub(r"\1", text))
    text = _ABBREVIATIONS.sub(lambda found: found[0].replace(".", ""), _CODE.sub("`code`", text))
    yield from (" ".join(each.split()) for each in _END.split(text) if _WORD.search(each))


def words(sentence: str) -> int:
    """Returns how many words a sentence has; a sign that stands alone, such as a dash, is none."""
    return len(_WORD.findall(sentence))


def too_long(found: Iterator[str]) -> list[str]:
    """Returns the sentences of more words than a reader at night should need."""
    return [f"{words(each)} words: {each}" for each in found if words(each) > MOST]


def _blocks(text: str) -> Iterator[str]:
    """Yields the text of each paragraph, list item, heading and table cell."""
    block: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("|"):
            yield " ".join(block)
            block = []
            yield from _CELLS.split(line.strip())
        elif not line.strip() or _ITEM.match(line):
            yield " ".join(block)
            block = [_ITEM.sub("", line)]
        else:
            block.append(line)
    yield " ".join(block)


def _behind(line: str) -> str:
    """Returns the comment at the end of a line of TOML, whose strings may hold the sign."""
    return re.sub(r'"""|"[^"]*"|\'[^\']*\'', "", line).partition("#")[2]
