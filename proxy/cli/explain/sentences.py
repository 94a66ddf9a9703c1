"""Writes a stored request trace in plain sentences, one for each step of the request."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from proxy.cli.explain.words import DIFFERENCES, DROPS, SIDES, TOKENS, WHYS
from proxy.cli.shared.console import moment, plural
from proxy.rollout.shadow.outcome import ShadowOutcome
from proxy.store.audit.request_traces import RequestTrace

Steps: TypeAlias = Iterator[tuple[str, str]]
_Part: TypeAlias = Mapping[str, Any]


def title(story: RequestTrace) -> str:
    """Returns the heading: the request's id, and the time of the answer or of the shadow's comparison."""
    what = "compared" if "shadow" in _part(story.story) else "answered"
    return f"{story.request_id}, {what} at {moment(story.at)}"


def sentences(story: RequestTrace) -> Steps:
    """Yields a word and a sentence for each step."""
    part = _part(story.story)
    if "shadow" in part:
        yield from _shadow(part["shadow"])
        return
    yield from _asked(part["route"], part["asked"])
    yield from _decided(part["route"], part["decided"])
    for call in part["calls"]:
        yield "called", _called(call)
    yield "answered", _answered(part["answered"])
    if part["decided"] and part["decided"]["shadowed"]:
        yield "shadow", "The other side runs after the answer; its result stands by itself."


def _part(story: object) -> _Part:
    return story if isinstance(story, dict) else {}


def _asked(route: str, asked: _Part) -> Steps:
    others = [f"and {plural(asked['other_headers'], 'other')}"] if asked["other_headers"] else []
    names = [*asked["headers"], *others]
    method = "a method that no route has" if asked["method"] == "other" else asked["method"]
    of = "no route of the mappings" if route == "none" else f"the route {route}"
    size = f", {plural(asked['bytes'], 'byte')}" if asked["bytes"] else ""
    headers = f", with the headers {', '.join(names)}" if names else ""
    yield "came in", f"{method} on {of}{size}{headers}."
    if asked["token"] is not None:
        yield "caller", f"{_caller(asked)}, {TOKENS[asked['token']]}."
    if asked["id_lives_on"] is not None:
        yield "id", f"The id in the path lives on {SIDES[asked['id_lives_on']]}."


def _caller(asked: _Part) -> str:
    names = [f"{what} {asked[what]}" for what in ("user", "organization") if asked[what]]
    return " of ".join(names) if names else "a caller that this proxy doesn't know"


def _decided(route: str, decided: _Part | None) -> Steps:
    if decided is None:
        said = "It is no legacy call." if route == "none" else "It was refused before a side was chosen."
        yield "decided", said
        return
    side = SIDES[decided["side"]]
    yield "in force", _in_force(decided)
    yield "decided", f"{decided['why']}: {WHYS[decided['why']].format(side=side)}."


def _in_force(decided: _Part) -> str:
    percent = f" of {decided['percent']:g} %" if decided["mode"] == "canary" else ""
    by = f"by revision {decided['revision']}" if decided["revision"] else "by the mapping file"
    return f"The mode was {decided['mode']}{percent}, {by}."


def _called(call: _Part) -> str:
    came = f"answered {call['status']}" if call["status"] is not None else "gave no answer"
    cause = f" ({call['cause']})" if call["cause"] else ""
    what = f"{call['upstream']}: {call['method']} {call['path']}"
    return f"{what} {came}{cause} after {call['milliseconds']:,} ms."


def _answered(answered: _Part) -> str:
    cause = f" because of {answered['cause']}" if answered["cause"] else ""
    size = f", {plural(answered['bytes'], 'byte')}" if answered["bytes"] else ""
    return f"The client got {answered['status']}{cause}{size}, after {answered['milliseconds']:,} ms."


def _shadow(shadow: _Part) -> Steps:
    yield "shadow", _outcome(shadow["outcome"])
    for each in shadow["differences"]:
        path = f"`{each['path']}`" if each["path"] else "the whole answer"
        said = DIFFERENCES[each["kind"]].format(
            path=path, control=each["control"], candidate=each["candidate"]
        )
        yield "", f"{said[0].upper()}{said[1:]}."


def _outcome(outcome: str) -> str:
    """Returns the outcome in words; codes of another version of the proxy stay as they are."""
    match ShadowOutcome.of_text(outcome):
        case ShadowOutcome("match"):
            return "The new side would have answered the same."
        case ShadowOutcome("difference"):
            return "The new side would have answered differently:"
        case ShadowOutcome("dropped", why):
            return f"Not compared: {DROPS.get(why, why)}."
        case ShadowOutcome("dry-run-failed", why):
            return f"A call that the new side would send breaks the new API's description: {why}."
        case _:
            return outcome
