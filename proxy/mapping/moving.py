"""What a mapping file says about moving its route over: shadow, canary, thresholds, brownouts."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, model_validator

from proxy.mapping.base import Model, OrganizationName
from proxy.mapping.units import Duration

Percent = Annotated[float, Field(ge=0, le=100)]
# A field of the legacy answer, with all below it: `document.username`, `[].Input.documents[].name`.
FieldPath = Annotated[str, Field(pattern=r"^[^\s.\[\]]*(\[\])?(\.[^\s.\[\]]+(\[\])*)*$")]


class Compare(Model):
    """What is no difference between the answers of the two sides."""

    ignore: list[FieldPath] = []
    """Not compared at all."""
    volatile: list[FieldPath] = []
    """Another value each time (ids, tokens, times): only their kinds are compared."""
    tolerance: dict[FieldPath, Percent] = {}
    """By how many percent of the control's number the candidate's may differ."""


class Shadow(Model):
    """How the candidate runs after the control has answered."""

    sample_percent: Percent = 100.0
    """Of the requests, those that are shadowed."""
    daily_cap: Annotated[int, Field(ge=0)] = 100
    """How many live writes a day, with shadow_writes = "live"."""
    timeout: Duration = timedelta(seconds=60)
    """What a candidate may take."""


class Canary(Model):
    """Organizations that the percentage doesn't decide about; deny goes over allow."""

    allow: list[OrganizationName] = []
    deny: list[OrganizationName] = []


class StepBack(Model):
    """When a canary goes back to legacy by itself; it never goes forward by itself."""

    max_error_percent: Percent = 5.0
    """Of the new side's answers, those with a status of 500 or more."""
    max_difference_percent: Percent = 5.0
    """Of the shadow comparisons."""
    least: Annotated[int, Field(ge=1)] = 20
    """Fewer than so many within the window decide nothing."""
    window: Duration = timedelta(minutes=5)


class Switch(Model):
    """What `can-switch` asks for before it says yes."""

    comparisons: Annotated[int, Field(ge=0)] = 1000
    """At least so many within `days`."""
    max_difference_percent: Percent = 0.5
    """The upper bound, at 95 % confidence, of the rate of unexplained differences."""
    max_dry_run_failures: Annotated[int, Field(ge=0)] = 0
    contract_days: Annotated[int, Field(ge=1)] = 7
    """How old the last contract run may be."""
    days: Annotated[int, Field(ge=1)] = 14
    """How far back evidence counts."""


class Brownout(Model):
    """A time in which the route answers 503, so that who still calls it is heard of."""

    begin: AwareDatetime
    end: AwareDatetime
    organizations: list[OrganizationName] | None = None
    """Whom it is for; left out: everyone."""
    exempt: list[OrganizationName] = []

    @model_validator(mode="after")
    def _in_order(self) -> "Brownout":
        if self.end <= self.begin:
            raise ValueError("end comes before begin")
        return self

    def on(self, now: datetime, organization: str | None) -> bool:
        """Whether it is on for this organization, by its legacy name; None is a caller that nobody knows."""
        meant = self.organizations is None or organization in self.organizations
        return self.runs(now) and meant and organization not in self.exempt

    def runs(self, now: datetime) -> bool:
        """Whether it is on for anybody."""
        return self.begin <= now < self.end
