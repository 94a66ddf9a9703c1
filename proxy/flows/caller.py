"""Who calls newCase: the legacy identity headers, and whether they may come in (CONTRACT N02–N06)."""

from typing import Final

from proxy.errors import Refusal
from proxy.headers import identity_value
from proxy.mapping.models import NewCase
from proxy.mapping.table import Organizations, Route
from proxy.values import Identity, Inbound

_HEADERS: Final = {"API_KEY": "no-api-key", "user_mail": "no-user", "organization": "no-organization"}


def identify_caller(inbound: Inbound, route: Route[NewCase]) -> tuple[Identity, str]:
    """The identity for the new API, and the organization by its legacy name."""
    values: list[str] = []
    for name, cause in _HEADERS.items():
        value = identity_value(inbound.headers, name)
        if value is None:
            raise Refusal("unauthorized", cause)
        values.append(value)
    api_key, user, organization = values
    _admit(user, organization, route)
    return Identity(api_key, user, route.organizations.send_as(organization)), organization


def _admit(user: str, organization: str, route: Route[NewCase]) -> None:
    """The new platform creates whom it doesn't know; `provision` says who may get that far (N05)."""
    provision = route.mapping.provision
    if provision == "any":
        return
    if organization not in route.organizations.known:
        raise Refusal("not_provisioned", "unknown-organization")
    if provision == "domains" and not _of_domain(user, organization, route.organizations):
        raise Refusal("not_provisioned", "foreign-domain")


def _of_domain(user: str, organization: str, organizations: Organizations) -> bool:
    domain = user.rpartition("@")[2].lower()
    return domain in (known.lower() for known in organizations.known[organization].domains)
