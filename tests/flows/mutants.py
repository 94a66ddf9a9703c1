"""Deliveries gone wrong: in one value, in their shape, in their bytes, in their signature."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any, Final

from proxy.sandbox.reports import signature

MIB: Final = 1024 * 1024
# JSON as text, since a good part of it is none.
VALUES: Final = (
    *(
        "null",
        "true",
        "0",
        "-1",
        "-0.0",
        "1e308",
        "1e309",
        "NaN",
        "-Infinity",
        "[]",
        "{}",
        "[[]]",
        '[{"a":1}]',
    ),
    *("9" * 299, "9" * 301, "9" * 5000, "1" + "0" * 299 + ".5", "1e-999", "1.7976931348623157e308"),
    *(
        '""',
        '" "',
        '"\\u0000"',
        '"a\\u0000b"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\ud83d\\ude00"',
        '"\\uffff"',
    ),
    *('"ñ"', '"\u202e"', '"%s"', '"\'; DROP TABLE reports; --"', '"../../etc"', '"' + "x" * 199 + '"'),
    *('"' + "x" * 201 + '"', '"' + "\\u0061" * 3000 + '"', "[" * 60 + "]" * 60, "[" * 70 + "]" * 70),
    *("[" * 5000 + "]" * 5000, '{"a":' * 61 + "1" + "}" * 61, '{"a":1,"a":2}', '{"":null}', "01", "+1", ".5"),
    *("'x'", "undefined", "", "//x", '"\t"', '"\\x41"', '"\\u00"', "\ufeff1"),
)
TIMES: Final = (
    *(
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00-23:59",
        "0000-01-01T00:00:00Z",
    ),
    *(
        "9999-12-31T23:59:59.999999Z",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "-001-01-01T00:00:00Z",
    ),
    *("1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
    *("2026-03-21T24:00:00Z", "2026-03-21T23:59:60Z", "2026-03-21T10:60:00Z", "2026-13-01T00:00:00Z"),
    *("2026-03-21T10:00:00+24:00", "2026-03-21T10:00:00+99:99", "2026-03-21T10:00:00-00:00", "2026-03-21"),
    *("2026-03-21t10:00:00z", "2026-03-21 10:00:00Z", "2026-03-21T10:00:00", "٢٠٢٦-03-21T10:00:00Z"),
    *(
        f"2026-03-21T10:00:00.{'9' * 400}Z",
        "2026-03-21T10:00:00.Z",
        "2026-W12-6T10:00:00Z",
        "20260321T100000Z",
    ),
    *("2026-03-21T10:00:00+01:00:30", "2026-03-21T10:00:00Z ", "2026-03-21T10:00:00Z\n", "1e9", "now", ""),
)
PATHS: Final = (
    *(("event",), ("organizationId",), ("timestamp",), ("data",), ("data", "id"), ("data", "caseId")),
    *(("data", "agent"), ("data", "agent", "id"), ("data", "content"), ("data", "structuredData")),
)
_HOLE: Final = "<here>"
_BYTES: Final[tuple[Callable[[bytes], bytes], ...]] = (
    lambda body: b"",
    lambda body: b"\xef\xbb\xbf" + body,
    lambda body: b"\xff\xfe" + body.decode().encode("utf-16-le"),
    lambda body: body.decode().encode("utf-16"),
    lambda body: body.decode().encode("latin-1", "replace") + b"\xf1",
    lambda body: body[: len(body) // 2],
    lambda body: body + b"}",
    lambda body: body + body,
    lambda body: b"[" + body + b"]",
    lambda body: b" \r\n\t" + body + b" \n",
    lambda body: body + b"\x00",
    lambda body: body.replace(b'"', b"'"),
    lambda body: body[:-1] + b',"z":1,"z":2}',
    lambda body: body[:-1] + b',"event":"report.deleted"}',
    lambda body: b" " * (MIB - len(body)) + body,
    lambda body: b" " * (MIB + 1 - len(body)) + body,
    lambda body: body.replace(b'"content":"', b'"content":"' + b"\xed\xa0\x80"),
    lambda body: body.replace(b'"content":"', b'"content":"' + b"\xf5\x80\x80\x80"),
)


def mutant(body: bytes, random: Random) -> bytes:
    """The delivery with one thing wrong, or merely odd."""
    event = json.loads(body)
    kind = random.randrange(6)
    if kind == 0:
        return replaced(body, ("timestamp",), json.dumps(random.choice(TIMES), ensure_ascii=False))
    if kind in (1, 2):
        return replaced(body, random.choice(PATHS), random.choice(VALUES))
    if kind == 3:
        return random.choice(_BYTES)(body)
    if kind == 4:
        return _without(event, random.choice(PATHS))
    return _bitten(body, random)


def replaced(body: bytes, path: Sequence[str], text: str) -> bytes:
    """The delivery with this text, whether it is JSON or not, for one value."""
    changed = json.loads(body)
    _above(changed, path)[path[-1]] = _HOLE
    return json.dumps(changed, ensure_ascii=False).replace(f'"{_HOLE}"', text).encode()


def _without(event: dict[str, Any], path: Sequence[str]) -> bytes:
    changed = deepcopy(event)
    del _above(changed, path)[path[-1]]
    return json.dumps(changed, ensure_ascii=False).encode()


def _above(event: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for step in path[:-1]:
        event = event[step]
    return event


def _bitten(body: bytes, random: Random) -> bytes:
    """Some bytes flipped, dropped or doubled."""
    bitten = bytearray(body)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(bitten))
        match random.randrange(3):
            case 0:
                bitten[at] ^= 1 << random.randrange(8)
            case 1:
                del bitten[at]
            case _:
                bitten[at:at] = bitten[at : at + random.randint(1, 20)]
    return bytes(bitten)


def missigned(body: bytes, secret: str, random: Random) -> list[tuple[bytes, bytes]]:
    """The headers of a delivery that nobody has signed: malformed, or of something else."""
    good, name = signature(secret, body).encode(), b"X-Webhook-Signature"
    # Without control signs: those make it no request at all.
    noise = bytes(
        random.choice([*range(0x21, 0x7F), *range(0x80, 0x100)])
        for _ in range(random.choice((1, 63, 64, 65, 500)))
    )
    at = random.randrange(1, 64)
    near = good[:at] + (b"0" if good[at : at + 1] != b"0" else b"1") + good[at + 1 :]
    values: tuple[list[tuple[bytes, bytes]], ...] = (
        [],
        [(name, b"")],
        [(name, noise)],
        [(name, near)],
        [(name, good.upper() if good.upper() != good else near)],
        [(name, good[:at])],
        [(name, good + good[:1])],
        [(name, good + b"," + good)],
        [(name, good[:at] + b" " + good[at:])],
        [(name, good[:at] + b"\t" + good[at + 1 :])],
        [(name, b"sha256=" + good)],
        [(name, b'"' + good + b'"')],
        [(name, b"0x" + good[2:])],
        [(name, good), (name, good)],
        [(name, good), (name.lower(), near)],
        [(name + b"s", good)],
        [(name.replace(b"-", b"_"), good)],
        [(name, good.translate(bytes.maketrans(b"0123456789", b"OIZEASGTBP")))],
        [(name, "".join(chr(0xFF10 + int(c, 16) % 10) for c in good.decode()).encode())],
        [(name, random.randbytes(32).hex().encode())],
        [(name, signature("", body).encode())],
        [(name, signature(f"{secret} ", body).encode())],
        [(name, signature(secret, body + b"\n").encode())],
        [(name, signature(secret, good).encode())],
    )
    return random.choice(values)
