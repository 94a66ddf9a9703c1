"""Calls of a legacy client that loads make before, or beside, what they time."""

from dataclasses import dataclass, field

from tests.bench import bodies
from tests.bench.client import Answer, Client, request
from tests.bench.processes import Peer
from tests.bench.values import Void


@dataclass(frozen=True, slots=True)
class Case:
    """A case that a newCase made, and its caller's token."""

    id: str
    token: str = field(repr=False)

    def query(self, text: str) -> bytes:
        """Returns the bytes of a question about it."""
        headers = bodies.bearer(self.token) | bodies.JSON
        return request("POST", f"/michiQ/query/{self.id}", headers, bodies.question(text))

    def get(self, path: str) -> bytes:
        return request("GET", path, bodies.bearer(self.token))


def new_case_request(form: bytes, number: int = 0) -> bytes:
    return request("POST", "/michiQ/newCase", bodies.identity(number) | bodies.FORM, form)


def encounters_request(number: int = 0) -> bytes:
    return request("GET", "/michiQ/encounters", bodies.caller(number))


def new_case(client: Client, form: bytes | None = None, number: int = 0) -> Case:
    made = good(client.send(new_case_request(form or bodies.small_case(), number))).json()
    return Case(made["michiq_uuid"], made["token"])


def new_cases(peer: Peer, count: int) -> list[Case]:
    with Client(peer.port) as client:
        return [new_case(client) for _ in range(count)]


def good(answer: Answer) -> Answer:
    """Returns the answer. Raises Void where it isn't a 200."""
    if answer.status != 200:
        raise Void(f"a call was answered {answer.status}: {answer.body[:200]!r}")
    return answer
