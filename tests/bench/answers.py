"""The fake upstreams' answers, as Llamalitica, LlamaChat and the old server, and their counters."""

import json
import time
from binascii import crc32
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qs

Answered: TypeAlias = tuple[int, bytes]
_CONTROL: Final = b"/_"
FORMS: Final = frozenset({"cases", "transcriptions"})  # routes whose body is multipart
_ENCOUNTER: Final = {
    "MichiqUUID": "00000001-0000-4000-8000-000000000001",
    "Timestamp": "2024-01-01T12:00:00Z",
    "Username": "ana@clinica.example",
    "OrganizationID": "org-1",
    "TokensGenerated": 512,
    "TokensInput": 2048,
    "RuntimeMs": 1830,
    "Input": {"conversation": "Paciente que refiere cefalea de dos días de evolución."},
    "MichiqCoreVersion": "1.4",
    "StructuredData": {"dx": ["I10"]},
}
ENCOUNTERS: Final = json.dumps([_ENCOUNTER] * 10).encode()


@dataclass
class State:
    """The state that all connections share: counters, the delay, and the bodies that a checker wants."""

    counts: Counter[str] = field(default_factory=Counter)
    delay: float = 0.0
    keep: bool = False
    last: bytes = field(default=b"", repr=False)
    last_type: str = ""
    conversations: set[str] = field(default_factory=set)

    def number(self, what: str) -> str:
        """Returns an id that nothing else here has."""
        count = self.counts[what]
        return f"{count:08x}-0000-4000-8000-{count:012x}"


def value_of(head: bytes, name: bytes) -> bytes:
    """Returns a header's value from a head whose lines end in CRLF; empty where there is none."""
    at = head.lower().find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    start = at + 3 + len(name)
    return head[start : head.index(b"\r\n", start)].strip()


def route_of(head: bytes) -> str:
    method, target, _ = head.split(b" ", 2)
    known = {
        (b"GET", b"/api/users/me"): "users_me",
        (b"POST", b"/api/cases"): "cases",
        (b"POST", b"/api/conversations"): "conversations",
        (b"POST", b"/api/transcription"): "transcriptions",
        (b"GET", b"/michiQ/encounters"): "encounters",
    }
    if target.startswith(_CONTROL):
        return "control"
    if target.startswith(b"/api/conversations/") and target.endswith(b"/messages"):
        return "messages"
    return known.get((method, target), "unknown")


def answered(state: State, route: str, head: bytes, body: bytes) -> Answered:
    if route == "control":
        return 200, _control(state, head.split(b" ", 2)[1].decode())
    key = b"authorization" if route == "encounters" else b"x-api-key"
    if not value_of(head, key):
        return 401, b'{"error": "unauthorized"}'
    if route in FORMS and not body.rstrip().endswith(b"--"):
        return 400, b'{"error": "the form has no end"}'
    match route:
        case "encounters":
            return 200, ENCOUNTERS
        case "users_me":
            return 200, _me(value_of(head, b"x-user-email"))
        case "cases":
            return 200, _case(state.number("cases"))
        case "conversations":
            state.conversations.add(conversation := f"{state.counts['conversations']:024x}")
            return 200, json.dumps({"id": conversation, "title": "New Conversation"}).encode()
        case "messages":
            return _message(state, head.split(b"/", 4)[3].decode(), body)
        case "transcriptions":
            return 200, b'{"text": "Buenos d\\u00edas."}'
    return 404, b'{"error": "not found"}'


def _me(mail: bytes) -> bytes:
    """Another user for every address, with a token that is as long as real ones."""
    user = f"{crc32(mail):08x}"
    return json.dumps(
        {
            "user": {
                "accessToken": user * 24,
                "id": f"{user}-0000-4000-8000-000000000001",
                "email": mail.decode("latin-1"),
                "name": "Ana",
                "organization": {"id": "org-1", "name": "Clínica Norte", "settings": {"lang": "es"}},
                "specialities": ["cardiology"],
                "agents": [{"id": "agent-1", "name": "Report", "description": "", "type": "report"}],
            }
        }
    ).encode()


def _case(case: str) -> bytes:
    made = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())  # retention erases what is old
    file = {"id": "f-1", "name": "a", "type": "b", "size": 1, "status": "pending", "addedAt": made}
    about = {"caseId": case, "patientId": "p-1", "title": "New case", "createdAt": made, "files": [file]}
    return json.dumps(about).encode()


def _message(state: State, conversation: str, body: bytes) -> Answered:
    if conversation not in state.conversations:
        return 404, b'{"error": "Conversation not found"}'
    content = json.loads(body).get("content")
    if not content:
        return 400, b'{"error": "content is required"}'
    return 200, json.dumps({"role": "assistant", "content": f"Respuesta a: {content}"}).encode()


def _control(state: State, target: str) -> bytes:
    path, _, query = target.partition("?")
    given = {name: float(values[0]) for name, values in parse_qs(query).items()}
    if path == "/_last":
        return state.last_type.encode() + b"\n" + state.last
    state.delay = given.get("delay", state.delay)
    state.keep = bool(given.get("keep", state.keep))
    return json.dumps(state.counts).encode()
