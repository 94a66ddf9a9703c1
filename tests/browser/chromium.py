"""Debian's Chromium, driven by playwright: one for all tests of this folder, with a time limit everywhere."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.docker.tools import tool

SECONDS: Final = 10.0  # for a click, a navigation, a condition
_START_SECONDS: Final = 30.0
# It calls nobody but the proxy under test.
_ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Yields a running browser; without chromium the test is skipped, with CI=true it fails."""
    program = tool("chromium")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=program,
            args=[*_ARGUMENTS, *sandbox],
            timeout=_START_SECONDS * 1000,
            handle_sigint=False,  # pytest ends it
            handle_sigterm=False,
            handle_sighup=False,
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def context_of(
    browser: Browser,
    *,
    width: int = 1280,
    height: int = 800,
    language: str = "en-GB",
    dark: bool = False,
    scripts: bool = True,
    bypass_csp: bool = False,
) -> AsyncIterator[BrowserContext]:
    """Yields a fresh profile: no cookie of another test, no motion, a fixed time zone."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        locale=language,
        timezone_id="Europe/Madrid",
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        java_script_enabled=scripts,
        bypass_csp=bypass_csp,
    )
    context.set_default_timeout(SECONDS * 1000)
    context.set_default_navigation_timeout(SECONDS * 1000)
    try:
        yield context
    finally:
        await context.close()
