"""Tricks on the begin and end of a body: lengths, codings, chunks, line ends, control characters."""

from collections.abc import Iterable
from typing import Final

from tests.hostile.sound import ALL, BAD, BODIED, NONE, SAME, Sound, Trick, chunks

_CHUNKED: Final = b"Transfer-Encoding: chunked"
_END: Final = b"0\r\n\r\n"


def _body(sound: Sound) -> bytes:
    return sound.body or b"hola"


def _framed(name: str, *lines: bytes, in_chunks: bool = False, on: frozenset[str] = ALL) -> Trick:
    """`%d` in a line is the body's length, `%b` the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        body = _body(sound)
        values = {b"%d": b"%d" % len(body), b"%b": canary}
        framing = []
        for line in lines:
            for sign, value in values.items():
                line = line.replace(sign, value)
            framing.append(line)
        return sound.render(framing=framing, body=chunks(body) + _END if in_chunks else body)

    return Trick(name, make, on=on)


# Each is refused as a whole, whoever stands before the proxy and reads it in another way.
_LENGTHS: Final = [
    _framed("one length twice", b"Content-Length: %d", b"Content-Length: %d"),
    _framed("two lengths", b"Content-Length: %d", b"Content-Length: 1"),
    _framed("two lengths in a line", b"Content-Length: %d, %d"),
    _framed("length of a canary", b"Content-Length: %b"),
    _framed("negative length", b"Content-Length: -%d"),
    _framed("positive length", b"Content-Length: +%d"),
    _framed("hexadecimal length", b"Content-Length: 0x4"),
    _framed("length with a point", b"Content-Length: %d.0"),
    _framed("length in two words", b"Content-Length: 1 0"),
    _framed("length with a tail", b"Content-Length: %d%b"),
    _framed("no length", b"Content-Length:"),
    _framed("length beyond 64 bits", b"Content-Length: 99999999999999999999"),
    _framed("length in other digits", "Content-Length: ٤".encode()),
    _framed("length with a vertical tab", b"Content-Length: \x0b%d"),
    _framed("blank before the colon of the length", b"Content-Length : %d"),
    _framed("length before chunks", b"Content-Length: %d", _CHUNKED, in_chunks=True),
    _framed("length after chunks", _CHUNKED, b"Content-Length: 4", in_chunks=True),
]
_CODINGS: Final = [
    _framed("chunked twice", _CHUNKED, _CHUNKED, in_chunks=True),
    _framed("chunked twice in a line", b"Transfer-Encoding: chunked, chunked", in_chunks=True),
    _framed("identity", b"Transfer-Encoding: identity", b"Content-Length: %d"),
    _framed("gzip", b"Transfer-Encoding: gzip", in_chunks=True),
    _framed("gzip and chunks", b"Transfer-Encoding: gzip, chunked", in_chunks=True),
    _framed("chunks and gzip", b"Transfer-Encoding: chunked, gzip", in_chunks=True),
    _framed("chunks and identity", b"Transfer-Encoding: chunked, identity", in_chunks=True),
    _framed("a coding of a canary", b"Transfer-Encoding: %b", in_chunks=True),
    _framed("chunked, quoted", b'Transfer-Encoding: "chunked"', in_chunks=True),
    _framed("chunked and something", b"Transfer-Encoding: chunked%b", in_chunks=True),
    _framed("x of chunked", b"Transfer-Encoding: xchunked", in_chunks=True),
    _framed("chunked with a parameter", b"Transfer-Encoding: chunked;q=1", in_chunks=True),
    _framed("chunked and a comma", b"Transfer-Encoding: chunked,", in_chunks=True),
    _framed("chunked, folded", b"Transfer-Encoding:\r\n chunked", in_chunks=True),
    _framed("chunked after a vertical tab", b"Transfer-Encoding: \x0bchunked", in_chunks=True),
    _framed("chunked before NUL", b"Transfer-Encoding: chunked\0", in_chunks=True),
    _framed("blank before the colon of the coding", b"Transfer-Encoding : chunked", in_chunks=True),
    _framed("coding in a folded line", b"X-A: b\r\n Transfer-Encoding: chunked", in_chunks=True),
]


def _in_chunks(name: str, data: str, statuses: Iterable[int] = BAD, *, ends: bool = True) -> Trick:
    """`data` is the body's coding; `B` is the body in one sound chunk, `Z` the last chunk, `C` the canary."""
    signs = {"B": chunks, "Z": lambda _: _END}

    def make(sound: Sound, canary: bytes) -> tuple[bytes, ...]:
        body = bytearray()
        for sign in data:
            if sign in signs:
                body += signs[sign](_body(sound))
            else:
                body += canary if sign == "C" else sign.encode("latin-1")
        cut = len(body) // 2
        return sound.render(framing=[_CHUNKED], body=bytes(body[:cut])), bytes(body[cut:])

    return Trick(name, make, frozenset(statuses), ends=ends, on=BODIED)


