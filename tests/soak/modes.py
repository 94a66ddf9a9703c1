"""1,000 mode changes in 60 s under 100 requests/s, with mapping files that change all the time."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

import aiohttp

from proxy.modes import Mode
from proxy.store import Store
from proxy.store.rollout.overrides import Change
from tests.conftest import IDENTITY, ROOT, bearer, case_form
from tests.soak.process import Host, hosted, steadily
from tests.soak.rows import Row

SEED = 4
_RATE, _SECONDS, _CHANGES = 100, 60, 1000
_MODES: tuple[Mode, ...] = ("legacy", "new", "shadow", "canary")


@dataclass
class _Seen:
    answers: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    tokens: list[tuple[str, str]] = field(default_factory=list)


async def run(scale: float) -> list[Row]:
    seconds = _SECONDS * scale
    changes, requests = round(_CHANGES * scale), round(_RATE * seconds)
    async with hosted() as host, host.store() as store:
        _write(host, 0)
        seen, random = _Seen(), Random(SEED)
        for _ in range(5):
            await _new_case(host, seen, random)
        writing = asyncio.create_task(_rewriting(host), name="rewrite-mappings")
        await asyncio.gather(
            steadily(_RATE, requests, lambda _: _call(host, seen, random)),
            steadily(changes / seconds, changes, lambda number: _change(store, number, random)),
        )
        writing.cancel()
        revision = await store.overrides.revision()
        audit = await store.audit.verify()
    total = sum(seen.answers.values())
    return [
        _row(f"{requests} requests at {_RATE}/s: 0 failed", _told(total, seen.failed), met=not seen.failed),
        _row(f"{changes} mode changes in {seconds:.0f} s", f"{revision} made", met=revision >= changes),
        _row("0 answers mixed from two tables", f"{len(seen.mixed)} mixed", met=not seen.mixed),
        _row("the audit is unbroken", f"{audit.rows} rows", met=audit.first_bad is None),
    ]


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("modes", goal, figure, met)


def _told(total: int, failed: list[str]) -> str:
    kinds = ", ".join(f"{count} × {what}" for what, count in Counter(failed).most_common(3))
    return f"{total} answered, {len(failed)} failed" + (f": {kinds}" if kinds else "")


def _write(host: Host, version: int) -> None:
    """The same version in the body, and in a header, of each newCase that the new side answers."""
    path = host.mappings / "new_case.toml"
    default = (ROOT / "mappings" / "new_case.toml").read_text("utf-8")
    answer = f"voice = \"'{version}'\"\n"
    notice = f'\n[notice]\nlinks = {{ successor-version = "https://docs.example/{version}" }}\n'
    draft = path.with_suffix(".draft")
    draft.write_text(default.replace('voice = "tokens.conversation"\n', answer) + notice, "utf-8")
    draft.replace(path)


async def _rewriting(host: Host) -> None:
    version = 0
    while True:
        version += 1
        _write(host, version)
        await asyncio.sleep(2)


async def _change(store: Store, number: int, random: Random) -> None:
    wanted = random.choice(_MODES)
    change = Change(
        actor="soak",
        route=random.choice(("new_case", "doc", "encounters")),
        organization=None,
        mode=wanted,
        percent=50.0 if wanted == "canary" else None,
        until=None,
        reason=f"change {number}",
    )
    await store.overrides.change(change, expected=None, at=datetime.now(UTC))


async def _call(host: Host, seen: _Seen, random: Random) -> None:
    name = random.choice((_new_case, _doc, _encounters))
    try:
        await name(host, seen, random)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        seen.failed.append(type(error).__name__)


async def _new_case(host: Host, seen: _Seen, random: Random) -> None:
    user = {**IDENTITY, "user_mail": f"user{random.randrange(50)}@clinica.example"}
    async with host.http.post(f"{host.url}/michiQ/newCase", data=case_form(), headers=user) as response:
        text = await response.text()
        if not _good(seen, "new_case", response.status, response.headers):
            return
        made: dict[str, Any] = json.loads(text)
        seen.tokens.append((made["token"], made["michiq_uuid"]))
        link = response.headers.get("Link", "").partition("docs.example/")[2].partition(">")[0]
        if isinstance(made["voice"], str) and made["voice"] != link:
            seen.mixed.append(f"{made['voice']} with {link}")


async def _doc(host: Host, seen: _Seen, random: Random) -> None:
    token, legacy_id = random.choice(seen.tokens)
    url = f"{host.url}/michiQ/doc/{legacy_id}"
    async with host.http.get(url, headers=bearer(token)) as response:
        text = await response.text()
        if _good(seen, "doc", response.status, response.headers) and legacy_id not in text:
            seen.mixed.append("doc of another case")


async def _encounters(host: Host, seen: _Seen, random: Random) -> None:
    token, legacy_id = random.choice(seen.tokens[-200:])
    async with host.http.get(f"{host.url}/michiQ/encounters", headers=bearer(token)) as response:
        text = await response.text()
        if _good(seen, "encounters", response.status, response.headers) and legacy_id not in text:
            seen.mixed.append("encounters without the user's own case")


def _good(seen: _Seen, name: str, status: int, headers: Mapping[str, str]) -> bool:
    seen.answers[f"{name} {status}"] += 1
    if status != 200:
        cause = headers.get("X-Michiq-Cause", "")
        seen.failed.append(f"{name} {status} {cause}")
    return status == 200
