"""Writes and reads cursors: where the next part of a list begins, opaque to whoever sends one back."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Final, TypeVar

from pydantic import BeforeValidator

T = TypeVar("T")

_LONGEST: Final = 40
_MOST: Final = 2**63


def encoded(number: int) -> str:
    """Returns the cursor of what comes after the row of this number."""
    return urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def decoded(cursor: str) -> int:
    """Returns the number of the row. Raises ValueError with a sentence for anything but a cursor."""
    try:
        text = urlsafe_b64decode(cursor[:_LONGEST] + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if not text.isdecimal() or int(text) >= _MOST or encoded(int(text)) != cursor:
        raise ValueError("write the `next` of an earlier answer")
    return int(text)


def page_of(rows: Sequence[T], limit: int, number: Callable[[T], int]) -> tuple[Sequence[T], str | None]:
    """Returns the first `limit` rows, and the cursor of the next ones; None when there are no more rows.

    The caller reads one row more than it shows.
    """
    shown = rows[:limit]
    return shown, encoded(number(shown[-1])) if len(rows) > limit else None


Cursor = Annotated[int, BeforeValidator(decoded)]
