"""Forms in any pieces, against a reading of the whole body at once by another way."""

import re
import tracemalloc
from itertools import pairwise
from typing import Final, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.inbound.multipart_parser import MultipartParser
from proxy.inbound.part_headers import PartHeaders

BOUNDARY: Final = "f-r"
HEAD: Final = b"Content-Disposition: form-data; name=a"

Parts: TypeAlias = list[tuple[bytes, bytes]]

# What forms are made of, and what is nearly that.
PIECES: Final = (
    b"--f-r", b"--f-r\r\n", b"--f-r--", b"\r\n--f-r", b"\r\n--f-r\r\n", b"\r\n--f-r--", b"--", b"-",
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"x", b"f-r", HEAD, b"Content-",
    b"X-A: b\r\n", b"X-A:b\r\n c", b":",
)  # fmt: skip


def parsed(body: bytes, cuts: list[int]) -> Parts | None:
    """Returns the header lines and the content of each part; None if the form is refused."""
    parser = MultipartParser(BOUNDARY)
    parts: list[tuple[str, bytearray]] = []
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    ended = True
    try:
        for start, end in pairwise(places):
            for event in parser.feed(body[start:end]):
                assert isinstance(event, PartHeaders) == ended, "a part begins where the last one has ended"
                if isinstance(event, PartHeaders):
                    parts.append((repr(event.lines), bytearray()))
                elif event is not None:
                    assert event, "no piece of a content is empty"
                    parts[-1][1].extend(event)
                ended = event is None
        parser.close()
    except Refusal:
        return None
    assert ended
    return [(lines.encode(), bytes(content)) for lines, content in parts]


def split(body: bytes) -> Parts | None:
    """Returns the same for the whole body, by looking for its lines."""
    text = b"\r\n" + body
    delimiters = list(re.finditer(rb"\r\n--f-r(?:(--)|[ \t]*(?=\r\n))", text))
    found = list(re.finditer(rb"\r\n--f-r", text))
    last = next((number for number, each in enumerate(delimiters) if each[1]), None)
    if last is None or len(found) < last + 1:
        return None
    # Up to the closing one each is whole; behind it there is none, whatever its line ends are.
    if [each.start() for each in found[: last + 1]] != [each.start() for each in delimiters[: last + 1]]:
        return None
    if re.search(rb"(?:^|[\r\n])--f-r", text[delimiters[last].end() :]):
        return None
    if re.search(rb"[\r\n](?:--|content-)", text[: delimiters[0].start()] + b"\r", re.IGNORECASE):
        return None
    between = [text[one.end() : other.start() + 2] for one, other in pairwise(delimiters[: last + 1])]
    return _read(between)


def _read(between: list[bytes]) -> Parts | None:
    parts: Parts = []
    for each in between:
        head, blank, content = each.partition(b"\r\n\r\n")
        lines = re.sub(rb"\r\n[ \t](?=[^\r\n]*[^\r\n \t])", b" ", head.removeprefix(b"\r\n")).split(b"\r\n")
        if not blank or len(lines) > 8:
            return None
        headers = [re.fullmatch(rb"[ \t]*(\w[\w-]*)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*", line) for line in lines]
        if lines == [b""]:
            headers = []
        if not all(headers) or any(line[:1] in (b" ", b"\t") for line in lines):
            return None
        named = tuple((match[1].decode().lower(), match[2]) for match in headers if match)
        parts.append((repr(named).encode(), content[:-2] if content else b""))
    return parts


@settings(max_examples=600, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from(PIECES), max_size=24).map(b"".join), st.lists(st.integers(0, 400), max_size=6)
)
@example(b"--f-r\r\n" + HEAD + b"\r\n\r\n--f-r\r\n" + HEAD + b"\r\n\r\nx\r\n--f-r--", [])
@example(b"--f-r \t\r\n" + HEAD + b"\r\n\r\n\r\n--f-r--\r\n--f-r\r\n", [3])
def test_form_N16_is_read_as_its_lines_say(body: bytes, cuts: list[int]) -> None:
    assert parsed(body, cuts) == split(body)


@st.composite
def sound_forms(draw: st.DrawFn) -> tuple[bytes, Parts]:
    """Makes a form and its parts, with contents that are nearly delimiters."""
    near = (b"\r\n--f-", b"\r\n--", b"\r\n", b"\r", b"--f-r", b"\n--f-r", b"-", b"x", b"\0")
    contents = draw(
        st.lists(st.lists(st.sampled_from(near), max_size=8).map(b"".join), min_size=1, max_size=5)
    )
    parts: Parts = []
    body = draw(st.sampled_from((b"", b"\r\n", b"Un formulario.\r\n", b"x--f-r\r\n\r\n")))
    for number, drawn in enumerate(contents):
        content = re.sub(rb"(^|\r\n)--f-r", rb"\1x--f-r", drawn)
        name = b"%d" % number
        blanks = draw(st.sampled_from((b"", b" ", b"\t \t")))
        end = b"" if not content and draw(st.booleans()) else b"\r\n"
        body += b"--f-r%b\r\nX-A: %b\r\n\r\n%b%b" % (blanks, name, content, end)
        parts.append((repr((("x-a", name),)).encode(), content))
    return body + b"--f-r--" + draw(st.sampled_from((b"", b"\r\n", b"  \r\nFin.", b"\r\n--f", b"x"))), parts


@settings(max_examples=400, deadline=None, derandomize=True)
@given(sound_forms(), st.lists(st.integers(0, 400), max_size=6))
def test_form_N16_that_is_sound_loses_nothing(form: tuple[bytes, Parts], cuts: list[int]) -> None:
    body, parts = form
    assert parsed(body, cuts) == parts
    assert parsed(body, list(range(len(body)))) == parts


_PART: Final = b"--f-r\r\n" + HEAD + b"\r\n\r\nx"


@pytest.mark.parametrize(
    ("before", "filler"),
    [
        (b"x", b"\r"),
        (b"x", b"\r\n\r\n"),
        (b"--f-r", b" "),
        (_PART, b"\r\n--f-"),
        (_PART, b"\r\n--f-x"),
        (_PART + b"\r\n--f-r--", b"\r\n--f-"),
        (_PART + b"\r\n--f-r--", b"x--f-r"),
    ],
)
def test_form_N16_takes_no_memory_for_what_has_gone_by(before: bytes, filler: bytes) -> None:
    parser, piece = MultipartParser(BOUNDARY), filler * (10_000 // len(filler))
    parser.feed(before)
    tracemalloc.start()
    try:
        for _ in range(100):
            parser.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(piece)
    finally:
        tracemalloc.stop()


def test_form_N16_a_NUL_in_a_parts_header_breaks_the_form() -> None:
    for sign, parts in ((b"x", 1), (b"\0", None)):
        found = parsed(b"--f-r\r\n" + HEAD + b"; filename=a" + sign + b"\r\n\r\nx\r\n--f-r--", [])
        assert (found and len(found)) == parts
