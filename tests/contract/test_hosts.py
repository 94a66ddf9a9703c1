"""The contract, check by check: the proxy keeps it, and so does the sandbox's legacy server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import pytest
import pytest_asyncio

from proxy.contract.catalogue import CHECKS
from proxy.contract.check import Binds, Check
from proxy.contract.probe import Probe, probing
from proxy.contract.runner import outcome_of
from proxy.sandbox import SandboxConfig, run_sandbox
from proxy.web.service import running
from tests.conftest import edited_table, settings_for
from tests.contract.conftest import target

pytestmark = pytest.mark.asyncio(loop_scope="module")

# Where the legacy server does otherwise, and the documents are silent.
OTHERWISE: Final = {
    ("S05", "the transcription joins the case's conversation"),
    ("E01", "a browser is sent on to the page"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Probe]]:
    """Yields a probe of each host; the synthetic cases are made once for all checks."""
    folder = tmp_path_factory.mktemp("contract")
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(run_sandbox(SandboxConfig()))
        settings = settings_for(folder, sandbox.llamalitica.url, sandbox.llamachat.url)
        table = edited_table(folder / "mappings", {})
        proxy = await stack.enter_async_context(running(settings, table))
        urls = {"proxy": proxy.url, "legacy": sandbox.michiq.url}
        yield {name: await stack.enter_async_context(probing(target(url))) for name, url in urls.items()}


def _applies(check: Check, host: str) -> bool:
    if host == "proxy":
        return check.binds is not Binds.NOBODY
    return check.binds in (Binds.ALL, Binds.FOLLOWERS) and (check.row, check.title) not in OTHERWISE


@pytest.mark.parametrize(
    ("host", "check"),
    [
        pytest.param(host, check, id=f"{host}: {check}")
        for host in ("proxy", "legacy")
        for check in CHECKS
        if _applies(check, host)
    ],
)
async def test_the_host_keeps_the_row(probes: dict[str, Probe], host: str, check: Check) -> None:
    outcome = await outcome_of(check, probes[host])
    assert outcome.verdict == "pass", f"expected {outcome.expected}; came {outcome.came}{outcome.why}"


@pytest.mark.parametrize("host", ["proxy", "legacy"])
async def test_what_does_not_apply_to_a_host_says_why(probes: dict[str, Probe], host: str) -> None:
    others = [await outcome_of(check, probes[host]) for check in CHECKS if not _applies(check, host)]
    assert {outcome.verdict for outcome in others} == {"not applicable"}
    assert all(outcome.why for outcome in others)
