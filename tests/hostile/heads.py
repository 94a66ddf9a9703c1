"""Header lines: given twice, in two spellings, huge, many, in odd bytes, and meant for somebody else."""

from collections.abc import Set
from typing import Final

from tests.conftest import IDENTITY
from tests.hostile.sound import ALL, BAD, BODIED, MAPPED, READING, SAME, WITH_TOKEN, Sound, Trick

_NEW_CASE: Final = frozenset({"new_case"})
_KEY, _USER, _ORGANIZATION = (f"{name}: {value}".encode() for name, value in IDENTITY.items())


def _more(name: str, *lines: bytes, statuses: Set[int] = BAD, on: Set[str] = ALL, ends: bool = True) -> Trick:
    """Further lines; `%b` is the canary."""

    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.render(*(line.replace(b"%b", canary) for line in lines))

    return Trick(name, make, statuses, on=on, ends=ends)


def _instead(
    name: str, line: bytes, *lines: bytes, statuses: Set[int] = BAD, on: Set[str] = ALL, ends: bool = True
) -> Trick:
    """Other lines in the place of the one of this name."""

    def make(sound: Sound, canary: bytes) -> bytes:
        bare = sound.without(line)
        return bare.render(*(each.replace(b"%b", canary) for each in lines))

    return Trick(name, make, statuses, on=on, ends=ends)


