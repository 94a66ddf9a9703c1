"""The parts of the operator's page, and the typed keys under which they are stored."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web
from multidict import MultiDict

if TYPE_CHECKING:
    from asyncio import Task

    from proxy.web.page.rendering import Rendering
    from proxy.web.page.views.now import SwitchesShown


@dataclass(slots=True)
class Page:
    """The page of one listener: its host, its source of randomness, its templates, the last `switches`.

    The templates are loaded at the first page view.
    """

    host: str
    randomness: Callable[[int], bytes]
    rendering: "Task[Rendering] | None" = None
    switches: "SwitchesShown | None" = None


@dataclass(frozen=True, slots=True)
class Session:
    """The session of a request: who has logged in, and the CSRF token of their forms."""

    actor: str
    reads_only: bool
    csrf: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: datetime


PAGE: Final = web.AppKey("page", Page)

# The session of a request to the page; absent on what is open to all, if nobody is logged in.
SESSION: Final = web.RequestKey("session", Session)
# The form that a POST has sent.
FORM: Final = web.RequestKey("form", MultiDict[str])
