"""The store of a command's settings, filled through its public methods, and the command called on it."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.store import Store, open_store
from proxy.store.audit.usage import Visit
from tests.conftest import ROOT
from tests.stores import sqlite_in


@dataclass(frozen=True, slots=True)
class Site:
    """A folder with settings and mappings of its own, as an operator works in it."""

    folder: Path
    key: str

    def fill(self, work: Callable[[Store], Awaitable[Any]]) -> Any:
        """Returns the result of `work` on the store."""

        async def run() -> Any:
            async with open_store(sqlite_in(), [self.key]) as store:
                return await work(store)

        return asyncio.run(run())

    def call(self, *arguments: str, answer: str | None = None) -> Result:
        """Runs a command; `answer` is typed."""
        result = CliRunner().invoke(main, arguments, input=answer)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def edit(self, file: str, old: str, new: str) -> None:
        """Changes a mapping file's text; `old` empty adds `new` at its end."""
        path = self.folder / "mappings" / file
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new) if old else text + new, "utf-8")


def site(folder: Path, key: str, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Makes `folder` the working folder of the command."""
    for name in [name for name in os.environ if name.startswith("MICHIQ_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MICHIQ_SECRET_KEYS", key)
    monkeypatch.chdir(folder)
    shutil.copytree(ROOT / "mappings", folder / "mappings")
    return Site(folder, key)


async def nothing(_: Store) -> None:
    """Does nothing, for a store that is only made, as by the first `serve`."""


def ago(**units: float) -> datetime:
    return datetime.now(UTC) - timedelta(**units)


def visit(store: Store, organization: str, **changes: Any) -> Visit:
    values: dict[str, Any] = {
        "key": "k" * 64,
        "user": "u" * 64,
        "organization": organization,
        "organization_hash": scope(store, organization),
        "agent": "okhttp/4.9",
        "route": "new_case",
        "mode": "shadow",
        "status": 200,
        "at": ago(hours=1),
    }
    return Visit(**{**values, **changes})


def scope(store: Store, organization: str) -> str:
    """Returns the keyed hash that an organization is stored under."""
    return store.sealer.digest("organization", organization)


def said(result: Result) -> str:
    """Returns all that was printed, on one line: the breaks of long lines don't matter."""
    return " ".join(result.output.split())
