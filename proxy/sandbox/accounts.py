"""Makes users and organizations of the new API when they are first named, and finds the caller of a call."""

import re
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from proxy.sandbox import headers
from proxy.sandbox.answers import Refused
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.service import note
from proxy.sandbox.tokens import Claims, Tokens
from proxy.values import Json

_MAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization: `name` is X-ORGANIZATION as text; None is the parent, for calls without the header."""

    id: str
    name: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class User:
    """A user of one organization; the same mail in another organization is another user."""

    id: str
    email: str = field(repr=False)
    organization: Organization


@dataclass(frozen=True, slots=True)
class Caller:
    """The key and user of a call; `organization_header` are the bytes of X-ORGANIZATION, None without one."""

    api_key: str = field(repr=False)
    user: User
    organization_header: bytes | None = field(repr=False)


class Accounts:
    """The users and organizations named so far, by mail and by X-ORGANIZATION."""

    def __init__(self, config: SandboxConfig) -> None:
        self.organizations: dict[str | None, Organization] = {}
        self.users: dict[tuple[str, str | None], User] = {}
        self._config = config
        self._tokens = Tokens(config, "llamalitica")

    def caller(self, request: web.Request) -> Caller:
        """Reads X-API-KEY, X-USER-EMAIL and X-ORGANIZATION (llamalitica-integration, "Step 1").

        Raises Refused: 401 for a key or mail that is missing or not valid, 400 for an empty or repeated
        header.
        """
        key = headers.text(request, "X-API-KEY")
        if key is None or key not in self._config.api_keys:
            raise Refused(401, "Invalid API key")
        mail = headers.text(request, "X-USER-EMAIL")
        if mail is None or not _MAIL.fullmatch(mail):
            raise Refused(401, "Invalid email")
        organization = headers.raw(request, "X-ORGANIZATION")
        if organization == b"":
            raise Refused(400, "X-ORGANIZATION is empty")
        caller = Caller(key, self._user(mail, headers.text(request, "X-ORGANIZATION")), organization)
        note(request, user=mail, organization=caller.user.organization.name)
        return caller

    def _user(self, mail: str, organization: str | None) -> User:
        new = self._config.new_uuid
        if organization not in self.organizations:
            self.organizations[organization] = Organization(new(), organization)
        if (mail, organization) not in self.users:
            self.users[mail, organization] = User(new(), mail, self.organizations[organization])
        return self.users[mail, organization]

    def token_for(self, user: User) -> str:
        return self._tokens.issue(Claims(user.id, user.email, user.organization.id))

    def check(self, token: str) -> Claims:
        """Returns the claims of this access token. Raises BadToken."""
        return self._tokens.check(token)

    def profile(self, user: User) -> dict[str, Json]:
        """Returns the `user` of GET /api/users/me with a new token (ibid., "Authentication Response")."""
        agents: list[Json] = [
            {"id": agent.id, "name": agent.name, "description": agent.description, "type": "report"}
            for agent in self._config.agents
        ]
        return {
            "accessToken": self.token_for(user),
            "id": user.id,
            "email": user.email,
            "name": user.email.partition("@")[0],
            "organization": {
                "id": user.organization.id,
                "name": user.organization.name or "Organización principal",
                "settings": {"language": "es"},
            },
            "specialities": ["Medicina general"],
            "agents": agents,
        }
