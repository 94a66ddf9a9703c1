"""Shows the settings in force to operators: secrets only as set or unset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import SecretStr

from proxy.environment import PREFIX
from proxy.postgresql_url import without_password
from proxy.settings import Settings

Source: TypeAlias = Literal["set", "default"]

# The path of such a URL often holds a token.
_ONLY_HOST: Final = frozenset({"tee_url", "alert_url"})


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A setting as an operator would write it; of a secret it is known whether it is set."""

    name: str
    value: str
    source: Source


def shown_settings(settings: Settings) -> list[ShownSetting]:
    """Returns all settings, in the order of docs/settings.md."""
    return [
        ShownSetting(
            f"{PREFIX}{name.upper()}", _shown(name, getattr(settings, name)), _source(settings, name)
        )
        for name in Settings.model_fields
    ]


def _source(settings: Settings, name: str) -> Source:
    return "set" if name in settings.model_fields_set else "default"


def _shown(name: str, value: object) -> str:
    if name == "database_url" and isinstance(value, SecretStr):
        return without_password(value.get_secret_value())
    if name in _ONLY_HOST and isinstance(value, str):
        parts = urlsplit(value)
        return f"{parts.scheme}://{parts.netloc}" + ("/…" if parts.path.strip("/") or parts.query else "")
    return _plain(value)


def _plain(value: object) -> str:
    if value is None or value in ((), {}, frozenset()):
        return "unset"
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, Mapping):
        return ",".join(f"{name}:set" for name in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | frozenset):
        return ",".join(sorted(map(_plain, value)) if isinstance(value, frozenset) else map(_plain, value))
    return str(value)
