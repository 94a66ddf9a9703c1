"""Everything that a browser reports while a test uses it: violations of the CSP, errors, answers."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Response

# The page itself reports what its policy refused, also what no console shows.
_LISTENER: Final = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`CSP: ${event.effectiveDirective} refused ${event.blockedURI} at ${event.sourceFile}`);
});
"""
_FAILED: Final = "Failed to load resource"  # Chromium's line for each answer of 400 or above


@dataclass
class Watched:
    """A record of one context; `answers` has an address, and headers and decoded body, of each."""

    errors: list[str] = field(default_factory=list)
    answers: list[tuple[str, str]] = field(default_factory=list, repr=False)
    _reading: set[asyncio.Task[None]] = field(default_factory=set, repr=False)

    async def watch(self, context: BrowserContext) -> None:
        """Begins to collect from every page of the context."""
        await context.add_init_script(_LISTENER)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.errors.append(f"script: {error.error}"))
        context.on("response", self._answered)

    async def follow(self, page: Page) -> None:
        """Collects the events that come to a page by a stream: no answer's body has them."""
        debugger = await page.context.new_cdp_session(page)
        debugger.on("Network.eventSourceMessageReceived", self._heard)
        await debugger.send("Network.enable")

    async def read(self) -> list[tuple[str, str]]:
        """Returns the address and the text of each answer, headers included, once all are read."""
        while self._reading:
            await asyncio.wait(self._reading)
        return self.answers

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_FAILED):
            self.errors.append(f"{message.type}: {message.text}")

    def _heard(self, event: dict[str, Any]) -> None:
        self.answers.append(("an event", f"{event['eventName']}: {event['data']}"))

    def _answered(self, response: Response) -> None:
        task = asyncio.ensure_future(self._keep(response))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _keep(self, response: Response) -> None:
        headers = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        body = b""
        # An event stream has no end, a redirect no body, and a closed page neither.
        if "text/event-stream" not in headers and not 300 <= response.status < 400:
            try:
                async with asyncio.timeout(5):
                    body = await response.body()
            except (Error, TimeoutError):
                body = b""
        self.answers.append((response.url, f"{headers}\n\n{body.decode('utf-8', 'replace')}"))
