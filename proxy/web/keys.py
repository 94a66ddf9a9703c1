"""The typed keys of an application's parts."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from proxy.flows.deps import Deps
from proxy.flows.tee import Tee
from proxy.rollout.evidence.answer_sampler import AnswerSampler
from proxy.rollout.live import Live
from proxy.rollout.lookup import CallerLookup
from proxy.rollout.shadow.sampler import ShadowSampler
from proxy.server.serving import Serving
from proxy.settings import Settings
from proxy.web.state.process_state import ProcessState

LIVE: Final = web.AppKey("live", Live)
LOOKUP: Final = web.AppKey("lookup", CallerLookup)
LEARNER: Final = web.AppKey("learner", AnswerSampler)
SHADOWS: Final = web.AppKey("shadows", ShadowSampler)
DEPS: Final = web.AppKey("deps", Deps)
WEBHOOK_SECRETS: Final = web.AppKey("webhook_secrets", Sequence[bytes])
TEE: Final = web.AppKey("tee", Tee)  # forwards webhooks


SETTINGS: Final = web.AppKey("settings", Settings)
STATE: Final = web.AppKey("state", ProcessState)
SERVING: Final = web.AppKey("serving", Serving)
