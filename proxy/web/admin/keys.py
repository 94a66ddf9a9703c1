"""The typed keys under which the admin app stores its own parts."""

from typing import Final

from aiohttp import web

from proxy.rollout.config_watcher import ConfigWatcher
from proxy.web.admin.tokens import OperatorTokens

FOLLOWER: Final = web.AppKey("follower", ConfigWatcher)
TOKENS: Final = web.AppKey("tokens", OperatorTokens)

# The operator who makes a request, by the name of their token.
ACTOR: Final = web.RequestKey("actor", str)

REQUEST_ID: Final = web.RequestKey("request_id", str)
