"""Reads the filters of a list of requests, as an operator writes them, and shows its rows to programs."""

import re
import unicodedata
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar

from proxy.mapping.complaints import did_you_mean
from proxy.mapping.units import parse_duration
from proxy.rollout.operations.organization_names import as_json
from proxy.store import Store
from proxy.store.audit.request_traces import RequestFilters, RequestRow
from proxy.times import from_iso8601, rfc3339
from proxy.values import Json

T = TypeVar("T")

NAMES: Final = ("route", "organization", "status", "cause", "side", "failed", "since", "until", "id")
_SIDES: Final = {"legacy": "legacy", "new": "new", "none": ""}
_YES: Final = {"true": True, "false": False}
_STATUS: Final = re.compile(r"([1-5])(xx|[0-9]{2})")
_LONGEST: Final = 300


class BadFilter(ValueError):
    """An error: the filter `name` can't be read; its text is meant for the operator."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


def read_filters(
    asked: Mapping[str, str], routes: Collection[str], store: Store, now: datetime
) -> RequestFilters:
    """Returns the filters; names that are missing or "" are no filters. Raises BadFilter.

    `since` and `until` are times of ISO 8601, in UTC if they name no zone, or durations back from `now`.
    """
    texts = {name: asked.get(name, "").strip() for name in NAMES}
    for name, text in texts.items():
        if not (text.isprintable() and len(text) <= _LONGEST):
            raise BadFilter(name, f"write at most {_LONGEST} printable characters")
    return RequestFilters(
        route=_route(texts["route"], routes),
        organization=hash_of(store, texts["organization"]) if texts["organization"] else None,
        statuses=_statuses(texts["status"]),
        cause=texts["cause"] or None,
        side=_one_of("side", texts["side"], _SIDES) if texts["side"] else None,
        failed=_one_of("failed", texts["failed"], _YES) if texts["failed"] else False,
        since=_moment("since", texts["since"], now),
        until=_moment("until", texts["until"], now),
        id_prefix=texts["id"] or None,
    )


def request_json(row: RequestRow, names: Mapping[str, str]) -> Json:
    """Returns a request for programs; `names` are those of the organizations, by hash."""
    return {
        "request_id": row.request_id,
        "at": rfc3339(row.at),
        "route": row.route,
        "organization": as_json(row.organization, names),
        "side": row.side or None,
        "status": row.status,
        "cause": row.cause or None,
        "milliseconds": row.milliseconds,
        "failed": row.failed,
    }


def hash_of(store: Store, organization: str) -> str:
    """Returns the keyed hash of an organization by its legacy name, as its clients' header is read."""
    return store.sealer.organization(unicodedata.normalize("NFC", organization.strip()))


def moment_of(text: str, now: datetime) -> datetime:
    """Returns a time of ISO 8601, in UTC if it names no zone, or a duration back from `now`.

    Raises ValueError for any other text.
    """
    with suppress(ValueError):
        return from_iso8601(text)
    return now - parse_duration(text)


def _route(text: str, routes: Collection[str]) -> str | None:
    if text and text not in routes:
        raise BadFilter("route", f"there is no such route{did_you_mean(text, routes)}")
    return text or None


def _statuses(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = _STATUS.fullmatch(text.lower())
    if match is None:
        raise BadFilter("status", "write a status such as 200, or 4xx or 5xx")
    first, rest = match.groups()
    return (int(first) * 100, int(first) * 100 + 99) if rest == "xx" else (int(text), int(text))


def _one_of(name: str, text: str, values: Mapping[str, T]) -> T:
    if text not in values:
        raise BadFilter(name, f"write {' or '.join(values)}")
    return values[text]


def _moment(name: str, text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        return moment_of(text, now)
    except ValueError:
        said = 'write a time such as 2027-01-31T18:00:00Z, or how long ago, such as "2 h"'
        raise BadFilter(name, said) from None
