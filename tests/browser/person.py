"""A person at the operator's page, who uses a browser as people do, and whose steps are counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from playwright.async_api import Browser, Locator, Page

from tests.browser.chromium import context_of
from tests.browser.watched import Watched

Role: TypeAlias = Literal["link", "button", "row", "radio", "checkbox", "combobox", "textbox"]

_TOKEN: Final = "#token"
_ASKING: Final = ".htmx-request, .htmx-swapping, .htmx-settling"


@dataclass
class Person:
    """A person with one page open. Every click, entry and key is a step."""

    url: str
    page: Page = field(repr=False)
    watched: Watched = field(repr=False)
    steps: list[str] = field(default_factory=list)

    async def log_in(self, token: str) -> None:
        """Logs in; the steps begin after it."""
        await self.page.goto(f"{self.url}/")
        await self.page.locator(_TOKEN).fill(token)
        await self.page.locator("form.login button").click()
        await self.page.wait_for_url(f"{self.url}/")
        self.steps.clear()

    async def open(self, path: str) -> int:
        """Goes to an address by its name, which no walk does; returns the answer's status."""
        response = await self.page.goto(f"{self.url}{path}")
        assert response
        return response.status

    async def click(self, name: str, role: Role = "link", *, within: Locator | None = None) -> None:
        """Clicks on what assistive technology calls by this name."""
        self.steps.append(f"click {name}")
        await (within or self.page.locator("body")).get_by_role(role, name=name, exact=True).first.click()
        await self._answered()

    async def fill(self, label: str, text: str) -> None:
        self.steps.append(f"fill {label}")
        field = self.page.get_by_label(label, exact=True).first
        await field.fill(text)
        await field.dispatch_event("change")  # as when the person leaves it
        await self._answered()

    async def choose(self, label: str, option: str) -> None:
        self.steps.append(f"choose {label}")
        await self.page.get_by_label(label, exact=True).first.select_option(option)
        await self._answered()

    async def press(self, *keys: str) -> None:
        """Presses keys one after the other, wherever the focus is."""
        for key in keys:
            self.steps.append(f"key {key}")
            await self.page.keyboard.press(key)

    async def _answered(self) -> None:
        """Waits while the page asks for something, as a person does who looks at it."""
        await self.page.locator(".htmx-request, .htmx-swapping, .htmx-settling").first.wait_for(
            state="detached"
        )

    async def text(self) -> str:
        """Returns what the page shows in its main part."""
        return await self.page.locator("main").inner_text()

    def row(self, text: str) -> Locator:
        """Returns the first row of a table with this text."""
        return self.page.get_by_role("row").filter(has_text=text).first


@asynccontextmanager
async def person_at(browser: Browser, url: str, **profile: Any) -> AsyncIterator[Person]:
    """Yields a person with a profile of their own (see `context_of`), watched from the first answer on."""
    async with context_of(browser, **profile) as context:
        watched = Watched()
        await watched.watch(context)
        page = await context.new_page()
        await watched.follow(page)
        yield Person(url, page, watched)
