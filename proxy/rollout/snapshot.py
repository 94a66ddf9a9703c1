"""The settings in force at one moment: mappings and overrides, as one value that is replaced whole."""

from dataclasses import dataclass
from datetime import datetime

from proxy.mapping.table import Table
from proxy.modes import EVERYONE, Mode, Overrides


@dataclass(frozen=True, slots=True)
class InForce:
    """A route's mode for one organization; `scope` is the setting's owner, `revision` 0 is the mapping."""

    mode: Mode
    percent: float
    scope: str
    revision: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The settings in force, which a request takes once and uses to its end."""

    table: Table
    overrides: Overrides

    def in_force(self, route: str, scope: str | None, now: datetime) -> InForce:
        """Returns the mode in force; `scope` is the keyed hash of the caller's organization, if known."""
        mapping = self.table.routes[route].mapping
        override = self.overrides.in_force(route, scope, now)
        if override is None or override.mode is None:
            return InForce(mapping.mode, mapping.canary_percent, EVERYONE, 0)
        percent = mapping.canary_percent if override.percent is None else override.percent
        return InForce(override.mode, percent, override.scope, override.revision)
