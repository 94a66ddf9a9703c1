"""JSON that is none, or two things at once, wherever JSON is read: ehr, query, speechToText, webhook."""

from collections.abc import Callable, Set
from typing import Final

from tests.flows._wire import part
from tests.hostile.sound import BAD, SAME, WEBHOOK, Sound, Trick, event, in_parts

# The documented answer to a text that is not JSON, or not the object that is expected.
_REFUSED: Final = {"new_case": 500, "query": 400, "speech_to_text": 400, WEBHOOK: 400}
_NOWHERE: Final[Set[str]] = frozenset()
_EVERYWHERE: Final = frozenset(_REFUSED)
_IN_RECORDS: Final = frozenset({"new_case"})
# Read as Windows-1252 where they are no UTF-8.
_IN_QUESTIONS: Final = frozenset({"query", "speech_to_text"})
_IN_HALVES: Final = frozenset({"new_case", WEBHOOK})

# Each as the value of a member, "%b" the canary; the routes that take it.
_VALUES: Final[dict[str, tuple[bytes, Set[str]]]] = {
    "NaN": (b"NaN", _NOWHERE),
    "Infinity": (b"Infinity", _NOWHERE),
    "-Infinity": (b"-Infinity", _NOWHERE),
    "a bare canary": (b"%b", _NOWHERE),
    "a quoted canary": (b"'%b'", _NOWHERE),
    "undefined": (b"undefined", _NOWHERE),
    "a hexadecimal number": (b"0x10", _NOWHERE),
    "a leading zero": (b"01", _NOWHERE),
    "a leading plus": (b"+1", _NOWHERE),
    "a number without an end": (b"1.", _NOWHERE),
    "a point before a number": (b".5", _NOWHERE),
    "1e400": (b"1e400", _NOWHERE),
    "301 digits": (b"9" * 301, _NOWHERE),
    "5,000 digits": (b"9" * 5000, _NOWHERE),
    "300 digits": (b"9" * 300, _EVERYWHERE),
    "1,000,000 digits": (b"9" * 1_000_000, _NOWHERE),
    "a fraction of 100,000 digits": (b"0." + b"3" * 100_000, _NOWHERE),
    "a lone surrogate": (b'"%b\\ud800"', _IN_HALVES),
    "a lone low surrogate": (b'"\\udc00%b"', _IN_HALVES),
    "a pair the wrong way round": (b'"%b\\udc00\\ud800"', _IN_HALVES),
    "a surrogate in bytes": (b'"%b\xed\xa0\x80"', _IN_QUESTIONS),
    "a pair": (b'"%b\\ud83d\\ude00"', _EVERYWHERE),
    "Latin-1": (b'"%b\xf1"', _IN_QUESTIONS),
    "an overlong byte": (b'"%b\xc0\xaf"', _IN_QUESTIONS),
    "half a character": (b'"%b\xc3"', _IN_QUESTIONS),
    "NUL in bytes": (b'"%b\0"', _NOWHERE),
    "NUL, escaped": (b'"%b\\u0000"', _EVERYWHERE),
    "a line end in a string": (b'"%b\n"', _NOWHERE),
    "a tab in a string": (b'"%b\t"', _NOWHERE),
    "an unknown escape": (b'"%b\\x41"', _NOWHERE),
    "half an escape": (b'"%b\\u00"', _NOWHERE),
    "a string without an end": (b'"%b', _NOWHERE),
    "quotes without an end": (b'"%b' + b'\\"' * 500_000, _NOWHERE),
    "a member twice": (b'{"a": "%b", "a": 1}', _IN_RECORDS),
    "a member twice, escaped": (b'{"a": "%b", "\\u0061": 1}', _IN_RECORDS),
    "a trailing comma": (b'["%b",]', _NOWHERE),
    "a comment": (b"1 /* %b */", _NOWHERE),
    "64 levels": (b"[" * 60 + b"]" * 60, _EVERYWHERE),
    "70 levels": (b"[" * 70 + b"]" * 70, _NOWHERE),
    "100,000 levels": (b"[" * 100_000 + b"]" * 100_000, _NOWHERE),
    "100,000 levels of members": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, _NOWHERE),
    "brackets without an end": (b"[" * 100_000, _NOWHERE),
    "brackets the wrong way round": (b"]" * 1000 + b"[" * 1000, _NOWHERE),
    "100,000 members": (b"{" + b",".join(b'"%d":0' % n for n in range(50_000)) + b"}", _EVERYWHERE),
    "400,000 values": (b"[" + b"0," * 400_000 + b"0]", _EVERYWHERE),
    "300,000 lists": (b"[" + b"[]," * 300_000 + b"[]]", _EVERYWHERE),
    "a string of 900 KB": (b'"%b' + b"x" * 900_000 + b'"', _EVERYWHERE),
    "a string of 900 KB, escaped": (b'"%b' + b"\\u0041" * 150_000 + b'"', _EVERYWHERE),
    "a name of 500 KB": (b'{"%b' + b"x" * 500_000 + b'": 1}', _EVERYWHERE),
    "a prototype": (b'{"__proto__": {"%b": 1}, "constructor": 1}', _EVERYWHERE),
    "HTML": (b'"<script>%b</script>"', _EVERYWHERE),
    "an expression": (b'"${%b} {{%b}} `%b`"', _EVERYWHERE),
}

