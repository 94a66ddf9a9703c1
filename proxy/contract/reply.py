"""An answer as it came, and its description for a report."""

from dataclasses import dataclass, field
from typing import Final

_EXCERPT: Final = 80  # characters


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers in order, and body of an answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """Returns the first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def content_type(self) -> str:
        return self.header("Content-Type") or "no Content-Type"

    def described(self, *, ours: bool = False) -> str:
        """Returns status and type, and of an error its first words.

        A success is only quoted when it is about what is `ours`: a host that lets in a wrong caller may show
        a patient's data.
        """
        if self.status < 400 and not ours:
            return f"{self.status} {self.content_type}, {len(self.body)} bytes"
        text = self.body[: 4 * _EXCERPT].decode("utf-8", "replace")
        excerpt = text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else "")
        return f"{self.status} {self.content_type} {excerpt!r}"
