"""The request line: versions, forms of a target, queries, and ids that are none."""

from collections.abc import Set
from typing import Final

from tests.hostile.sound import BAD, NONE, SAME, WITH_ID, Sound, Trick

_UNKNOWN_ID: Final = {400, 404}


def _version(version: bytes, statuses: Set[int] = BAD, *, ends: bool = False) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.render(line=sound.line(version=version.replace(b"%b", canary)))

    return Trick(f"version {version!r}", make, statuses, ends=ends)


_VERSIONS: Final = [
    *map(
        _version,
        (
            b"HTTP/0.9",
            b"HTTP/1.2",
            b"HTTP/1.9",
            b"HTTP/2.0",
            b"HTTP/3.0",
            b"HTTP/9.9",
            b"HTTP/10.1",
            b"HTTP/1.10",
            b"HTTP/01.1",
            b"HTTP/1",
            b"HTTP/1.",
            b"HTTP/.1",
            b"HTTP/1.1.1",
            b"HTTP/a.b",
            b"HTTP/-1.1",
            b"http/1.1",
            b"Http/1.1",
            b"HTTPS/1.1",
            b"ICY/1.1",
            b"RTSP/1.0",
            b"RTSP/1.1",
            b"ICE/1.1",
            b"HTTP/1.1 %b",
            b"HTTP/1.1\t",
            b"HTTP / 1.1",
            b"%b",
            b"HTTP/1.1\0",
            b"\xff",
        ),
    ),
    _version(b"HTTP/1.0", {SAME}, ends=True),
    Trick("no version", lambda s, _: s.render(line=s.line().removesuffix(b" HTTP/1.1")), ends=False),
    Trick("two blanks", lambda sound, _: sound.render(line=sound.line().replace(b" ", b"  ")), {SAME, 400}),
    Trick("a tab for a blank", lambda s, _: s.render(line=s.line().replace(b" ", b"\t")), ends=False),
    Trick("a blank before", lambda sound, _: b" " + sound.render(), ends=False),
    Trick("HTTP/2", lambda _s, canary: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + canary, ends=False),
    Trick("TLS", lambda _s, c: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + c * 8, {400, NONE}, ends=False),
    Trick("another protocol", lambda _s, canary: b"EHLO " + canary + b"\r\n", {400, NONE}, ends=False),
    Trick("an answer", lambda _s, c: b"HTTP/1.1 200 OK\r\nX: " + c + b"\r\n\r\n", ends=False),
]