# Each as the whole text.
_TEXTS: Final[dict[str, bytes]] = {
    "nothing but a canary": b"%b",
    "a list": b'["%b"]',
    "a string": b'"%b"',
    "a number": b"1",
    "null": b"null",
    "two texts": b'{"a": "%b"} {"a": 1}',
    "a text and a canary": b'{"a": 1} %b',
    "a BOM twice": b'\xef\xbb\xbf\xef\xbb\xbf{"a": "%b"}',
    "UTF-16": '{"a": "%b"}'.encode("utf-16"),
    "UTF-16 without a BOM": '{"a": "%b"}'.encode("utf-16-le"),
    "UTF-32": '{"a": "%b"}'.encode("utf-32"),
    "a text in XML": b"<a>%b</a>",
    "a form": b"query=%b&a=b",
    "half a text": b'{"a": "%b"',
    "a stray bracket": b'{"a": "%b"}}',
    "NUL before": b'\0{"a": "%b"}',
}


def _large(value: bytes, count: int, between: bytes = b", ") -> Callable[[Sound, bytes], bytes]:
    """A case's record of so many values, to be let in or not."""

    def make(sound: Sound, canary: bytes) -> bytes:
        values = between.join([value.replace(b"%b", canary)] * count)
        return _carried(sound, b'{"id": "p-1", "all": [' + values + b"]}")

    return make


# As a hospital sends it.
_OBSERVATION: Final = (
    b'{"resourceType": "Observation", "id": "0b9c3c6e-8d4b-4c1c-9a38-2f7f3a9d1c55", "status": "final", '
    b'"code": {"coding": [{"system": "http://loinc.org", "code": "1234-5", "display": "Glucosa en suero"}]}, '
    b'"subject": {"reference": "Patient/1"}, "effectiveDateTime": "2026-01-02T03:04:05+01:00", '
    b'"valueQuantity": {"value": 91.5, "unit": "mg/dL", "system": "http://unitsofmeasure.org"}, '
    b'"note": [{"text": "Sin incidencias en la toma; paciente en ayunas, %b."}]}'
)
# Nobody's fault, and the largest that may come.
LARGE: Final = [
    Trick("9 MB of observations", _large(_OBSERVATION, 17_000), {SAME}, on={"new_case"}),
    Trick("9 MB of one text", _large(b'"%b' + b"x" * 9_000_000 + b'"', 1), {SAME}, on={"new_case"}),
]
_RECORDS: Final = [
    Trick("9 MB of lists", _large(b"[]", 3_000_000, b","), {500}, on={"new_case"}),
    Trick("9 MB of numbers", _large(b"1", 4_500_000, b","), {500}, on={"new_case"}),
    Trick("9 MB of small objects", _large(b'{"a":1}', 1_100_000, b","), {500}, on={"new_case"}),
    Trick("lists, as many as there may be", _large(b"[]", 174_990, b","), {SAME}, on={"new_case"}),
    Trick("objects, as many as there may be", _large(b'{"a":{}}', 116_000, b","), {SAME}, on={"new_case"}),
]


