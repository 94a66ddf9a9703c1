"""Sound requests, one for each route, and what hostile ones are made of them."""

import hmac
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final, TypeAlias
from zlib import crc32

from tests import samples
from tests.conftest import IDENTITY
from tests.flows._wire import BOUNDARY, MULTIPART, form, part

# Whatever shows it has leaked something: it is part of each canary, and nowhere else.
STEM: Final = "zq9xk7vw3p"
# As statuses of an answer: none, the connection just ends; and the same as to the sound request.
NONE: Final = 0
SAME: Final = -1
BAD: Final = frozenset({400})

OTHER: Final = {"user_mail": "eva@clinica.example"}
# An id for audio that is no case: nothing of it goes to the platform later, when nobody counts any more.
_FREE: Final = b"libre"

WEBHOOK: Final = "webhook"
WEBHOOK_SECRET: Final = b"sandbox-webhook-secret"
MULTI: Final = frozenset({"new_case", "upload_audio"})
JSON: Final = frozenset({"query", "speech_to_text", WEBHOOK})
BODIED: Final = MULTI | JSON
WITH_ID: Final = frozenset({"doc", "query", "upload_audio", "speech_to_text", "encounter_page"})
WITH_TOKEN: Final = WITH_ID | {"encounters"}
READING: Final = frozenset({"doc", "encounters", "encounter_page"})
MAPPED: Final = WITH_TOKEN | {"new_case"}
ALL: Final = MAPPED | {WEBHOOK, "nothing"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A request that its route takes, and the status that it is answered with."""

    route: str
    method: bytes
    target: bytes
    lines: tuple[bytes, ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    status: int

    def line(self, target: bytes | None = None, version: bytes = b"HTTP/1.1") -> bytes:
        return b" ".join([self.method, self.target if target is None else target, version])

    def render(
        self,
        *more: bytes,
        line: bytes | None = None,
        framing: Iterable[bytes] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """The request with further header lines; with another line, framing or body where one is given."""
        given = self.body if body is None else body
        length = [] if given is None else [b"Content-Length: %d" % len(given)]
        lines = [*self.lines, *more, *(length if framing is None else framing)]
        return head(line or self.line(), lines) + (given or b"")

    def without(self, *names: bytes) -> "Sound":
        """The request without the lines of these names."""
        kept = [each for each in self.lines if each.partition(b":")[0] not in names]
        return replace(self, lines=tuple(kept))

    def with_body(self, body: bytes, kind: bytes | None = None) -> "Sound":
        """The request with another body, signed where it has to be, and of another type if one is given."""
        changed = replace(self.without(b"Content-Type") if kind else self, body=body)
        lines = [each for each in changed.lines if not each.startswith(b"X-Webhook-Signature")]
        lines += [b"Content-Type: " + kind] if kind else []
        lines += [signature(body)] if self.route == WEBHOOK else []
        return replace(changed, lines=tuple(lines))


Pieces: TypeAlias = bytes | tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Trick:
    """A trick on a sound request; `make` gets the request and the canary to hide in it.

    `statuses` may be answered, at most `answers` times. `ends`: the client says that it has said all, so
    that nobody waits for more; without, it must be answered all the same.
    """

    name: str
    make: Callable[[Sound, bytes], Pieces]
    statuses: Set[int] = BAD
    answers: int = 1
    ends: bool = True
    on: Set[str] = ALL


@dataclass(frozen=True, slots=True)
class Hostile:
    """An input, ready to be sent."""

    name: str
    sound: Sound
    pieces: tuple[bytes, ...] = field(repr=False)
    statuses: frozenset[int]
    answers: int
    ends: bool


def done(trick: Trick, sound: Sound, name: str | None = None) -> Hostile:
    made = trick.make(sound, canary(trick.name))
    return Hostile(
        name=f"{name or trick.name} on {sound.route}",
        sound=sound,
        pieces=made if isinstance(made, tuple) else (made,),
        statuses=frozenset(sound.status if each == SAME else each for each in trick.statuses),
        answers=trick.answers,
        ends=trick.ends,
    )


def canary(place: str) -> bytes:
    """One for each place."""
    return f"{STEM}{crc32(place.encode()):08x}".encode()


def head(line: bytes, lines: Iterable[bytes]) -> bytes:
    return b"\r\n".join([line, *lines, b"", b""])


def signature(body: bytes) -> bytes:
    return b"X-Webhook-Signature: " + hmac.new(WEBHOOK_SECRET, body, sha256).hexdigest().encode()


def event(case_id: str) -> bytes:
    return (
        b'{"event": "report.updated", "organizationId": "o-1", "timestamp": "2026-01-02T03:04:05Z", '
        b'"data": {"id": "r-1", "caseId": "%b", "content": "Nada."}}' % case_id.encode()
    )


def sound_requests(token: str, legacy_id: str) -> dict[str, Sound]:
    """One for each route, for a session and its case, and one for a path that there is not."""
    host, own = b"Host: proxy.example", f"Authorization: Bearer {token}".encode()
    each_id = legacy_id.encode()
    kind, json = MULTIPART.encode(), b"Content-Type: application/json"
    # Another user than the session's, whose list of cases would grow all the time.
    identity = tuple(f"{name}: {value}".encode() for name, value in {**IDENTITY, **OTHER}.items())
    case = form(part("ehr", '{"id": "p-1", "name": "Ana"}'), part("files", "1", filename="1.txt"))
    sound = form(part("audioChunk", samples.wav(1), filename="a.wav"))
    told = event(legacy_id)
    made = [
        Sound("new_case", b"POST", b"/michiQ/newCase", (host, *identity, kind), case, 200),
        Sound("doc", b"GET", b"/michiQ/doc/" + each_id, (host, own), None, 200),
        Sound("encounters", b"GET", b"/michiQ/encounters", (host, own), None, 200),
        Sound("query", b"POST", b"/michiQ/query/" + each_id, (host, own, json), b'{"query": "Edad"}', 200),
        Sound("upload_audio", b"POST", b"/michiQ/uploadAudio/" + _FREE, (host, own, kind), sound, 200),
        Sound("speech_to_text", b"POST", b"/michiQ/speechToText/" + _FREE, (host, own, json), b"{}", 200),
        Sound("encounter_page", b"GET", b"/app/encounter/" + each_id, (host, own), None, 200),
        Sound(WEBHOOK, b"POST", b"/webhooks/llamalitica", (host, json, signature(told)), told, 200),
        Sound("nothing", b"GET", b"/nothing", (host,), None, 404),
    ]
    return {each.route: each for each in made}


def chunks(*pieces: bytes) -> bytes:
    """The chunked coding, without its last chunk."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)


def in_parts(*parts: bytes) -> bytes:
    """A form with this framing, whatever its parts."""
    delimiter = b"--" + BOUNDARY.encode()
    return b"".join(b"%b\r\n%b\r\n" % (delimiter, each) for each in parts) + delimiter + b"--\r\n"
