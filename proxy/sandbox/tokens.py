"""Makes and checks signed JWTs, as both the new platform and the legacy server issue them."""

from dataclasses import dataclass, field

import jwt

from proxy.sandbox.config import SandboxConfig


class BadToken(Exception):
    """The token is expired, or not of this issuer."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The user that a token was made for; `organization` is the issuer's id for it."""

    user: str = field(repr=False)
    email: str = field(repr=False)
    organization: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """An issuer of HS256 tokens, which it also checks."""

    config: SandboxConfig
    issuer: str

    def issue(self, claims: Claims) -> str:
        """Returns a new, unique token (`jti`) that is valid for the configured lifetime."""
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
        """Returns the claims of a valid token. Raises BadToken for anything else."""
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
