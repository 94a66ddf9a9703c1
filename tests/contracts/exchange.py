"""One HTTP exchange as it went over the wire."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer, without its first line."""

    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the answer that it got. `path` is still escaped, `query` too."""

    method: str
    path: str
    query: str
    request: Message
    status: int
    answer: Message

    @property
    def title(self) -> str:
        """Returns the name of the exchange in a complaint."""
        return f"{self.method} {self.path} → {self.status}"
