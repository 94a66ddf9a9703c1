"""Names the errors of the page: their sentences are in templates/error.html, in each language."""

from collections.abc import Mapping
from typing import Literal, TypeAlias

Reason: TypeAlias = Literal[
    "nothing", "method", "host", "origin", "csrf", "read-only", "body", "store", "refused"
]


class PageError(Exception):
    """An error that ends a request to the page; `detail` is a sentence for the operator, if there is one."""

    def __init__(
        self, status: int, reason: Reason, detail: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason: Reason = reason
        self.detail = detail
        self.headers = headers or {}
