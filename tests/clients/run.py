"""Runs real clients against the proxy and the sandbox: `make test-clients`.

Each client of the roster is a program as a person would write it from the legacy document. A relay in front
of the proxy keeps what they send, byte by byte. `--check` also fails where docs/clients.md says something
else, `--write` writes it there, `--only NAME` runs one. Where CI=true, a client that can't run is a failure.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.observe.logs import setup
from tests.clients import document
from tests.clients.bench import Bench, open_bench, run
from tests.clients.habits import READABLE, Habits, habits
from tests.clients.roster import ROSTER, Client
from tests.clients.session import STEPS, wrongs
from tests.clients.wire import read_session


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a client: the checks that it passed, and how; its faults; or why it did not run."""

    version: str = ""
    absent: str = ""
    passed: Mapping[str, str] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    habits: Habits | None = None


async def measure(client: Client, bench: Bench) -> Outcome:
    """Runs the client, and looks at what it sent and at what arrived."""
    version, absent = await _ready(client, bench)
    if absent:
        return Outcome(absent=absent)
    bench.relay.take()
    calls_before = len(bench.sandbox.llamachat.calls)
    code, output = await run(client, client.command, bench)
    steps = {match[1]: match[2] for match in re.finditer(r"^(\w+): ok ?(.*)$", output, re.MULTILINE)}
    passed = {step: "yes" for step in STEPS if step in steps}
    if code or len(passed) < len(STEPS):
        return Outcome(version, passed=passed, wrong=(f"exit code {code}: {_excerpt(output)}",))
    session = read_session(bench.relay.take())
    case = bench.sandbox.llamalitica.cases.get(steps["newCase"])
    calls = bench.sandbox.llamachat.calls[calls_before:]
    wrong = tuple(wrongs(case, calls, bench.materials, session.conversation()))
    seen = habits(session)
    if not wrong:
        passed |= {"files": "yes", "organization": "yes" if seen.organization in READABLE else "mapped"}
    return Outcome(version, "", passed, wrong, seen)


def _excerpt(output: str) -> str:
    """Returns the end of a client's output, without all of a long answer that it quotes."""
    failed = [line for line in output.splitlines() if ": failed: " in line]
    return failed[0][:300] if failed else output[-600:].strip()


async def _ready(client: Client, bench: Bench) -> tuple[str, str]:
    """The client's version, or why it can't run."""
    for command in filter(None, (client.prepare, client.probe)):
        code, output = await run(client, command, bench)
        if code:
            last = (output.strip().splitlines() or [f"{command[0]} ended with {code}"])[-1]
            return "", f"{last[:200]}; it needs {client.packages}"
    version = re.search(r"\d+\.\w+", output)
    return version[0] if version else "", ""


async def _measure_all(clients: Sequence[Client]) -> dict[Client, Outcome]:
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        async with open_bench(Path(folder)) as bench:
            for client in clients:
                outcomes[client] = await measure(client, bench)
                _say(_line(client, outcomes[client]))
    return outcomes


def _line(client: Client, outcome: Outcome) -> str:
    if outcome.absent:
        return f"{client.title:<22} did not run: {outcome.absent}"
    end = "; ".join(outcome.wrong) or "all as sent"
    return f"{client.title:<22} {outcome.version:<8} {len(outcome.passed)} of {len(document.CHECKS)}: {end}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _tables(outcomes: Mapping[Client, Outcome]) -> dict[str, str]:
    """Returns this run's tables for docs/clients.md, by the names of its markers."""
    ran = {client.title: outcome for client, outcome in outcomes.items() if not outcome.absent}
    return {
        "steps": document.steps_table({title: outcome.passed for title, outcome in ran.items()}),
        "wire": document.wire_table(
            {title: outcome.habits for title, outcome in ran.items() if outcome.habits is not None}
        ),
    }


def _versions(outcomes: Mapping[Client, Outcome]) -> str:
    ran = [f"{client.title} {outcome.version}" for client, outcome in outcomes.items() if outcome.version]
    return f"{'; '.join(ran)}.\n"


def _differences(tables: Mapping[str, str]) -> list[str]:
    text = document.DOCUMENT.read_text("utf-8")
    return [each for name, made in tables.items() for each in document.differences(text, name, made)]


def _write(tables: Mapping[str, str]) -> None:
    text = document.DOCUMENT.read_text("utf-8")
    for name, made in tables.items():
        text = document.with_block(text, name, made)
    document.DOCUMENT.write_text(text, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs real legacy clients against the proxy.")
    parser.add_argument("--check", action="store_true", help="fail where docs/clients.md says otherwise")
    parser.add_argument("--write", action="store_true", help="write the tables of docs/clients.md")
    parser.add_argument("--only", choices=[client.name for client in ROSTER], help="run this one alone")
    options = parser.parse_args()
    chosen = [client for client in ROSTER if options.only in (None, client.name)]
    setup(sys.stderr, pretty=sys.stderr.isatty(), level="warning")
    outcomes = asyncio.run(_measure_all(chosen))
    tables = _tables(outcomes)
    _say("\n" + "\n".join(tables.values()))
    ran = [client for client, outcome in outcomes.items() if not outcome.absent]
    failures = [_line(client, outcome) for client, outcome in outcomes.items() if outcome.wrong]
    if os.environ.get("CI") == "true":
        failures += [_line(client, outcome) for client, outcome in outcomes.items() if outcome.absent]
    if options.write:
        if len(ran) < len(ROSTER):
            failures.append("docs/clients.md was not written: not every client ran")
        else:
            _write(tables | {"versions": _versions(outcomes)})
    if options.check:
        failures += _differences(tables)
    summary = f"{len(ran)} of {len(ROSTER)} clients ran, nothing wrong"
    _say("\n".join(["FAILED", *failures]) if failures else summary)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