_CHUNKS: Final = [
    _in_chunks("sound chunks", "BZ", [SAME]),
    _in_chunks("sound chunks, kept open", "BZ", [SAME], ends=False),
    _in_chunks("size of a canary", "BC\r\n", ends=False),
    _in_chunks("size beyond 64 bits", "B10000000000000000\r\nx\r\n", ends=False),
    _in_chunks("size of all bits", "Bffffffffffffffff1\r\nx\r\n", ends=False),
    _in_chunks("negative size", "B-1\r\nx\r\n", ends=False),
    _in_chunks("positive size", "B+1\r\nx\r\n", ends=False),
    _in_chunks("size with 0x", "B0x1\r\nx\r\n", ends=False),
    _in_chunks("no size", "B\r\nx\r\n", ends=False),
    _in_chunks("blank before the size", "B 1\r\nx\r\n", ends=False),
    _in_chunks("NUL in the size", "B1\0\r\nx\r\n", ends=False),
    _in_chunks("chunk longer than its size", "B1\r\nxx\r\n", ends=False),
    _in_chunks("chunk shorter than its size", "B9\r\nx\r\n0\r\n\r\n"),
    _in_chunks("chunk without its end", "B1\r\nx0\r\n\r\n", ends=False),
    _in_chunks("size before a bare line feed", "B1\nx\r\nZ", ends=False),
    _in_chunks("chunk before a bare line feed", "B1\r\nx\nZ", ends=False),
    _in_chunks("size before a bare carriage return", "B1\rx\r\nZ", ends=False),
    _in_chunks("last chunk cut off", "B0\r\n"),
    _in_chunks("no last chunk", "B"),
    _in_chunks("nothing", ""),
    _in_chunks("extension", "B0;C=1\r\n\r\n", [SAME]),
    _in_chunks("quoted extension", 'B0;a="C"\r\n\r\n', [SAME]),
    _in_chunks("extension with NUL", "B0;C=\0\r\n\r\n", ends=False),
    _in_chunks("extension with a line feed", "B0;C=\n\r\n\r\n", ends=False),
    _in_chunks("extension of 64 KiB", f"B0;C={'x' * 65536}\r\n\r\n", [SAME, 400]),
    _in_chunks("trailer", "B0\r\nX-Odd: C\r\n\r\n", [SAME, 400]),
    _in_chunks("trailer with a length", "B0\r\nContent-Length: 4\r\n\r\n", [SAME, 400]),
    _in_chunks("trailer with a coding", "B0\r\nTransfer-Encoding: chunked\r\n\r\n", [SAME, 400]),
    _in_chunks("trailer with a key", "B0\r\nAPI_KEY: C\r\n\r\n", [SAME, 400]),
    _in_chunks("trailer without a colon", "B0\r\nC\r\n\r\n", ends=False),
    _in_chunks("trailer with NUL", "B0\r\nX-Odd: C\0\r\n\r\n", ends=False),
    _in_chunks("trailer without an end", "B0\r\nX-Odd: C\r\n"),
    _in_chunks("trailer of 1 MB", f"B0\r\nX-Odd: C{'x' * 1_000_000}\r\n\r\n", ends=False),
    _in_chunks("1,000 trailers", "B0\r\n" + "X-Odd: C\r\n" * 1000 + "\r\n", ends=False),
]


