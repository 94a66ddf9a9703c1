"""Renders templates as HTML, in the operator's language.

jinja2 and Babel are imported at the first page view, in a thread: a process that nobody looks at has neither.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy import __version__
from proxy.server.responses import respond
from proxy.times import rfc3339
from proxy.values import Answer
from proxy.web.admin.door import SAFE
from proxy.web.keys import DEPS, LIVE
from proxy.web.page.errors import PageError
from proxy.web.page.keys import PAGE, SESSION
from proxy.web.page.language import LANGUAGES, Words, language_of, load_words
from proxy.web.page.static import url_of

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES: Final = Path(__file__).parent / "templates"
_HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Rendering:
    """The templates and the texts of each language."""

    environments: Mapping[str, "Environment"]
    words: Mapping[str, Words]


async def render(
    request: web.Request, template: str, status: int = 200, /, **values: Any
) -> web.StreamResponse:
    """Returns a template as a page; besides `values` it has those of `_shared`."""
    rendering = await _rendering(request)
    language = language_of(request)
    made = rendering.environments[language].get_template(template)
    # In a thread: a long table would hold up clients' requests.
    html = await asyncio.to_thread(made.render, {**_shared(request, language), **values})
    return respond(Answer(status, html.encode("utf-8"), _HTML), [("Content-Language", language)])


async def words(request: web.Request) -> Words:
    """Returns the texts of the operator's language, for sentences that a view makes."""
    return (await _rendering(request)).words[language_of(request)]


async def render_error(request: web.Request, error: PageError) -> web.StreamResponse:
    """Returns an error as a page."""
    phrase = HTTPStatus(error.status).phrase
    shown = await render(request, "error.html", error.status, error=error, phrase=phrase)
    shown.headers.update(error.headers)
    return shown


async def _rendering(request: web.Request) -> Rendering:
    page = request.app[PAGE]
    if page.rendering is None:
        page.rendering = asyncio.create_task(asyncio.to_thread(_load), name="load-page")
    return await asyncio.shield(page.rendering)


def _load() -> Rendering:
    texts = {language: load_words(language) for language in LANGUAGES}
    return Rendering({language: _environment(each) for language, each in texts.items()}, texts)


def _environment(texts: Words) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    # Only the extension has this method, and newstyle makes `_("%(n)s calls", n=n)` safe.
    made.install_gettext_translations(texts.translations, newstyle=True)  # type: ignore[attr-defined]
    made.filters.update(
        number=texts.number,
        percent=texts.percent,
        duration=texts.duration,
        size=texts.size,
        iso=rfc3339,
        utc=_utc,
    )
    made.globals.update(static=url_of, version=__version__)
    return made


def _shared(request: web.Request, language: str) -> dict[str, Any]:
    """Returns the values that each template has.

    They are `session` (None if nobody is logged in), `may_change`, `csrf`, `language`, `here` (the path),
    `address` (path and query, to come back to), `now`, and `revision` (of the overrides).
    """
    session = request.get(SESSION)
    return {
        "session": session,
        "may_change": session is not None and not session.reads_only,
        "csrf": session.csrf if session else "",
        "language": language,
        "here": request.path,
        "address": request.path_qs if request.method in SAFE else "/",
        "now": request.app[DEPS].effects.clock(),
        "revision": request.app[LIVE].now.overrides.revision,
    }


def _utc(at: datetime) -> str:
    """Writes a time for people, in UTC: app.js shows it in local time."""
    return rfc3339(at)[:19].replace("T", " ") + " UTC"
