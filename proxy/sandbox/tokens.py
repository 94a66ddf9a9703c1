"""Real signed JWTs, as both the new platform and the legacy server hand them out."""

from dataclasses import dataclass, field

import jwt

from proxy.sandbox.config import SandboxConfig


class BadToken(Exception):
    """Not a token of this issuer, or an expired one."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who a token was made for; `organization` is the id that its issuer gave to it."""

    user: str = field(repr=False)
    email: str = field(repr=False)
    organization: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Makes and checks the HS256 tokens of one issuer."""

    config: SandboxConfig
    issuer: str

    def issue(self, claims: Claims) -> str:
        """A new token, unlike any other (`jti`), that holds for the configured lifetime."""
        now = self.config.clock()
        payload = {
            "iss": self.issuer,
            "sub": claims.user,
            "email": claims.email,
            "org": claims.organization,
            "iat": int(now.timestamp()),
            "exp": int((now + self.config.token_lifetime).timestamp()),
            "jti": self.config.new_uuid(),
        }
        return jwt.encode(payload, self.config.jwt_secret, algorithm="HS256")

    def check(self, token: str) -> Claims:
        """The claims of a valid token; raises BadToken for anything else."""
        try:
            payload = jwt.decode(
                token,
                self.config.jwt_secret,
                algorithms=["HS256"],
                issuer=self.issuer,
                options={"require": ["exp", "jti"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError:
            raise BadToken from None
        if payload["exp"] <= self.config.clock().timestamp():  # our clock, which a test may have set
            raise BadToken
        return Claims(payload["sub"], payload["email"], payload["org"])
