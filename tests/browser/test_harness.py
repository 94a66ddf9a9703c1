"""The browser tests' own means bite: each finds the fault that it is there for."""

import tomllib
from hashlib import sha256

from aiohttp import web
from playwright.async_api import Browser

from tests.browser import axe
from tests.browser.chromium import context_of
from tests.browser.watched import Watched
from tests.serving import serving

_BAD = "<title>t</title><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
_POLICY = {"Content-Security-Policy": "default-src 'none'; script-src 'self'"}


def test_each_vendored_file_is_the_one_of_the_manifest() -> None:
    manifest = tomllib.loads((axe.VENDOR / "manifest.toml").read_text("utf-8"))
    listed = {name: digest for part in manifest.values() for name, digest in part["sha256"].items()}
    there = {path.name: sha256(path.read_bytes()).hexdigest() for path in axe.VENDOR.iterdir()}
    assert listed == {name: digest for name, digest in there.items() if name != "manifest.toml"}
    assert manifest["axe-core"]["version"] in (axe.VENDOR / "axe.min.js").read_text("utf-8")[:40]


async def test_axe_finds_a_page_without_a_language_and_a_picture_without_a_text(browser: Browser) -> None:
    async with context_of(browser) as context:
        page = await context.new_page()
        await page.set_content(_BAD)
        rules = {line.split(":")[0] for line in await axe.faults(page)}
    assert {"html-has-lang", "image-alt"} <= rules


async def test_what_the_policy_refuses_and_each_error_of_a_script_are_collected(browser: Browser) -> None:
    async def page(request: web.Request) -> web.Response:
        text = "<h1 style='color:red'>h</h1><script>1</script><script src='/own.js'></script>"
        return web.Response(text=text, content_type="text/html", headers=_POLICY)

    async def script(request: web.Request) -> web.Response:
        return web.Response(text="nowhere()", content_type="text/javascript")

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/own.js", script)
    async with serving() as serve, context_of(browser) as context:
        server = await serve(app)
        watched = Watched()
        await watched.watch(context)
        await (await context.new_page()).goto(str(server.make_url("/")))
        answers = await watched.read()
    reported = "\n".join(watched.errors)
    assert "style-src-attr refused inline" in reported
    assert "script-src-elem refused inline" in reported
    assert "nowhere is not defined" in reported
    assert any(text.endswith("nowhere()") for _, text in answers)
