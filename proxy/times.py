"""Reads and writes times as RFC 3339 has them; the one place that does."""

import re
from datetime import UTC, datetime
from typing import Final

# Python's own reader takes much more: days alone, weeks, times without a zone.
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(at: datetime) -> str:
    """Returns the time in UTC with a Z, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_exact(at: datetime) -> str:
    """Returns the time in UTC with a Z, and no more of the second than there is."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """Reads a time that says its zone, into UTC; digits beyond the microsecond are cut off.

    Raises ValueError for anything else, also for a time that UTC does not have.
    """
    if not _RFC3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time")
    return _in_utc(datetime.fromisoformat(text))


def from_iso8601(text: str) -> datetime:
    """Reads any time of ISO 8601 into UTC; one without a zone is taken for UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else _in_utc(moment)


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time that UTC has") from None
