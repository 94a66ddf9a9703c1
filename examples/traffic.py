#!/usr/bin/env python3
"""Sends a day of synthetic traffic in a minute to `make run`: every view of its page has something to show.

Usage, in the folder where the demo was started, while the demo runs:

    .venv/bin/python examples/traffic.py [--seconds 60] [--seed 1]

At first yesterday.py makes up the pictures of the last 24 hours. Then ten invented organizations call every
route, and an operator moves routes over. The sandbox fails now and then: the old server changes a text and
breaks down, the platform loses an answer, a canary steps back.
"""

import argparse
import asyncio
import json
import os
import random
import shlex
import sys
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiohttp

ENVIRONMENT: Final = Path("var/demo.env")
FILES: Final = Path("var/demo")
COMMAND: Final = os.environ.get("COMMAND", ".venv/bin/michiq-proxy")
ROUTES: Final = ("new_case", "doc", "encounters", "query", "upload_audio", "speech_to_text", "encounter_page")
QUESTIONS: Final = ("¿Qué temperatura tiene?", "¿Tiene alergias?", "¿Desde cuándo tose?")
# How many of a day's sessions begin in each of its hours: a rush in the morning, a smaller one after lunch.
BY_HOUR: Final = (1, 1, 1, 1, 1, 2, 4, 9, 16, 20, 22, 20, 16, 12, 10, 13, 15, 14, 10, 7, 5, 3, 2, 1)


@dataclass(frozen=True)
class Hospital:
    """An organization with its software; `asks` and `dictates` are the parts of its sessions that do so."""

    name: str
    domain: str
    agent: str
    weight: int
    asks: float = 0.0
    dictates: float = 0.0


HOSPITALS: Final = (
    Hospital("Hospital San Telmo", "santelmo.example", "HistoriaPlus/7.1", 9, asks=0.6, dictates=0.3),
    Hospital("Hospital Virgen del Río", "virgendelrio.example", "HistoriaPlus/6.4", 8, asks=0.5),
    Hospital("Clínica Norte", "clinica.example", "python-requests/2.25.1", 6, asks=0.4, dictates=0.2),
    Hospital("Clínica Sur", "clinicasur.example", "python-requests/2.31.0", 5, dictates=0.3),
    Hospital("Policlínica Bahía Azul", "bahiaazul.example", "ClinicaSoft 3.0 (Windows)", 4),
    Hospital("Centro de Salud Las Encinas", "lasencinas.example", "Apache-HttpClient/4.5", 4, asks=0.2),
    Hospital("Hospital Infantil Arcoíris", "arcoiris.example", "okhttp/4.9.3", 3, dictates=0.6),
    Hospital("Mutua Peñalara", "penalara.example", "ClinicaSoft 2.8 (Windows)", 2),
    Hospital("Residencia Los Olivos", "losolivos.example", "GuzzleHttp/7", 1),
    Hospital("Clínica Dental Sonríe", "sonrie.example", "axios/1.6.0", 1),
)
TELMO: Final = HOSPITALS[0]
SUR: Final = HOSPITALS[3]
MUTUA: Final = HOSPITALS[7]
LOOK_AT: Final = {
    "/": "what is wrong now, and how far each route is",
    "/routes/new_case": "its canary, who is in it, what is missing before it may go on",
    "/differences?route=new_case": "the old server's other message",
    "/requests?failed=true": "failures, and why each one failed",
    "/clients": "who still uses query",
    "/pending": "two cases of Hospital San Telmo that nobody knows of",
    "/audit": "who changed what, and why",
}


def demo_environment() -> dict[str, str]:
    """Returns the variables that the demo wrote for other shells."""
    if not ENVIRONMENT.exists():
        sys.exit(
            f"There is no {ENVIRONMENT} here. Start `make run` first, and this beside it, in the same folder."
        )
    lines = [line for line in ENVIRONMENT.read_text("utf-8").splitlines() if not line.startswith("#")]
    return {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}


