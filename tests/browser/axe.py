"""axe-core in a page: faults of accessibility (WCAG 2.2 A and AA, and good practice)."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

VENDOR: Final = Path(__file__).parent / "vendor"
_TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
_RUN: Final = "(only) => axe.run(document, {runOnly: only, resultTypes: ['violations'], elementRef: false})"


async def faults(page: Page) -> list[str]:
    """Returns a line for each element with a fault: the rule, where, and why.

    axe-core comes into the page as a debugger's script does, to which no policy applies.
    """
    return await _run(page, {"type": "tag", "values": _TAGS})


async def contrast_faults(page: Page) -> list[str]:
    """Returns those of colours alone: nothing else depends on a colour scheme."""
    return await _run(page, {"type": "rule", "values": ["color-contrast", "link-in-text-block"]})


async def _run(page: Page, only: dict[str, Any]) -> list[str]:
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found: dict[str, Any] = await page.evaluate(_RUN, only)
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@cache
def _axe() -> str:
    return (VENDOR / "axe.min.js").read_text("utf-8")
