"""Hosts for the contract suite: the proxy and the sandbox's legacy server, and the command run on them."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Final

import pytest
import structlog
from click.testing import CliRunner
from yarl import URL

from proxy.cli import main
from proxy.contract.probe import Target
from tests.conftest import API_KEY, IDENTITY

OTHER_USER: Final = "luis@clinica.example"
OPTIONS: Final = {
    "--api-key": API_KEY,
    "--organization": IDENTITY["organization"],
    "--user": IDENTITY["user_mail"],
    "--other-user": OTHER_USER,
}


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of the command: its exit code and its output."""

    exit_code: int
    output: str = field(repr=False)
    stdout: str = field(repr=False)

    @property
    def checks(self) -> list[dict[str, Any]]:
        """Returns the outcomes that --json gave."""
        checks: list[dict[str, Any]] = json.loads(self.stdout)["checks"]
        return checks

    @property
    def failed(self) -> set[str]:
        """Returns the rows that fail, by --json."""
        return {check["row"] for check in self.checks if check["verdict"] == "fail"}


def target(url: str) -> Target:
    return Target(URL(url), API_KEY, IDENTITY["organization"], IDENTITY["user_mail"], OTHER_USER)


async def contract(url: str, *flags: str, **changed: str | None) -> Ran:
    """Runs `michiq-proxy contract` on a host of this loop; `changed` options, None to leave one out."""
    options = OPTIONS | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    given = [word for name, value in options.items() if value is not None for word in (name, value)]
    arguments = ["contract", "--target", url, *given, *flags]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ran(result.exit_code, result.output, result.stdout)


@pytest.fixture(autouse=True)
def _no_contract_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TARGET", "API_KEY", "ORGANIZATION", "USER", "OTHER_USER"):
        monkeypatch.delenv(f"CONTRACT_{name}", raising=False)


@pytest.fixture(autouse=True)
def _no_log_on_stdout() -> Iterator[None]:
    """Keeps a proxy's log off sys.stdout, where the tests catch the command's output."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(StringIO()))
    yield
    structlog.reset_defaults()