@dataclass
class Day:
    """A day in front of the demo: its addresses, its chance, its seconds an hour, and what has happened."""

    environment: Mapping[str, str] = field(repr=False)
    http: aiohttp.ClientSession = field(repr=False)
    chance: random.Random
    hour: float
    files: Path = FILES
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def call(self, route: str, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Returns the JSON object that the proxy answers; an empty one when it answers another thing."""
        try:
            async with self.http.request(
                method, self.environment["CONTRACT_TARGET"] + path, **more
            ) as response:
                text = await response.text()
                status = response.status
        except (aiohttp.ClientError, TimeoutError):
            text, status = "", 0
        self.answers[route, status] += 1
        answer: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        return answer

    def any_hospital(self) -> Hospital:
        return self.chance.choices(HOSPITALS, [hospital.weight for hospital in HOSPITALS])[0]

    async def new_case(self, hospital: Hospital, **headers: str) -> dict[str, Any]:
        """Returns the answer to a newCase of one of the hospital's users; the patient is invented."""
        number = self.chance.randrange(10_000)
        form = aiohttp.FormData(default_to_multipart=True)
        patient = {"nhc": f"inventado-{number:04}", "name": f"Paciente Inventado {number}"}
        form.add_field(
            "conversation", f"Doctor: ¿Qué le pasa? Paciente: Tengo fiebre desde hace {number} horas."
        )
        form.add_field("ehr", json.dumps(patient))
        if number % 4 == 0:
            pdf = (self.files / "informe.pdf").read_bytes()
            form.add_field("files", pdf, filename="informe.pdf", content_type="application/pdf")
        identity = {
            "User-Agent": hospital.agent,
            "API_KEY": self.environment["CONTRACT_API_KEY"],
            "user_mail": f"{self.chance.choice(('ana', 'eva', 'luis', 'marta'))}@{hospital.domain}",
            "organization": hospital.name,
        }
        return await self.call(
            "newCase", "POST", "/michiQ/newCase", data=form, headers={**identity, **headers}
        )

    async def session(self, hospital: Hospital) -> None:
        """Makes a case and works on it, as a doctor's software does."""
        made = await self.new_case(hospital)
        if not made:
            return
        case = made["michiq_uuid"]
        headers = {"User-Agent": hospital.agent, "Authorization": f"Bearer {made['token']}"}
        if self.chance.random() < hospital.dictates:
            audio = aiohttp.FormData()
            recording = (self.files / "consulta.wav").read_bytes()
            audio.add_field("audioChunk", recording, filename="consulta.wav", content_type="audio/wav")
            await self.call("uploadAudio", "POST", f"/michiQ/uploadAudio/{case}", data=audio, headers=headers)
            await self.call("speechToText", "POST", f"/michiQ/speechToText/{case}", headers=headers)
        if self.chance.random() < hospital.asks:
            question = {"query": self.chance.choice(QUESTIONS)}
            await self.call("query", "POST", f"/michiQ/query/{case}", json=question, headers=headers)
        await self.call("doc", "GET", f"/michiQ/doc/{case}", headers=headers)
        if self.chance.random() < 0.5:
            await self.call("encounters", "GET", "/michiQ/encounters", headers=headers)
        if self.chance.random() < 0.3:
            await self.call("encounter page", "GET", f"/app/encounter/{case}", headers=headers)
        if self.chance.random() < 0.05:  # an id of another system, a token that was cut off
            await self.call("doc", "GET", "/michiQ/doc/0000-inventado", headers=headers)
            cut = {**headers, "Authorization": headers["Authorization"][:-9]}
            await self.call("doc", "GET", f"/michiQ/doc/{case}", headers=cut)

    async def mode(self, route: str, mode: str, reason: str, **more: Any) -> None:
        """Changes a mode by the admin API, as an operator who looked at the newest revision."""
        wanted = {"mode": mode, "reason": reason, **more}
        await self._change("PUT", f"/overrides/{route}", wanted)
        scope = more.get("organization", "everyone")
        percent = f" {more['percent']} %" if "percent" in more else ""
        print(f"      {route} for {scope}: {mode}{percent} ({reason})")

    async def roll_back(self, route: str, reason: str) -> None:
        await self._change("POST", "/rollback", {"route": route, "reason": reason})
        print(f"      {route}: the last change is undone ({reason})")

    async def _change(self, method: str, path: str, wanted: Mapping[str, Any]) -> None:
        token = self.environment["MICHIQ_ADMIN_TOKENS"].split(",")[0].partition(":")[2]
        base = f"http://{self.environment['MICHIQ_ADMIN_LISTEN']}/admin/v1"
        login = {"Authorization": f"Bearer {token}"}
        for _ in range(5):
            async with self.http.get(f"{base}/overrides", headers=login) as response:
                headers = {**login, "If-Match": response.headers["ETag"]}
            async with self.http.request(method, base + path, json=wanted, headers=headers) as response:
                if response.status == 200:
                    return
                answer = await response.text()
            if response.status != 412:  # 412: a canary stepped back meanwhile, so look again
                break
        sys.exit(f"{path}: {answer}")

    @asynccontextmanager
    async def trouble(self, system: str, **fault: Any) -> AsyncIterator[None]:
        """Lets a system of the sandbox fail while the block runs."""
        url = f"{self.environment[system]}/_sandbox/{'lies' if 'lie' in fault else 'faults'}"
        async with self.http.post(url, json=fault) as response:
            response.raise_for_status()
        try:
            yield
        finally:
            async with self.http.delete(url) as response:
                response.raise_for_status()


# What happens in an hour of the day, beside its sessions.


async def night(day: Day) -> None:
    for route in ROUTES:
        await day.mode(route, "legacy", "a day of traffic.py begins; earlier figures are made up")


async def shadow(day: Day) -> None:
    for route in ("new_case", "doc", "encounters", "query"):
        await day.mode(route, "shadow", "see what would differ")


async def another_text(day: Day) -> None:
    async with day.trouble("MICHIQ_LEGACY_URL", lie="message_changed"):
        await asyncio.gather(*[day.session(day.any_hospital()) for _ in range(12)])


async def broken_down(day: Day) -> None:
    async with day.trouble("MICHIQ_LEGACY_URL", kind="status", path_prefix="/michiQ/", times=9):
        await asyncio.gather(*[day.session(day.any_hospital()) for _ in range(9)])


async def canary(day: Day) -> None:
    await day.mode("new_case", "canary", "a quarter of the hospitals first", percent=25)


async def old_key(day: Day) -> None:
    await asyncio.gather(*[day.new_case(MUTUA, API_KEY="una-clave-caducada") for _ in range(8)])


async def one_hospital(day: Day) -> None:
    await day.mode("new_case", "canary", "they asked for it", percent=100, organization=SUR.name, until="2h")


async def step_back(day: Day) -> None:
    failing = {"kind": "status", "status": 402, "method": "POST", "path_prefix": "/api/cases", "times": 25}
    async with day.trouble("MICHIQ_LLAMALITICA_API_URL", **failing):
        await asyncio.gather(*[day.new_case(SUR) for _ in range(25)])


async def questions(day: Day) -> None:
    await day.mode("query", "new", "LlamaChat answers as well")
    await day.mode("upload_audio", "new", "goes with the questions")
    await day.mode("speech_to_text", "new", "goes with the questions")


async def repeated(day: Day) -> None:
    once = {"Idempotency-Key": f"envio-{day.chance.random()}", "X-Request-ID": f"his-{day.chance.random()}"}
    state = day.chance.getstate()  # so that all three send the same patient
    for _ in range(3):
        day.chance.setstate(state)
        await day.new_case(TELMO, **once)


async def lost_answers(day: Day) -> None:
    await day.mode("new_case", "new", "they test it with us", organization=TELMO.name)
    lost = {"kind": "cut_after_body", "method": "POST", "path_prefix": "/api/cases", "times": 2}
    async with day.trouble("MICHIQ_LLAMALITICA_API_URL", **lost):
        for _ in range(2):
            await day.new_case(TELMO)


async def slow(day: Day) -> None:
    async with day.trouble("MICHIQ_LLAMACHAT_URL", kind="delay", delay=day.hour / 2, times=8):
        await asyncio.gather(*[day.session(TELMO) for _ in range(6)])


async def contract(day: Day) -> None:
    arguments = ("contract", "--record", "--routes", "doc,encounters")
    who = {"CONTRACT_ORGANIZATION": TELMO.name, "CONTRACT_USER": f"ana@{TELMO.domain}"}
    environment = {**os.environ, **day.environment, **who}
    process = await asyncio.create_subprocess_exec(COMMAND, *arguments, env=environment, stdout=DEVNULL)
    print(f"      michiq-proxy {' '.join(arguments)} ends with {await process.wait()}")


async def undone(day: Day) -> None:
    await day.mode("doc", "new", "its answers are the same")
    await day.roll_back("doc", "a hospital misses its documents")


Events: TypeAlias = Mapping[int, tuple[str, Callable[[Day], Awaitable[None]]]]
EVENTS: Final[Events] = {
    0: ("The old server answers everything.", night),
    4: ("Four routes go into shadow.", shadow),
    7: ("The old server's message is another one for a while: a difference.", another_text),
    8: ("The old server breaks down for a moment: no difference, but failures.", broken_down),
    9: ("Mutua Peñalara still uses an old key.", old_key),
    11: ("newCase of Clínica Sur goes to the new side.", one_hospital),
    12: ("Clínica Sur has no credits on the platform: its canary steps back by itself.", step_back),
    15: ("newCase goes into a canary.", canary),
    16: ("Questions and audio go to the new side.", questions),
    17: ("Hospital San Telmo's software sends one call three times.", repeated),
    18: ("The platform makes two cases, and its answers are lost.", lost_answers),
    19: ("LlamaChat is slow.", slow),
    20: ("The contract is checked.", contract),
    22: ("doc goes to the new side, and back at once.", undone),
}


async def spend(day: Day, events: Events = EVENTS) -> None:
    """Sends the traffic of 24 hours."""
    loop, clients = asyncio.get_running_loop(), asyncio.Semaphore(12)
    begun, share = loop.time(), min(1.0, day.hour)  # a very short day has fewer sessions

    async def session(at: float) -> None:
        await asyncio.sleep(max(0.0, begun + at - loop.time()))
        async with clients:
            await day.session(day.any_hospital())

    async with asyncio.TaskGroup() as sessions:
        for hour, number in enumerate(BY_HOUR):
            await asyncio.sleep(max(0.0, begun + hour * day.hour - loop.time()))
            for _ in range(round(number * share)):
                sessions.create_task(session((hour + day.chance.random()) * day.hour))
            if hour in events:
                text, event = events[hour]
                print(f"{hour:02}:00 {text}")
                await event(day)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Sends a day of synthetic traffic to the demo.")
    parser.add_argument("--seconds", type=float, default=60.0, help="the length of the day (60)")
    parser.add_argument("--seed", type=int, default=1, help="another one makes other traffic (1)")
    wanted = parser.parse_args()
    environment = demo_environment()
    yesterday = Path(__file__).with_name("yesterday.py")
    if await (await asyncio.create_subprocess_exec(sys.executable, yesterday)).wait():
        sys.exit(1)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        day = Day(environment, http, random.Random(wanted.seed), wanted.seconds / 24)
        await spend(day)
    for (route, status), number in sorted(day.answers.items()):
        print(f"{number:6} × {route} {status}")
    page = f"http://{environment['MICHIQ_ADMIN_LISTEN']}"
    print(f"\nThe day is over. The operator's page is {page}/ (its token is in {ENVIRONMENT}). Look at:")
    for path, text in LOOK_AT.items():
        print(f"  {page}{path:28} {text}")


if __name__ == "__main__":
    asyncio.run(main())
