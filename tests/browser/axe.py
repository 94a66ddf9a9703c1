"""axe-core in a page: faults of accessibility (WCAG 2.2 A and AA, and good practice)."""

from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

VENDOR: Final = Path(__file__).parent / "vendor"
_TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
_RUN: Final = "(tags) => axe.run(document, {runOnly: tags, resultTypes: ['violations']})"


async def faults(page: Page) -> list[str]:
    """Returns a line for each element with a fault: the rule, where, and why.

    The page's context must bypass the CSP: axe-core is put into the page.
    """
    await page.evaluate(_axe())
    found: dict[str, Any] = await page.evaluate(_RUN, list(_TAGS))
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


@cache
def _axe() -> str:
    return (VENDOR / "axe.min.js").read_text("utf-8")
