"""Makes the server-sent events: a tick with the state of the process, and each change of a mode."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from proxy import jsons
from proxy.modes import Override, as_json
from proxy.rollout.live import Live
from proxy.times import rfc3339
from proxy.values import Json

RETRY: Final = b"retry: 2000\n\n"  # milliseconds until a browser connects again


def tick(live: Live, breakers: Mapping[str, str], now: datetime) -> bytes:
    """Returns the event of every two seconds; all of it is in memory.

    `modes` counts the routes by their mode for everyone, `rejected` the complaints about mapping files.
    """
    snapshot = live.now
    routes = snapshot.table.routes
    modes: Counter[str] = Counter(snapshot.in_force(name, None, now).mode for name in routes)
    data: Json = {
        "at": rfc3339(now),
        "revision": snapshot.overrides.revision,
        "mappings": live.digest,
        "rejected": len(live.rejected),
        "modes": {**modes},
        "brownouts": len(snapshot.table.brownout_ends(now)),
        "breakers": {**breakers},
    }
    return _event("tick", data)


def changes(overrides: Iterable[Override]) -> bytes:
    """Returns an event for each change, oldest first; its id is the revision."""
    ordered = sorted(overrides, key=lambda each: each.revision)
    return b"".join(_event("change", as_json(each), each.revision) for each in ordered)


def _event(name: str, data: Json, number: int | None = None) -> bytes:
    # JSON has no line end of its own: it is one line of data.
    head = f"event: {name}\n" if number is None else f"event: {name}\nid: {number}\n"
    return head.encode() + b"data: " + jsons.dump(data) + b"\n\n"
