"""Announces by headers that a route is deprecated, and until when it is served."""

from datetime import UTC, date, datetime
from email.utils import format_datetime

from proxy.mapping.models import Notice


def notice_headers(notice: Notice) -> list[tuple[str, str]]:
    """Returns Deprecation (RFC 9745), Sunset (RFC 8594) and Link (RFC 8288), as the mapping sets them."""
    headers: list[tuple[str, str]] = []
    if notice.deprecation:
        headers.append(("Deprecation", f"@{int(_midnight(notice.deprecation).timestamp())}"))
    if notice.sunset:
        headers.append(("Sunset", format_datetime(_midnight(notice.sunset), usegmt=True)))
    headers += [("Link", f'<{url}>; rel="{relation}"') for relation, url in notice.links.items()]
    return headers


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