def _bytewise(sound: Sound, _: bytes) -> bytes:
    body = _body(sound)
    return sound.render(framing=[_CHUNKED], body=chunks(*(body[i : i + 1] for i in range(len(body)))) + _END)


def _big_chunk(sound: Sound, canary: bytes) -> bytes:
    data = b"7fffffffffffffff\r\n" + canary * 1000
    return sound.render(framing=[_CHUNKED], body=data)


def _line_ends(end: bytes) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        lines, _, body = sound.render(b"X-Odd: " + canary).partition(b"\r\n\r\n")
        return (lines + b"\r\n\r\n").replace(b"\r\n", end) + body

    return Trick(f"line ends {end!r}", make, BAD | {NONE})


def _odd_line(name: str, line: bytes, *, first: bool = False, ends: bool = False) -> Trick:
    """A header line that is none; `%b` is the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        odd = line.replace(b"%b", canary)
        return sound.render(line=sound.line() + b"\r\n" + odd) if first else sound.render(odd)

    return Trick(name, make, ends=ends)


_LINES: Final = [
    *map(_line_ends, (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\x0b", b"\x85")),
    _odd_line("folded line", b"X-Odd: a\r\n %b"),
    _odd_line("line folded by a tab", b"X-Odd: a\r\n\t%b"),
    _odd_line("folded first line", b" X-Odd: %b", first=True),
    _odd_line("line without a colon", b"%b"),
    _odd_line("line without a name", b": %b"),
    _odd_line("blank before the colon", b"X-Odd : %b"),
    _odd_line("tab before the colon", b"X-Odd\t: %b"),
    _odd_line("blank in the name", b"X Odd: %b"),
    _odd_line("quote in the name", b'X"Odd: %b'),
    _odd_line("name beyond ASCII", "Ñ%b: x".encode()),
    _odd_line("NUL in a name", b"X\0Odd: %b"),
    _odd_line("NUL in a value", b"X-Odd: %b\0"),
    _odd_line("bare carriage return in a value", b"X-Odd: %b\rx"),
    _odd_line("bare line feed in a value", b"X-Odd: %b\nX-Even: 1"),
    _odd_line("bell in a value", b"X-Odd: %b\x07"),
    _odd_line("delete in a value", b"X-Odd: %b\x7f"),
]


def _cut(name: str, share: float, statuses: set[int], *, of_body: bool) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        data = sound.render(b"X-Odd: " + canary)
        start = len(data) - len(sound.body or b"") if of_body else 0
        end = len(data) if of_body else len(data) - len(sound.body or b"")
        return data[: start + int((end - start) * share)]

    return Trick(name, make, statuses, on=BODIED if of_body else ALL)


_CUTS: Final = [
    *(_cut(f"head cut at {share}", share, {NONE}, of_body=False) for share in (0.05, 0.3, 0.6, 0.95, 0.99)),
    *(_cut(f"body cut at {share}", share, {400}, of_body=True) for share in (0.0, 0.1, 0.5, 0.9, 0.99)),
    Trick("nothing at all", lambda _sound, _canary: b"", {NONE}),
    Trick("empty lines", lambda _sound, _canary: b"\r\n" * 50, {NONE}),
    Trick("empty lines before", lambda sound, _: b"\r\n\r\n" + sound.render(), {SAME, 400}),
    Trick("more than the length", lambda sound, canary: sound.render() + canary, {SAME, 400}, answers=2),
    Trick(
        "less than the length",
        lambda sound, _: sound.render(framing=[b"Content-Length: 999999"]),
        {400, 413},
        on=BODIED,
    ),
    Trick(
        "more than anybody sends",
        lambda s, c: s.render(framing=[b"Content-Length: 8" + b"0" * 17]),
        {400, 413},
        on=BODIED,
    ),
    Trick("a byte a chunk", _bytewise, {SAME}, on=BODIED),
    Trick("a chunk without an end", _big_chunk, {400, 401}, on=BODIED),
]

TRICKS: Final = [*_LENGTHS, *_CODINGS, *_CHUNKS, *_LINES, *_CUTS]
