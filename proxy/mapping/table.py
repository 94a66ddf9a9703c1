"""The immutable table of all mappings, which one request uses from start to end."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from proxy.mapping.models import Organization, RouteMapping, running_brownouts
from proxy.mapping.shape import Expression, Shape

M_co = TypeVar("M_co", bound=RouteMapping, covariant=True)


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A flow's declaration, which its mapping file is checked against.

    `facts` are dotted names, `.*` at the end for any JSON below; `errors` every kind that it can raise;
    `expressions` the dotted keys, besides `answer`, that hold JMESPath over something other than facts. For
    moving the route: `writes` says that it makes or sends something, `makes_case` that it begins a case,
    `claims` that it takes an id that no call has used before, `lists` that it lists all of a user's cases.
    """

    name: str
    model: type[RouteMapping]
    facts: Set[str]
    errors: Set[str]
    expressions: tuple[str, ...] = ()
    writes: bool = False
    makes_case: bool = False
    claims: bool = False
    lists: bool = False


@dataclass(frozen=True, slots=True)
class Organizations:
    """The content of `organizations.toml`, and of the secret files that it names."""

    known: Mapping[str, Organization]
    chat_keys: Mapping[str, str]

    def send_as(self, legacy: str) -> str | None:
        """Returns the X-ORGANIZATION of a legacy organization; None leaves the header out (CONTRACT N02)."""
        entry = self.known.get(legacy)
        if entry is None:
            return legacy
        return None if entry.parent else entry.send_as or legacy


@dataclass(frozen=True, slots=True)
class Route(Generic[M_co]):
    """One legacy route: its mapping with every expression compiled.

    `digest` names the mapping as far as it shapes or compares answers (see `mapping.digest`).
    """

    mapping: M_co
    answer: Shape | Expression
    expressions: Mapping[str, Expression]
    organizations: Organizations
    digest: str


@dataclass(frozen=True, slots=True)
class Table:
    """Every route by its flow's name."""

    routes: Mapping[str, Route[RouteMapping]]
    organizations: Organizations

    def brownout_ends(self, now: datetime) -> dict[str, datetime]:
        """Returns the end of each route's brownout: until then it answers 503, to everyone or to some."""
        running = {name: running_brownouts(route.mapping, now) for name, route in self.routes.items()}
        return {name: max(each.end for each in own) for name, own in running.items() if own}
