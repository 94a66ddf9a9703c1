"""The part of a mapping file about moving its route: shadow, canary, thresholds, brownouts."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Final

from pydantic import AwareDatetime, Field, model_validator

from proxy.mapping.base import Model, OrganizationName
from proxy.mapping.units import Duration

Percent = Annotated[float, Field(ge=0, le=100)]
# A field of the legacy answer, with everything below it: `document.username`, `[].Input.documents[].name`.
_FIELD_PATH: Final = r"^[^\s.\[\]]*(\[\])?(\.[^\s.\[\]]+(\[\])*)*$"
FieldPath = Annotated[str, Field(pattern=_FIELD_PATH)]


def is_field_path(path: str) -> bool:
    """Returns whether a rule of `Compare` can name this path."""
    return re.search(_FIELD_PATH, path) is not None


class Compare(Model):
    """Differences between the two sides' answers that do not count."""

    ignore: list[FieldPath] = []
    """Fields that are not compared."""
    volatile: list[FieldPath] = []
    """Fields with a new value each time (ids, tokens, times): only their kinds are compared."""
    tolerance: dict[FieldPath, Percent] = {}
    """Largest difference of the candidate's number, in percent of the control's."""


class Shadow(Model):
    """Settings of the candidate, which runs after the control has answered."""

    sample_percent: Percent = 100.0
    """Percent of the requests that are shadowed."""
    daily_cap: Annotated[int, Field(ge=0)] = 100
    """Most live writes a day, with shadow_writes = "live"."""
    timeout: Duration = timedelta(seconds=60)
    """Timeout of a candidate."""


class Canary(Model):
    """Organizations that the percentage doesn't decide about; deny wins over allow."""

    allow: list[OrganizationName] = []
    deny: list[OrganizationName] = []


class StepBack(Model):
    """Thresholds at which a canary goes back to legacy by itself; it never goes forward by itself."""

    max_error_percent: Percent = 5.0
    """Percent of the new side's answers with a status of 500 or more."""
    max_difference_percent: Percent = 5.0
    """Percent of the shadow comparisons that differ."""
    least: Annotated[int, Field(ge=1)] = 20
    """Fewest answers or comparisons within the window that decide anything."""
    window: Duration = timedelta(minutes=5)


class Switch(Model):
    """Conditions of `can-switch` before it says yes."""

    comparisons: Annotated[int, Field(ge=0)] = 1000
    """Fewest comparisons within `days`."""
    max_difference_percent: Percent = 0.5
    """The upper bound, at 95 % confidence, of the rate of comparisons that differ."""
    max_dry_run_failures: Annotated[int, Field(ge=0)] = 0
    contract_days: Annotated[int, Field(ge=1)] = 7
    """Largest age of the last contract run, in days."""
    days: Annotated[int, Field(ge=1)] = 14
    """Largest age of evidence that counts, in days."""


class Brownout(Model):
    """A time in which the route answers 503, so that clients that still call it get noticed."""

    begin: AwareDatetime
    end: AwareDatetime
    organizations: list[OrganizationName] | None = None
    """Organizations that get the 503; left out: everyone."""
    exempt: list[OrganizationName] = []

    @model_validator(mode="after")
    def _in_order(self) -> "Brownout":
        if self.end <= self.begin:
            raise ValueError("end comes before begin")
        return self

    def on(self, now: datetime, organization: str | None) -> bool:
        """Returns whether it is on for this organization, by its legacy name; None is an unknown caller."""
        meant = self.organizations is None or organization in self.organizations
        return self.runs(now) and meant and organization not in self.exempt

    def runs(self, now: datetime) -> bool:
        """Returns whether it is on for anyone."""
        return self.begin <= now < self.end
