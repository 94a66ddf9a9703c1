"""Copies the store for `michiq-proxy copy-store`, and prints how far it is."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Final

import click

from proxy.cli.common import ENV_FILE, Failure, Misuse, read_settings
from proxy.cli.shared.console import plural
from proxy.cli.shared.store_access import echo_json, for_a_command, store_name
from proxy.environment import Unreadable, read_env_file, read_secret_files
from proxy.settings import TO_BLOBS_URL, TO_DATABASE_URL
from proxy.store import StoreError
from proxy.store.copies import TO_BLOBS, TO_DATABASE, NotOpened, opened_copy, rename_settings
from proxy.store.options import StoreOptions, store_options
from proxy.store.upkeep.copying import STEPS, Copied, Progress
from proxy.values import Json

# Between two lines of progress.
_SECONDS: Final = 1.0
_MB: Final = 1_000_000


def run(to_database: str | None, to_blobs: str | None, *, as_json: bool) -> None:
    """Copies, and prints the counts. Raises Misuse or Failure, with a sentence, when that can't be done."""
    source = read_settings()
    try:
        target = read_settings(**_addresses(to_database, to_blobs))
    except Misuse as error:
        raise Misuse(rename_settings(error.message)) from None
    keys = [key.get_secret_value() for key in source.secret_keys]
    began = time.monotonic()
    copied = asyncio.run(
        _copied(for_a_command(store_options(source, os.environ)), store_options(target, os.environ), keys)
    )
    seconds = round(time.monotonic() - began, 1)
    click.echo(f"store: {store_name(target)}", err=True)
    if as_json:
        echo_json(_as_json(copied, seconds))
    else:
        click.echo(sentences(copied))


async def _copied(source: StoreOptions, target: StoreOptions, keys: list[str]) -> Copied:
    try:
        async with opened_copy(source, target, keys) as copying:
            return await copying.run(reporter(time.monotonic))
    except NotOpened as error:
        raise Misuse(str(error)) from None
    except StoreError as error:
        raise Failure(str(error)) from None


def _addresses(to_database: str | None, to_blobs: str | None) -> dict[str, str]:
    """Returns the addresses of the options, else of the environment and `.env`. Raises Misuse."""
    try:
        given = {**read_env_file(ENV_FILE), **os.environ}
    except Unreadable as error:
        raise Misuse(str(error)) from None
    found, problems = read_secret_files(given, {TO_DATABASE_URL})
    if problems and to_database is None:
        raise Misuse("\n".join(problems.values()))
    return {
        "MICHIQ_DATABASE_URL": _named(to_database, found, TO_DATABASE, TO_DATABASE_URL),
        "MICHIQ_BLOBS_URL": _named(to_blobs, found, TO_BLOBS, TO_BLOBS_URL),
    }


def _named(option: str | None, environ: Mapping[str, str], name: str, variable: str) -> str:
    value = (option or environ.get(variable, "")).strip()
    if not value:
        raise Misuse(f"{name} is missing, and so is {variable}: say where to copy to")
    return value


def reporter(monotonic: Callable[[], float]) -> Callable[[Progress], None]:
    """Returns a function that prints at most one line a second, with the time that is left of the step."""
    last = monotonic()
    first: tuple[float, Progress] | None = None

    def report(progress: Progress) -> None:
        nonlocal first, last
        now = monotonic()
        if first is None or first[1].step != progress.step:
            first = now, progress
        if now - last >= _SECONDS:
            last = now
            click.echo(
                progress_sentence(progress, seconds_left(now - first[0], first[1], progress)), err=True
            )

    return report


def seconds_left(seconds: float, first: Progress, now: Progress) -> float | None:
    """Returns how long a step still takes, if it goes on as in the seconds since its first report.

    Many small recordings take long, and so do few large ones: the slower of both counts.
    """
    pairs = (
        (now.done - first.done, now.of - now.done),
        (now.bytes_done - first.bytes_done, now.bytes_of - now.bytes_done),
    )
    return max((seconds * left / done for done, left in pairs if done > 0), default=None)


def progress_sentence(progress: Progress, left: float | None) -> str:
    """Returns the line of a step's progress."""
    size = (
        f" ({progress.bytes_done / _MB:,.0f} of {progress.bytes_of / _MB:,.0f} MB)"
        if progress.bytes_of
        else ""
    )
    step = f"step {progress.step + 1} of {len(STEPS)}, {STEPS[progress.step]}"
    time_left = "" if left is None else f", {_duration(left)} left in this step"
    return f"{step}: {progress.done:,} of {progress.of:,}{size}{time_left}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _as_json(copied: Copied, seconds: float) -> Json:
    return {
        "rows": copied.rows,
        "blobs": copied.blobs,
        "bytes": copied.size,
        "lacking_in_source": copied.lacking,
        "audit_rows": copied.audit.rows,
        "audit_first_bad": copied.audit.first_bad,
        "seconds": seconds,
    }


def sentences(copied: Copied) -> str:
    """Returns what a copy came to."""
    blobs = f"{plural(copied.blobs, 'recording chunk')} ({copied.size / _MB:,.1f} MB)"
    lines = [f"copied and compared: {plural(copied.rows, 'row')}, {blobs}; the target can be served"]
    if copied.lacking:
        lacking = "1 chunk of a recording was" if copied.lacking == 1 else f"{copied.lacking:,} chunks were"
        lines.append(f"{lacking} missing in the source already")
    if copied.audit.first_bad is not None:
        lines.append(f"the audit is damaged, as it is in the source: {copied.audit.reason}")
    return "\n".join(lines)
