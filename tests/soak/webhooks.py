"""10,000 replays, 1,000 mutants and 500 malformed signatures of webhooks, in storms, with the tee on."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import aiohttp
from cryptography.fernet import Fernet

from proxy.sandbox import SandboxConfig, run_sandbox
from proxy.web.service import Running, running
from tests.conftest import Clock, edited_table, settings_for
from tests.flows.storms import SECRETS, Storm, lives
from tests.rollout.moving import eventually
from tests.serving import serving
from tests.soak.rows import Row
from tests.stores import ENGINES
from tests.web.consumer import Consumer, consuming

SEED = 20261126


async def run(scale: float) -> list[Row]:
    """About 90 s at scale 1."""
    replays, mutants, malformed = round(10_000 * scale), round(1_000 * scale), round(500 * scale)
    async with _consuming() as consumer, _proxy(consumer) as proxy, aiohttp.ClientSession() as http:
        random = Random(SEED)
        store = proxy.deps.store
        storm = Storm(proxy.url, http, store, random, list(lives(max(10, round(1000 * scale)), random)))
        await storm.out_of_order()
        wrong, before = await storm.wrong_rows(), await storm.rows()
        await storm.replays(replays)
        again = [name for name, row in (await storm.rows()).items() if row != before[name]]
        await storm.mutants(mutants)
        await storm.missigned(malformed)
        wrong += await storm.wrong_rows()
        await eventually(store.deliveries.waiting, lambda waiting: waiting == 0, seconds=300)
        sent = Counter(consumer.bodies)
    accepted = sum(storm.sent(what).get(200, 0) for what in ("forged", "missigned"))
    known = {each.body() for each in storm.events} | set(storm.accepted)
    twice = sum(times > 1 for times in sent.values())
    answers = sum(storm.answers.values())
    refused = storm.sent("event").keys() | storm.sent("replay").keys()
    return [
        _row(f"{replays} replays: processed twice 0", f"{len(again)} rows rewritten", met=not again),
        _row("every event and replay acknowledged", f"statuses {sorted(refused)}", met=refused == {200}),
        _row(
            f"{mutants} mutants, {malformed} malformed signatures: forged accepted 0",
            f"{accepted} accepted",
            met=accepted == 0,
        ),
        _row("5xx 0", f"{storm.broken} of {answers} answers", met=storm.broken == 0),
        _row(
            "after storms out of order: newest wins, deleted wins",
            f"{len(wrong)} of {len(before)} reports wrong",
            met=not wrong,
        ),
        _row(
            "tee: each authentic delivery once, and no other",
            f"{len(sent)} of {len(known)} sent on, {twice} twice",
            met=sent.keys() == known and twice == 0,
        ),
    ]


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("webhooks", goal, figure, met)


@asynccontextmanager
async def _consuming() -> AsyncIterator[Consumer]:
    async with serving() as serve:
        yield await consuming(serve)


@asynccontextmanager
async def _proxy(consumer: Consumer) -> AsyncIterator[Running]:
    with TemporaryDirectory(prefix="michiq-soak-") as name:
        folder = Path(name)
        table = edited_table(folder / "mappings", {})
        async with run_sandbox(SandboxConfig()) as sandbox:
            settings = settings_for(
                folder,
                sandbox.llamalitica.url,
                sandbox.llamachat.url,
                MICHIQ_WEBHOOK_SECRETS=SECRETS,
                MICHIQ_SECRET_KEYS=Fernet.generate_key().decode(),
                **await ENGINES.environ(folder),
                MICHIQ_TEE_URL=consumer.url,
            )
            async with running(settings, table, Clock()) as proxy:
                yield proxy
