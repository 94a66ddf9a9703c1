"""POST /api/cases broken off at each of its points, 50 times: one case at the most, nothing lost."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cryptography.fernet import Fernet

from tests.captured import captured_log
from tests.cli.test_processes import command
from tests.faults.facing import facing, hurried
from tests.faults.once import POINTS, Try, asked_again, broken_off, faults_of, lost, states
from tests.faults.system import System, system
from tests.soak.rows import Row
from tests.stores import ENGINES

_TIMES: Final = 50


async def run(scale: float) -> list[Row]:
    """Takes about a minute at full size."""
    times = max(1, round(_TIMES * scale))
    key = Fernet.generate_key().decode()
    with TemporaryDirectory(prefix="michiq-soak-") as name, captured_log():
        folder = Path(name)
        async with system() as platform, system() as chat:
            async with facing(folder, platform.url, chat.url, MICHIQ_SECRET_KEYS=key) as api:
                tries: list[Try] = []
                with hurried():
                    for point in POINTS:
                        tries += await broken_off(api, platform, point, times)
                wrong = await faults_of(api, platform, tries)
                held = await states(api, tries)
            sent = sum(platform.arrived.values())
            shown = await _shown(folder, key)
            async with facing(folder, platform.url, chat.url, MICHIQ_SECRET_KEYS=key) as api:
                gone = await lost(api, tries)
                same = await states(api, tries) == held
                sent_by_restart = sum(platform.arrived.values()) - sent
                wrong_again = await asked_again(api, platform, tries)
            return [
                _answers(tries, wrong),
                _duplicates(platform, tries),
                _lost(tries, gone),
                _visible(held, shown, same=same),
                _never_again(tries, wrong_again, sent_by_restart),
            ]


def _answers(tries: list[Try], wrong: list[str]) -> Row:
    goal = f"{len(POINTS)} points × {len(tries) // len(POINTS)}: answered and journalled as documented"
    return _row(goal, f"{len(tries)} newCases, {len(wrong)} otherwise{_first(wrong)}", met=not wrong)


def _duplicates(platform: System, tries: list[Try]) -> Row:
    made = [len(platform.made.get(each.user, [])) for each in tries]
    twice = sum(count > 1 for count in made)
    return _row("0 duplicates", f"{sum(made)} cases made, {twice} twice", met=not twice)


def _lost(tries: list[Try], gone: list[str]) -> Row:
    acknowledged = sum(each.acknowledged is not None for each in tries)
    figure = f"{acknowledged} acknowledged, {len(gone)} lost after a restart{_first(gone)}"
    return _row("0 acknowledged lost", figure, met=not gone and acknowledged > 0)


def _visible(held: dict[str, str], shown: list[Any], *, same: bool) -> Row:
    ambiguous = sum(state == "ambiguous" for state in held.values())
    figure = f"{ambiguous} in the journal, {len(shown)} shown"
    met = same and len(shown) == ambiguous > 0
    return _row("ambiguous ones shown by `routes --pending`, and kept over a restart", figure, met=met)


def _never_again(tries: list[Try], wrong: list[str], by_restart: int) -> Row:
    figure = f"{by_restart} sent by a restart; {len(tries)} repeated with their key, {len(wrong)} wrong"
    met = not by_restart and not wrong
    return _row("ambiguous ones are never sent again", figure + _first(wrong), met=met)


async def _shown(folder: Path, key: str) -> list[Any]:
    """Returns what the command shows an operator."""
    settings = {"MICHIQ_SECRET_KEYS": key, **await ENGINES.environ(folder)}
    async with command(folder, "routes", "--pending", "--json", **settings) as process:
        told, _ = await process.communicate()
    shown: list[Any] = json.loads(told)
    return shown


def _first(wrong: list[str]) -> str:
    return f": {wrong[0]}" if wrong else ""


def _row(goal: str, figure: str, *, met: bool) -> Row:
    return Row("once", goal, figure, met)
