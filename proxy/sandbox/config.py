"""The configuration of a sandbox: keys, secrets, agents, clock and randomness."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that every user may run (llamalitica-integration, "Authentication Response")."""

    id: str
    name: str
    description: str


AGENTS = (
    Agent("5f0c6c1e-0d5b-4c55-9d4a-3a1f6f0e0001", "Informe clínico", "Informe de la visita"),
    Agent("5f0c6c1e-0d5b-4c55-9d4a-3a1f6f0e0002", "Resumen", "Resumen breve del caso"),
)


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The configuration of the three systems; the defaults make a working sandbox with synthetic secrets.

    `api_keys` are for the new API and the legacy server, `chat_keys` (consumer name to key) for LlamaChat.
    `transcripts` maps the SHA-256 of an audio file, in hex, to its transcription. `agents` has at least one,
    the author of the reports. `random_bytes` is the one source of every id.
    """

    api_keys: frozenset[str] = field(default=frozenset({"sandbox-api-key"}), repr=False)
    chat_keys: Mapping[str, str] = field(
        default_factory=lambda: {"michiq-proxy": "sandbox-chat-key"}, repr=False
    )
    jwt_secret: str = field(default="sandbox-jwt-secret-that-is-long-enough-for-hs256", repr=False)
    token_lifetime: timedelta = timedelta(hours=1)
    webhook_url: str | None = None
    webhook_secret: str = field(default="sandbox-webhook-secret", repr=False)
    webhook_retries: tuple[float, ...] = (0.1, 0.5, 2.0)  # seconds to wait before each further attempt
    agents: tuple[Agent, ...] = AGENTS
    transcripts: Mapping[str, str] = field(default_factory=dict, repr=False)
    clock: Clock = utc_now
    random_bytes: Callable[[int], bytes] = secrets.token_bytes

    def new_uuid(self) -> str:
        return str(UUID(bytes=self.random_bytes(16), version=4))
