"""Pictures of each view of the operator's page, with a day of invented traffic (`make screenshots`)."""

import argparse
import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import aiohttp
from PIL import Image
from playwright.async_api import Browser

from proxy.flows.registry import SPECS
from proxy.mapping.loader import load_table
from proxy.observe.logs import setup
from proxy.sandbox import SandboxConfig, run_sandbox
from proxy.web.service import running
from tests.browser.chromium import chromium
from tests.browser.filled import ADMIN, TOKENS, fill
from tests.browser.person import drawn, person_at
from tests.browser.views import VIEWS
from tests.conftest import ROOT, Api, Clock, settings_for

FOLDER: Final = ROOT / "docs" / "screenshots"
_COLOURS: Final = 128  # an eighth of the bytes; nobody sees a difference
_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {},
    "dark": {"dark": True},
    "phone": {"width": 390, "height": 844},
    "es": {"language": "es-ES"},
}
_IN_SPANISH: Final = ("now", "route", "change")
_ROUTE: Final = VIEWS["route"]
_PICTURES: Final = {**VIEWS, "change": _ROUTE, "charts": f"{_ROUTE}#charts"}
_LEFT_OUT: Final = ("clients", "audit-all")  # a filter shows more


async def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the pictures of docs/screenshots anew.")
    parser.add_argument("--into", type=Path, default=FOLDER)
    parser.add_argument("--hour", type=float, default=1.0, help="seconds of the traffic's hours (1)")
    wanted = parser.parse_args()
    setup(io.StringIO(), pretty=False)
    wanted.into.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="michiq-screenshots-") as name:
        async with filled_proxy(Path(name), wanted.hour) as url, chromium() as browser:
            for look, profile in _LOOKS.items():
                await take(browser, url, look, profile, wanted.into)


@asynccontextmanager
async def filled_proxy(folder: Path, hour: float) -> AsyncIterator[str]:
    """Yields the page's address of a proxy, in front of the sandbox, that has had its day of traffic."""
    table = load_table(ROOT / "mappings", SPECS)
    async with run_sandbox(SandboxConfig()) as sandbox:
        settings = settings_for(
            folder,
            sandbox.llamalitica.url,
            sandbox.llamachat.url,
            MICHIQ_LEGACY_URL=sandbox.michiq.url,
            MICHIQ_ADMIN_TOKENS=TOKENS,
        )
        async with running(settings, table) as proxy, aiohttp.ClientSession() as http:
            sandbox.llamalitica.webhook_url = f"{proxy.url}/webhooks/llamalitica"
            await fill(Api(proxy, sandbox, http, Clock()), folder, hour=hour)
            yield proxy.admin_url


async def take(browser: Browser, url: str, look: str, profile: dict[str, Any], folder: Path) -> None:
    """Takes one picture of each view in this look."""
    async with person_at(browser, url, **profile) as person:
        await person.log_in(ADMIN)
        for name, view in _PICTURES.items():
            if name in _LEFT_OUT or (look == "es" and name not in _IN_SPANISH):
                continue
            await person.open(view)
            await drawn(person.page)
            if name == "change":  # over the view of its route, as scripts show it
                await person.page.locator("a.move").first.click()
                await person.page.locator("#dialog").wait_for()
            picture = await person.page.screenshot(animations="disabled", caret="hide")
            (folder / f"{name}-{look}.png").write_bytes(small(picture))


def small(png: bytes) -> bytes:
    """Returns the picture with a palette: text and flat areas need few colours."""
    into = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        flat = picture.convert("RGB").quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        flat.save(into, "PNG", optimize=True)
    return into.getvalue()


if __name__ == "__main__":
    asyncio.run(main())
