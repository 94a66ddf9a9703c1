"""Hostile input in full: over 4,000 inputs on all routes and the webhook, one after the other, to a proxy in
a process of its own; two minutes at full scale."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import aiohttp

from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.sandbox import Sandbox
from tests.conftest import API_KEY, IDENTITY, ROOT
from tests.hostile.catalogue import CANARIES, everything
from tests.hostile.documents import LARGE
from tests.hostile.site import CHAT_KEY, Site, beating, standing
from tests.hostile.sound import OTHER, STEM, WEBHOOK_SECRET, Hostile, Sound, done, sound_requests
from tests.hostile.talking import heard
from tests.hostile.verdict import complaints, documented, leaks
from tests.soak.rows import Row

SEED: Final = 20
_MUTANTS: Final = 800
_GOAL: Final = 3000
_SECONDS: Final = 5.0
_HELD_SECONDS: Final = 0.1
_MEGABYTE: Final = 2**20
# A loop that an input holds is held each time; what shows once was somebody else on this machine.
_TRIES: Final = 4
# Calls that do something. Not counted are transcriptions: one call may hear several recordings.
_DOING: Final = ("/api/cases", "/messages")


@dataclass
class _Run:
    """The inputs that were sent, and what came of them."""

    site: Site
    known: frozenset[tuple[int, str]]
    inputs: int = 0
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    most_calls: int = 0
    spans: list[tuple[float, float, Hostile]] = field(default_factory=list)

    async def send(self, hostile: Hostile) -> None:
        done, started = _done(self.site.sandbox), time.monotonic()
        got = await heard("127.0.0.1", self.site.port, hostile)
        self.spans.append((started, time.monotonic(), hostile))
        self.inputs += 1
        self.slowest = max(self.slowest, (got.seconds, hostile.name))
        self.wrong += complaints(hostile, got, self.known)
        calls, good = _done(self.site.sandbox) - done, sum(each.status == 200 for each in got.answers)
        self.most_calls = max(self.most_calls, calls - max(0, good - 1))
        if calls > good:
            self.wrong.append(f"{hostile.name}: {calls} calls upstream for {good} good answers")

    async def held(self) -> tuple[float, str]:
        """The longest that the loop was held by one input, and by which: what seems long is sent again."""
        held = [(self.site.held(start, end), hostile) for start, end, hostile in self.spans]
        worst = [(seconds, each.name) for seconds, each in held if seconds <= _HELD_SECONDS]
        for seconds, hostile in held:
            if seconds > _HELD_SECONDS:
                worst.append((min(seconds, await self.held_by(hostile)), hostile.name))
        return max(worst)

    async def held_by(self, hostile: Hostile) -> float:
        times: list[float] = []
        for _ in range(_TRIES):
            async with beating(self.site):
                started = time.monotonic()
                await heard("127.0.0.1", self.site.port, hostile)
                ended = time.monotonic()
            times.append(self.site.held(started, ended))
        return min(times)


async def run(scale: float) -> list[Row]:
    random = Random(SEED)
    async with standing() as site:
        sounds = sound_requests(site.token, site.case)
        every = list(everything(sounds, _MUTANTS, random))
        this = _Run(site, documented(load_table(ROOT / "mappings", SPECS)))
        await _warm(site, sounds)
        before = site.memory("VmRSS")
        async with beating(site):
            for hostile in every:
                if random.random() < scale:
                    await this.send(hostile)
        grown = (site.memory("VmHWM") - before) / _MEGABYTE
        held, who = await this.held()
        large = await _large(this, sounds["new_case"])
        read_back = await _read_back(this, sounds["new_case"])
        alive = site.alive and await _healthy(site)
        shown = leaks(site.printed(), _secrets(site))
    planted = len(CANARIES) + len(_secrets(site)) - 1
    return [
        _row(
            f"{round(_GOAL * scale)} inputs: each answered as documented",
            f"{this.inputs} inputs, {len(this.wrong)} wrong"
            + "".join(f": {each}" for each in this.wrong[:1]),
            met=this.inputs >= _GOAL * scale and not this.wrong,
        ),
        _row(
            "answered in 5 s", f"{this.slowest[0]:.1f} s: {this.slowest[1]}", met=this.slowest[0] <= _SECONDS
        ),
        _row("1 call upstream for an answer at most", f"{this.most_calls}", met=this.most_calls <= 1),
        _row("the process lives", "it does" if alive else "it died", met=alive),
        _row("64 MB more memory at most", f"{grown:.0f} MB", met=grown <= 64),
        _row(
            "the loop is held for 100 ms at most", f"{held * 1000:.0f} ms: {who}", met=held <= _HELD_SECONDS
        ),
        large,
        read_back,
        _row(
            f"{planted} canaries planted: 0 in what is printed",
            ", ".join(shown) or "0",
            met=not shown,
        ),
    ]


async def _large(this: _Run, sound: Sound) -> Row:
    """Measures the cost of the largest records that a hospital may send."""
    before, worst = this.site.memory("VmRSS"), 0.0
    for trick in LARGE:
        hostile = done(trick, sound)
        await this.send(hostile)
        worst = max(worst, await this.held_by(hostile))
    grown = (this.site.memory("VmHWM") - before) / _MEGABYTE
    met = worst <= _HELD_SECONDS and grown <= 64
    return _row("a sound record of 9 MB: both as well", f"{grown:.0f} MB, {worst * 1000:.0f} ms", met=met)


async def _read_back(this: _Run, sound: Sound) -> Row:
    """Measures the cost of reading one: by its id, in the list of its user, and for a question."""
    others = sound.without(b"user_mail").lines
    own = replace(sound, lines=(*others, b"user_mail: reader@clinica.example"))
    [made] = (await heard("127.0.0.1", this.site.port, done(LARGE[0], own))).answers
    case = json.loads(made.body)
    sounds = sound_requests(case["token"], case["michiq_uuid"])
    before, told = this.site.memory("VmRSS"), []
    worst, size = 0.0, 0
    for route in ("doc", "encounters", "query"):
        hostile = _plain(sounds[route])
        [answer] = (await heard("127.0.0.1", this.site.port, hostile)).answers
        told.append(answer.status)
        size = max(size, len(answer.body))
        worst = max(worst, await this.held_by(hostile))
    grown = (this.site.memory("VmHWM") - before) / _MEGABYTE
    return _row(
        "it is read by doc, encounters and query: both as well",
        f"{told} with {size / _MEGABYTE:.1f} MB, {grown:.0f} MB, {worst * 1000:.0f} ms",
        met=told == [200] * 3 and size > 7 * _MEGABYTE and worst <= _HELD_SECONDS and grown <= 64,
    )


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("hostile", goal, figure, met)


async def _warm(site: Site, sounds: Mapping[str, Sound]) -> None:
    """Warms the proxy up: the memory of any use is no cost of these; and there is audio to transcribe."""
    for sound in sounds.values():
        await heard("127.0.0.1", site.port, _plain(sound))


def _plain(sound: Sound) -> Hostile:
    return Hostile("sound", sound, (sound.render(),), frozenset(), 1, ends=True)


def _done(sandbox: Sandbox) -> int:
    calls = [*sandbox.llamalitica.calls, *sandbox.llamachat.calls]
    return sum(call.method == "POST" and call.path.endswith(_DOING) for call in calls)


async def _healthy(site: Site) -> bool:
    url = f"http://127.0.0.1:{site.admin_port}/readyz"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status == 200


def _secrets(site: Site) -> dict[str, bytes]:
    """Returns the secrets that may not be shown; the stem stands for all canaries."""
    named = {
        "a canary": STEM,
        "the token": site.token,
        "the case": site.case,
        "the key": API_KEY,
        "a user": IDENTITY["user_mail"],
        "another user": OTHER["user_mail"],
        "the organization": IDENTITY["organization"],
        "the chat key": CHAT_KEY,
        "the webhook secret": WEBHOOK_SECRET.decode(),
    }
    return {name: secret.encode() for name, secret in named.items()}
