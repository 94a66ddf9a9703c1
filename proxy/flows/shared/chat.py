"""Finds the LlamaChat client of a user and the key of their organization."""

from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Route
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Session


def chat_of(session: Session, route: Route[RouteMapping], deps: Deps) -> tuple[LlamaChat, str]:
    """Returns the user's own client, and the organization's own key or else the operator's (CONTRACT Q07)."""
    key = route.organizations.chat_keys.get(session.organization) or deps.chat_key
    if deps.upstreams.llamachat is None or key is None:
        raise Refusal("no_chat", "llamachat-not-configured")
    return deps.upstreams.llamachat.of(session.owner), key
