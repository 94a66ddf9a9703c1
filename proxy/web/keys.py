"""The typed keys of an application's parts."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from proxy.flows.deps import Deps
from proxy.web.known import CallerLookup
from proxy.web.learning import Learner
from proxy.web.live import Live
from proxy.web.shadows import Shadows
from proxy.web.tee import Tee

LIVE: Final = web.AppKey("live", Live)
LOOKUP: Final = web.AppKey("lookup", CallerLookup)
LEARNER: Final = web.AppKey("learner", Learner)
SHADOWS: Final = web.AppKey("shadows", Shadows)
DEPS: Final = web.AppKey("deps", Deps)
WEBHOOK_SECRETS: Final = web.AppKey("webhook_secrets", Sequence[bytes])
TEE: Final = web.AppKey("tee", Tee)  # forwards webhooks


class Serving:
    """The state of serving. `accepting` is false as soon as this process begins to end.

    `workers` processes serve side by side, and `ready` of them do now, including this one. `held` is the
    reason why the retention is on hold, if it is.
    """

    def __init__(self) -> None:
        self.accepting = True
        self.ready, self.workers = 1, 1
        self.held: str | None = None

    def stop(self) -> None:
        self.accepting = False


SERVING: Final = web.AppKey("serving", Serving)
