"""Turns previews and memberships into JSON, the same for the command and the admin API."""

from typing import Final

from proxy.rollout.preview.effects import Move, Preview
from proxy.rollout.preview.membership import Membership, Organization
from proxy.rollout.preview.roster import Listed
from proxy.rollout.snapshot import InForce
from proxy.times import rfc3339
from proxy.values import Json

_DIGITS: Final = 2  # of calls an hour


def preview_json(found: Preview) -> dict[str, Json]:
    """Returns a preview for programs."""
    change = found.change
    return {
        "revision": found.revision,
        "route": change.route,
        "scope": change.scope,
        "organization": change.organization,
        "before": in_force_json(found.before),
        "after": _after(found),
        "until": rfc3339(change.until) if change.until else None,
        "undoes": change.undoes,
        "unchanged": found.unchanged,
        "moves": [_move(each) for each in found.moves],
        "organizations": found.total,
        "calls_an_hour": round(found.calls_an_hour, _DIGITS),
        "moving_an_hour": round(found.moving_an_hour, _DIGITS),
        "risks": [*found.risks],
        "forward": found.forward,
        "against": [each.sentence for each in found.against],
        "refused": found.refused,
    }


def in_force_json(in_force: InForce) -> dict[str, Json]:
    """Returns a mode, and its percentage, which means something only for a canary."""
    return {
        "mode": in_force.mode,
        "percent": in_force.percent if in_force.mode == "canary" else None,
        "revision": in_force.revision,
    }


def listed_json(each: Listed) -> dict[str, Json]:
    """Returns an organization of a route for programs."""
    last_day = each.organization.last_day
    return {
        **_organization(each.organization, each.membership),
        **_membership(each.membership),
        "calls": each.organization.calls,
        "last_day": last_day.isoformat() if last_day else None,
        "compared": each.compared,
        "differing": each.differing,
    }


def _after(found: Preview) -> Json:
    """Returns what is in force afterwards; the revision that the change would get may go to another one."""
    after = in_force_json(found.after)
    return {**after, "revision": None} if found.after.revision > found.revision else {**after}


def _move(move: Move) -> Json:
    return {
        **_organization(move.organization, move.after),
        "before": _membership(move.before),
        "after": {**_membership(move.after)},
        "calls_an_hour": round(move.calls_an_hour, _DIGITS),
    }


def _organization(one: Organization, found: Membership) -> dict[str, Json]:
    return {"hash": one.scope, "name": one.name, "bucket": found.bucket}


def _membership(found: Membership) -> dict[str, Json]:
    return {
        **in_force_json(found.in_force),
        "side": found.side,
        "rule": found.rule,
        "set_by": found.set_by,
    }