_TWICE: Final = [
    _more("host twice", b"Host: proxy.example"),
    _more("two hosts", b"Host: %b.example"),
    _more("token twice", b"Authorization: Bearer %b", statuses={400, 401}, on=WITH_TOKEN),
    _more("type twice", b"Content-Type: application/%b", on=BODIED),
    _more("key twice", _KEY, on=_NEW_CASE),
    _more("two keys", b"API_KEY: %b", on=_NEW_CASE),
    _more("two keys, in capitals and not", b"api_key: %b", on=_NEW_CASE),
    _more("the key in two spellings", b"API-KEY" + _KEY[7:], statuses={SAME}, on=_NEW_CASE),
    _more("two keys in two spellings", b"API-KEY: %b", on=_NEW_CASE),
    _more("two keys in mixed spellings", b"Api-kEY: %b", on=_NEW_CASE),
    _more("two users", b"user_mail: %b@clinica.example", on=_NEW_CASE),
    _more("two users in two spellings", b"user-mail: %b@clinica.example", on=_NEW_CASE),
    _more("two organizations", b"organization: %b", on=_NEW_CASE),
    _more("two organizations, in capitals and not", b"ORGANIZATION: %b", on=_NEW_CASE),
    _more("two Idempotency-Keys", b"Idempotency-Key: %b", b"Idempotency-Key: a", on=_NEW_CASE),
    _more("two templates", b"template: 1", b"template: 2", on=_NEW_CASE),
    _more("two ids of a request", b"X-Request-ID: %b", b"X-Request-ID: 1", statuses={SAME}),
    _more("two signatures", b"X-Webhook-Signature: %b", statuses={401}, on={"webhook"}),
]
_IDENTITY: Final = [
    _instead("no key", b"API_KEY", statuses={401}, on=_NEW_CASE),
    _instead("empty key", b"API_KEY", b"API_KEY:", statuses={401}, on=_NEW_CASE),
    _instead("another key", b"API_KEY", b"API_KEY: %b", statuses={401}, on=_NEW_CASE),
    _instead("the key in a trailer's place", b"API_KEY", b"Trailer: API_KEY", statuses={401}, on=_NEW_CASE),
    _instead("key with a tab", b"API_KEY", b"API_KEY: %b\tx", on=_NEW_CASE),
    _instead("key beyond ASCII", b"API_KEY", "API_KEY: %bñ".encode(), statuses={400, 401}, on=_NEW_CASE),
    _instead("key in no charset", b"API_KEY", b"API_KEY: %b\xff\xfe", statuses={400, 401}, on=_NEW_CASE),
    _instead("key of 20,000 signs", b"API_KEY", b"API_KEY: %b" + b"x" * 20_000, statuses={401}, on=_NEW_CASE),
    _instead("no user", b"user_mail", statuses={401}, on=_NEW_CASE),
    _instead("user that is a tab", b"user_mail", b"user_mail: \t", statuses={401}, on=_NEW_CASE),
    _instead("user with a tab", b"user_mail", b"user_mail: a\t%b", on=_NEW_CASE),
    _instead("no organization", b"organization", statuses={401}, on=_NEW_CASE),
    _instead("C1 controls", b"organization", "organization: %b\x85".encode(), on=_NEW_CASE),
    _instead(
        "lone surrogates",
        b"organization",
        b"organization: %b\xed\xa0\x80",
        statuses={SAME, 400},
        on=_NEW_CASE,
    ),
    _instead("no token", b"Authorization", statuses={401}, on=WITH_TOKEN),
    _instead("another token", b"Authorization", b"Authorization: Bearer %b", statuses={401}, on=WITH_TOKEN),
    _instead(
        "a user and a password", b"Authorization", b"Authorization: Basic %b", statuses={401}, on=WITH_TOKEN
    ),
    _instead("two tokens", b"Authorization", b"Authorization: Bearer %b %b", statuses={401}, on=WITH_TOKEN),
    _instead("a bare token", b"Authorization", b"Authorization: %b", statuses={401}, on=WITH_TOKEN),
    _instead(
        "a quoted token", b"Authorization", b'Authorization: Bearer "%b"', statuses={401}, on=WITH_TOKEN
    ),
    _instead(
        "a token in no charset",
        b"Authorization",
        b"Authorization: Bearer %b\xff",
        statuses={401},
        on=WITH_TOKEN,
    ),
    _instead(
        "a token of 20,000 signs",
        b"Authorization",
        b"Authorization: Bearer %b" + b"x" * 20_000,
        statuses={401},
        on=WITH_TOKEN,
    ),
    _instead(
        "a token in the twin's place",
        b"Authorization",
        b"Author_ization: Bearer %b",
        statuses={401},
        on=WITH_TOKEN,
    ),
    _instead(
        "a token in a cookie",
        b"Authorization",
        b"Cookie: Authorization=Bearer %b",
        statuses={401},
        on=WITH_TOKEN,
    ),
    _instead("no signature", b"X-Webhook-Signature", statuses={401}, on={"webhook"}),
    _instead(
        "a signature of a canary",
        b"X-Webhook-Signature",
        b"X-Webhook-Signature: %b",
        statuses={401},
        on={"webhook"},
    ),
    _instead(
        "a signature beyond ASCII",
        b"X-Webhook-Signature",
        b"X-Webhook-Signature: %b\xc3\xb1",
        statuses={401},
        on={"webhook"},
    ),
]
_SIZES: Final = [
    _more("line of 1 MB", b"X-Odd: %b" + b"x" * 1_000_000, ends=False),
    _more("name of 1 MB", b"X" * 1_000_000 + b"%b: x", ends=False),
    _more("line of 20,000 bytes", b"X: %b" + b"x" * 20_000, statuses={SAME}),
    _more("line of 65,536 bytes", b"X: %b" + b"x" * 65_536, ends=False),
    _more("10,000 lines", *[b"X-Odd: %b"] * 10_000, ends=False),
    _more("10,000 empty lines", *[b"X:"] * 10_000, ends=False),
    _more("129 lines", *[b"X-Odd: %b"] * 129, ends=False),
    _more("100 lines", *[b"X-Odd: %b"] * 100, statuses={SAME}),
    _more("100 lines of 8,000 bytes", *[b"X-Odd: %b" + b"x" * 7900] * 100, ends=False),
    _more("cookies of 20,000 bytes", b"Cookie: %b=" + b"x" * 20_000, statuses={SAME}),
]
_HOSTS: Final = [
    _instead("no host", b"Host"),
    *(
        _instead(f"host {host.decode('latin-1')}", b"Host", b"Host: " + host, statuses={SAME})
        for host in (
            b"",
            b"https://%b.example/",
            b"%b@proxy.example",
            b"proxy.example:99999",
            b"proxy.example:%b",
            b"[::1",
            b"[%b]",
            b"a b",
            b"../%b",
            b"%b%00",
            b"\xff\xfe%b",
            "Clínica%b".encode(),
            b"127.0.0.1, %b",
            b"x" * 4000,
        )
    ),
]
# What no proxy may act on: they mean something to somebody else, or nothing to anybody.
_STRANGE: Final = [
    _more(f"strange {line.decode('latin-1')}", line, statuses={SAME})
    for line in (
        b"Connection: close, API_KEY, Authorization, %b",
        b"Connection: Content-Length",
        b"Connection: keep-alive, Host, user_mail, organization",
        b"Keep-Alive: timeout=999999, max=%b",
        b"Proxy-Connection: %b",
        b"Upgrade: %b",
        b"TE: trailers, %b",
        b"Trailer: Content-Length, %b",
        b"X-HTTP-Method-Override: DELETE",
        b"X-Original-URL: /admin/%b",
        b"X-Rewrite-URL: /%b",
        b"X-Forwarded-For: %b, 127.0.0.1",
        b"X-Forwarded-Host: %b",
        b"X-Forwarded-Proto: %b",
        b"Forwarded: for=%b;proto=https",
        b"X-Michiq-Tester: new %b",
        b"Range: bytes=0-%b",
        b"If-None-Match: *",
        b"If-Modified-Since: %b",
        b"Cookie: %b=%b; ; =; \xff",
        b"Accept: %b/*;q=2, text/html;q=, ,;",
        b"Accept-Encoding: gzip, br, %b",
        b"Accept-Charset: %b",
        b"Accept-Language: %b",
        b"Referer: https://%b.example/",
        b"User-Agent: %b \xff\xfe ${jndi:ldap://%b}",
        b"X-Request-ID: %b \xc3\xb1",
        b"X-Request-ID: <script>%b",
        b"Date: %b",
        b"Max-Forwards: 0",
        b"Origin: https://%b.example",
        b"Access-Control-Request-Method: %b",
        b"Content-Disposition: form-data; name=%b; name=%b",
    )
]
# A program that folds names, as CGI does, would find another body in them, or another host.
_DISGUISED: Final = [
    _more(f"disguised {line.decode()}", line, ends=False)
    for line in (
        b"Content_Length: 1",
        b"CONTENT_LENGTH: %b",
        b"Content.Length: 1",
        b"Transfer_Encoding: chunked",
        b"Transfer~Encoding: %b",
        b"Keep_Alive: timeout=%b",
        b"Proxy_Connection: %b",
    )
]
_UPGRADES: Final = [
    _more(
        "to a web socket",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Key: %b",
        statuses={SAME},
    ),
    _more(
        "to HTTP/2",
        b"Connection: Upgrade, HTTP2-Settings",
        b"Upgrade: h2c",
        b"HTTP2-Settings: %b",
        statuses={SAME},
    ),
    _more("to an old web socket", b"Sec-WebSocket-Key1: %b", ends=False),
    _more("a page please", b"Accept: text/html", statuses={302}, on={"encounter_page"}),
    _more("a label of 8,000 signs", b"Idempotency-Key: %b" + b"x" * 8000, statuses={SAME}, on=_NEW_CASE),
    _more("a label with a tab", b"Idempotency-Key: %b\tx", on=_NEW_CASE),
    _more("an unknown template", b"template: %b", statuses={SAME}, on=_NEW_CASE),
    _more("a body that is read by nobody", b"Content-Length: 4", statuses={SAME, 400}, on=READING, ends=True),
]


def _in_another_method(method: bytes, statuses: Set[int], on: Set[str] = ALL, *, ends: bool = False) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        line = b" ".join([method.replace(b"%b", canary), sound.target, b"HTTP/1.1"])
        return sound.render(b"X-Odd: " + canary, line=line)

    return Trick(f"method {method[:20]!r}", make, statuses, on=on, ends=ends)


_METHODS: Final = [
    *(
        _in_another_method(method, BAD)
        for method in (
            b"",
            b"%b",
            b"get",
            b"Post",
            b"GET\0",
            b"G ET",
            b"GET\t",
            b"CONNECT",
            b"PRI",
            b"\xff",
            b"{}",
        )
    ),
    _in_another_method(b"x" * 1_000_000, BAD),
    *(
        _in_another_method(method, {405}, MAPPED | {"webhook"}, ends=True)
        for method in (b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"PROPFIND", b"M-SEARCH", b"SOURCE")
    ),
    _in_another_method(b"GET", {405}, BODIED, ends=True),
    _in_another_method(b"POST", {405}, READING, ends=True),
]

TRICKS: Final = [*_TWICE, *_IDENTITY, *_SIZES, *_HOSTS, *_STRANGE, *_DISGUISED, *_UPGRADES, *_METHODS]
