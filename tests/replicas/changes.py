"""Changes overrides through the admin API of any replica, and measures how soon all replicas agree."""

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

import aiohttp

from tests.replicas.promises import MOVING, Promises
from tests.replicas.site import Replica, Site

_ROUTES: Final = ("doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page")
_MODES: Final = ("new", "canary", "canary", "legacy")
_PERCENTS: Final = (0, 10, 30, 50, 100)
_AGREE_SECONDS: Final = 20.0


async def keep_changing(
    site: Site, promises: Promises, random: Random, calm: Callable[[], float | None], pause: float = 1.0
) -> None:
    """Changes a mode for ever. `calm` gives the time since when nothing is wrong, None while something is."""
    while True:
        running = [each for each in site.replicas if not each.stopped]
        revision = await change(site, promises, random, random.choice(running))
        if revision is not None:
            await _measure(site, promises, revision, calm)
        await asyncio.sleep(random.uniform(0.5, 1.5) * pause)


async def change(site: Site, promises: Promises, random: Random, one: Replica) -> int | None:
    """Makes one change, and returns the revision that was acknowledged."""
    wanted = _wanted(random)
    route = wanted.pop("route")
    try:
        status, body = await site.admin(
            one, "PUT", f"/overrides/{route}", json=wanted, headers={"If-Match": "*"}
        )
    except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError):
        promises.answered["change broken"] += 1
        return None
    promises.answered[f"change {status}"] += 1
    if status != 200:
        return None
    revision: int = body["override"]["revision"]
    promises.changes[revision] = {"route": route, **wanted}
    return revision


def _wanted(random: Random) -> dict[str, Any]:
    mode = random.choice(_MODES)
    percent = {"percent": random.choice(_PERCENTS)} if mode == "canary" else {}
    if random.random() < 0.3:
        whose = {"route": "new_case", "organization": random.choice(MOVING)}
    else:
        whose = {"route": random.choice(_ROUTES)}
    return {**whose, "mode": mode, "reason": "the replicas never rest", **percent}


async def _measure(site: Site, promises: Promises, revision: int, calm: Callable[[], float | None]) -> None:
    """Notes the seconds until all processes report the revision, if nothing was wrong meanwhile."""
    began = time.monotonic()
    while time.monotonic() - began < _AGREE_SECONDS:
        since = calm()
        if since is None or since > began:
            return
        try:
            status, body = await site.admin(site.replicas[0], "GET", "/processes")
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError):
            return
        if status == 200 and _agree(site, body["processes"], revision):
            break
        await asyncio.sleep(0.05)
    since = calm()
    if since is not None and since <= began:
        promises.agreed.append(time.monotonic() - began)


def _agree(site: Site, processes: list[dict[str, Any]], revision: int) -> bool:
    """Returns whether every replica serves the revision; the row of one that was killed stays for a while."""
    serving = {str(one.process.pid) for one in site.replicas if one.process is not None}
    reported = {each["name"].rpartition(":")[2]: each["revision"] for each in processes}
    return all(reported.get(pid, -1) >= revision for pid in serving)