def _texts(sound: Sound, value: bytes) -> bytes:
    """A text that the route would take, with this value in it."""
    if sound.route == WEBHOOK:
        return event(sound.route).replace(b'"content"', b'"structuredData": ' + value + b', "content"')
    member = {"new_case": b"a", "query": b"more", "speech_to_text": b"more"}[sound.route]
    further = b', "query": "Edad"' if sound.route == "query" else b""
    return b'{"id": "p-1", "' + member + b'": ' + value + further + b"}"


def _carried(sound: Sound, text: bytes) -> bytes:
    if sound.route == "new_case":
        return sound.with_body(in_parts(part("ehr", text))).render()
    return sound.with_body(text).render()


def _valued(name: str, value: bytes, route: str, statuses: Set[int]) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        return _carried(sound, _texts(sound, value.replace(b"%b", canary)))

    return Trick(f"JSON, {name}", make, statuses, on={route})


def _whole(name: str, text: bytes, route: str) -> Trick:
    def make(sound: Sound, canary: bytes) -> bytes:
        return _carried(sound, text.replace(b"%b", canary).replace("%b".encode("utf-16-le"), canary))

    statuses = {SAME} if (name, route) == ("null", "speech_to_text") else {_REFUSED[route]}
    return Trick(f"JSON, {name}", make, statuses, on={route})


def _member(name: str, route: str, member: bytes, value: bytes, statuses: Set[int] = BAD) -> Trick:
    """A body with nothing but this member."""

    def make(sound: Sound, canary: bytes) -> bytes:
        return sound.with_body(b'{"%b": %b}' % (member, value.replace(b"%b", canary))).render()

    return Trick(name, make, statuses, on={route})


# What a worker can't read in its memory or time, or the mapping's limit doesn't let in, is refused as well.
_LARGE: Final = 64 * 1024


def _statuses(route: str, value: bytes, *, sound: bool) -> Set[int]:
    refused = {_REFUSED[route]}
    if len(value) > _LARGE:
        refused |= {413}
    return refused | {SAME} if sound else refused


TRICKS: Final = [
    *_RECORDS,
    *(
        _valued(name, value, route, _statuses(route, value, sound=route in takers))
        for name, (value, takers) in _VALUES.items()
        for route in _REFUSED
    ),
    *(_whole(name, text, route) for name, text in _TEXTS.items() for route in _REFUSED),
    *(
        _member(f"a query that is {name}", "query", b"query", value)
        for name, value in {
            "a list": b'["%b"]',
            "an object": b'{"%b": 1}',
            "a number": b"1",
            "null": b"null",
            "empty": b'""',
            "blank": b'" \\t\\n\\u00a0"',
            "too long": b'"%b' + b"x" * 20_000 + b'"',
            "too long, beyond the BMP": b'"%b' + b"\\ud83d\\ude00" * 6000 + b'"',
        }.items()
    ),
    *(
        _member(f"a label that is {name}", "speech_to_text", b"audioFile", value, {SAME, 400})
        for name, value in {
            "a path": b'"../../%b"',
            "a URL": b'"http://%b.example/"',
            "a list": b'["%b"]',
            "a number": b"1",
            "a device": b'"/dev/zero"',
            "with NUL": b'"%b\\u0000"',
            "a file": b'"file:///etc/%b"',
        }.items()
    ),
]
