"""LlamaChat as a route may use it: the client and the key of the caller's organization."""

from proxy.errors import Refusal
from proxy.flows.deps import Deps
from proxy.mapping.models import RouteMapping
from proxy.mapping.table import Route
from proxy.upstream.llamachat import LlamaChat
from proxy.values import Session


def chat_of(session: Session, route: Route[RouteMapping], deps: Deps) -> tuple[LlamaChat, str]:
    """Returns the user's own client, and the operator's key, or the organization's own (CONTRACT Q07)."""
    key = route.organizations.chat_keys.get(session.organization) or deps.chat_key
    if deps.llamachat is None or key is None:
        raise Refusal("no_chat", "llamachat-not-configured")
    return deps.llamachat.of(session.owner), key
