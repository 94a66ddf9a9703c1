"""Turns the ledger's calls into rows, for programs and for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Final

from proxy.store.audit.usage import Calls
from proxy.store.sealing.sealer import shown_hash

_FIELDS: Final = (
    "key",
    "organization",
    "user",
    "user_agent",
    "first_seen",
    "last_seen",
    "day",
    "route",
    "mode",
    "status",
    "count",
    "side",
)
# A spreadsheet takes a text that begins so for a formula; in some languages the wide forms too.
_FORMULA: Final = tuple("=+-@＝＋－＠\t\r\n")


def row(calls: Calls) -> Mapping[str, str | int]:
    client = calls.client
    values = (
        shown_hash(client.key),
        client.organization,
        shown_hash(client.user),
        client.agent,
        client.first_seen.isoformat(timespec="seconds"),
        client.last_seen.isoformat(timespec="seconds"),
        calls.day.isoformat(),
        calls.route,
        calls.mode,
        calls.status,
        calls.count,
        calls.side,
    )
    return dict(zip(_FIELDS, values, strict=True))


def as_csv(calls: Iterable[Calls]) -> str:
    """Returns a line of names, then a line for each row."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row(each).items()} for each in calls)
    return text.getvalue()


def _no_formula(value: str | int) -> str | int:
    """Returns the value with a quote before a formula: a client chooses its user agent, and none may run."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