def _target(name: str, target: bytes, statuses: Set[int] = BAD, *, ends: bool = False) -> Trick:
    """`%t` is the sound target, `%b` the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.render(line=sound.line(target.replace(b"%t", sound.target).replace(b"%b", canary)))

    return Trick(name, make, statuses, ends=ends)


_TARGETS: Final = [
    _target("no target", b""),
    _target("asterisk", b"*"),
    _target("authority", b"%b.example:443"),
    _target("no slash", b"%b"),
    _target("a query alone", b"?%b"),
    _target("absolute", b"http://%b.example%t", {SAME}, ends=True),
    _target("absolute, in capitals", b"HTTPS://%b.example:8443%t", {SAME}, ends=True),
    _target("absolute, to an IPv6 address", b"http://[::1]:80%t", {SAME}, ends=True),
    _target("absolute, without a path", b"http://%b.example", {404, 405}, ends=True),
    _target("absolute, without a host", b"http://%t"),
    _target("absolute, of a half address", b"http://[::1%t"),
    _target("absolute, of a file", b"file://%t"),
    _target("absolute, of another scheme", b"ftp://%b.example%t"),
    _target("absolute, with a user", b"http://user:%b@proxy.example%t"),
    _target("absolute, with a bad port", b"http://proxy.example:%b%t", {SAME, 400}),
    _target("absolute, twice", b"http://a.example/http://%b.example%t", {404}, ends=True),
    _target("javascript", b"javascript:%b"),
    _target("two slashes", b"/%t", {SAME}, ends=True),
    _target("slashes everywhere", b"//%t//?%b", {SAME}, ends=True),
    _target("a host and a path", b"//%b.example%t", {404}, ends=True),
    _target("a fragment", b"%t#%b"),
    _target("a blank", b"%t %b"),
    _target("NUL", b"%t\0%b"),
    _target("a bell", b"%t\x07%b"),
    _target("a delete", b"%t\x7f"),
    _target("beyond ASCII", "%tñ%b".encode()),
    _target("no charset", b"%t\xff"),
    _target("a backslash", b"\\%t"),
    _target("of 9,000 signs", b"%t?%b" + b"x" * 9000),
    _target("of 1 MB", b"%t?%b" + b"x" * 1_000_000),
    _target("4,000 parameters", b"%t?" + b"&" * 3990 + b"%b", {SAME}, ends=True),
    _target("3,900 named parameters", b"%t?" + b"&".join([b"a"] * 3900) + b"&%b", {SAME}, ends=True),
    _target("a query of signs", b"%t?%%b=%zz&=&&=%00&[]={}&%b;%b", {SAME}, ends=True),
    _target("a query of a view", b"%t?view=%b", {SAME, 400, 404}, ends=True),
    _target("an empty query", b"%t?", {SAME}, ends=True),
    _target("up and down", b"/%b/..%t", {404}, ends=True),
    _target("up, escaped", b"/%b/%2e%2e%t", {404}, ends=True),
    _target("out of the top", b"/../../../etc/%b", {404}, ends=True),
    _target("to the operators", b"/admin/routes?%b", {404}, ends=True),
    _target("to the probes", b"/readyz?%b", {404}, ends=True),
    _target("of another case", b"/MICHIQ/NEWCASE?%b", {404}, ends=True),
]


def _id(each: bytes, statuses: Set[int] = frozenset(_UNKNOWN_ID), *, ends: bool = True) -> Trick:
    """An id that is none; with `%b`, the canary, it stays none."""

    def make(sound: Sound, canary: bytes) -> bytes:
        base = sound.target.rpartition(b"/")[0]
        return sound.render(line=sound.line(base + b"/" + each.replace(b"%b", canary)))

    return Trick(f"id {each[:40]!r} of {len(each)}", make, statuses, on=WITH_ID, ends=ends)


# Ids that are none, each a word; "%b" is the canary.
_WORDS: Final = rb"""
    . .. %2e %2e%2e %2E%2E%2F%b ..%2f..%2f%b %b%2f.. %b%2F %2F%b ..%5c%b %5c %b%00 %00 %b%0a %0d%0aX-Odd:%20%b
    %b%09 %20 %b%20%b %7f %b% %%b %zz %u0041 %25 %2525 %b%2500 %c3%b1%b %ff%b %c0%ae%c0%ae %e2%80%ae%b
    %ef%bc%91 %d9%a1 %ed%a0%80 %f4%90%80%80 %b. .%b %b:1 %b;a=b %b,%b %b@a %b+b %b~ %b* %b' %b! $%b %b%22
    %b%3f %b%23 {%b} %7b%b%7d (%b) [%b] <%b> %3Cscript%3E%b ${%b} %24%7B%b%7D '%20OR%201=1--%b
    %b|x %b^ `%b` %b=%b=
"""
_IDS: Final = [
    *map(_id, (b"", *_WORDS.split())),
    _id(b"x" * 65),
    _id(b"%b" + b"x" * 60),
    _id(b"%b" + b"x" * 4000),
    _id(b"%b" + b"%41" * 200),
    _id(b"%b" + b"%c3%b1" * 1300),
    _id(b"%b" + b"x" * 10_000, BAD, ends=False),
    _id(b"%b" + b"%00" * 3400, BAD, ends=False),
    _id(b"%b/%b", {404}),
    _id(b"../%b", {404}),
    _id(b"./%b", {404}),
    _id(b"a//%b", {404}),
]

TRICKS: Final = [*_VERSIONS, *_TARGETS, *_IDS]
