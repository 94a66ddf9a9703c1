"""Writes a stored request trace in plain sentences, one for each step of the request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from proxy.rollout.explain.words import CALLERS, DIFFERENCES, DROPS, SIDES, TOKENS, WHYS
from proxy.rollout.shadow.outcome import ShadowOutcome
from proxy.store.audit.request_traces import RequestTrace

# A word for the step, and its sentence.
Steps: TypeAlias = Iterator[tuple[str, str]]
_Part: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its functions of gettext, and how it writes numbers."""

    gettext: Callable[[str], str]
    ngettext: Callable[[str, str, int], str]
    number: Callable[[float], str]


ENGLISH: Final = Language(
    gettext=lambda text: text,
    ngettext=lambda one, many, count: one if count == 1 else many,
    number="{:,}".format,
)


def is_comparison(trace: RequestTrace) -> bool:
    """Returns whether the trace is that of a shadow's comparison, which comes after the answer's."""
    return "shadow" in _part(trace.story)


def sentences(trace: RequestTrace, language: Language = ENGLISH) -> Steps:
    """Yields a word and a sentence for each step."""
    part, said = _part(trace.story), _Said(language)
    if "shadow" in part:
        yield from said.shadow(part["shadow"])
        return
    yield from said.asked(part["route"], part["asked"])
    yield from said.decided(part["route"], part["decided"])
    for call in part["calls"]:
        yield said.text("called"), said.called(call)
    yield said.text("answered"), said.answered(part["answered"])
    if part["decided"] and part["decided"]["shadowed"]:
        later = said.text("The other side runs after the answer; its result stands by itself.")
        yield said.text("shadow"), later


def _part(story: object) -> _Part:
    return story if isinstance(story, dict) else {}


@dataclass(frozen=True, slots=True)
class _Said:
    """The sentences of each part of a trace, in one language."""

    language: Language

    def text(self, message: str, **values: object) -> str:
        translated = self.language.gettext(message)
        return translated.format(**values) if values else translated

    def asked(self, route: str, asked: _Part) -> Steps:
        method = self.text("a method that no route has") if asked["method"] == "other" else asked["method"]
        no_route = route == "none"
        of = (
            self.text("no route of the mappings") if no_route else self.text("the route {route}", route=route)
        )
        came = self.text("{method} on {route}", method=method, route=of)
        yield self.text("came in"), f"{came}{self._size(asked['bytes'])}{self._headers(asked)}."
        if asked["token"] is not None:
            yield self.text("caller"), f"{self._caller(asked)}, {self.text(TOKENS[asked['token']])}."
        if asked["id_lives_on"] is not None:
            side = self.text(SIDES[asked["id_lives_on"]])
            yield self.text("id"), self.text("The id in the path lives on {side}.", side=side)

    def decided(self, route: str, decided: _Part | None) -> Steps:
        if decided is None:
            of_none = self.text("It is no legacy call.")
            refused = self.text("It was refused before a side was chosen.")
            yield self.text("decided"), of_none if route == "none" else refused
            return
        side = self.text(SIDES[decided["side"]])
        yield self.text("in force"), self._in_force(decided)
        yield self.text("decided"), f"{decided['why']}: {self.text(WHYS[decided['why']], side=side)}."

    def called(self, call: _Part) -> str:
        what = f"{call['upstream']}: {call['method']} {call['path']}"
        cause = f" ({call['cause']})" if call["cause"] else ""
        values = {"call": what, "cause": cause, "count": self.language.number(call["milliseconds"])}
        if call["status"] is None:
            return self.text("{call} gave no answer{cause} after {count} ms.", **values)
        return self.text("{call} answered {status}{cause} after {count} ms.", status=call["status"], **values)

    def answered(self, answered: _Part) -> str:
        cause = self.text(" because of {cause}", cause=answered["cause"]) if answered["cause"] else ""
        return self.text(
            "The client got {status}{cause}{size}, after {count} ms.",
            status=answered["status"],
            cause=cause,
            size=self._size(answered["bytes"]),
            count=self.language.number(answered["milliseconds"]),
        )

    def shadow(self, shadow: _Part) -> Steps:
        yield self.text("shadow"), self._outcome(shadow["outcome"])
        for each in shadow["differences"]:
            path = f"`{each['path']}`" if each["path"] else self.text("the whole answer")
            types = {"control": each["control"], "candidate": each["candidate"]}
            said = self.text(DIFFERENCES[each["kind"]], path=path, **types)
            yield "", f"{said[0].upper()}{said[1:]}."

    def _size(self, size: int) -> str:
        if not size:
            return ""
        counted = self.language.ngettext("{count} byte", "{count} bytes", size)
        return f", {counted.format(count=self.language.number(size))}"

    def _headers(self, asked: _Part) -> str:
        names: Sequence[str] = asked["headers"]
        if count := asked["other_headers"]:
            others = self.language.ngettext("and {count} other", "and {count} others", count)
            names = [*names, others.format(count=self.language.number(count))]
        return self.text(", with the headers {names}", names=", ".join(names)) if names else ""

    def _caller(self, asked: _Part) -> str:
        user, organization = asked["user"], asked["organization"]
        named = bool(user), bool(organization)
        return self.text(CALLERS[named], user=user, organization=organization)

    def _in_force(self, decided: _Part) -> str:
        mode = decided["mode"]
        if mode == "canary":
            percent = decided["percent"]
            whole = int(percent) if percent == int(percent) else percent
            mode = self.text("canary of {percent} %", percent=self.language.number(whole))
        if decided["revision"]:
            number = decided["revision"]
            return self.text("The mode was {mode}, by revision {revision}.", mode=mode, revision=number)
        return self.text("The mode was {mode}, by the mapping file.", mode=mode)

    def _outcome(self, outcome: str) -> str:
        """Returns the outcome in words; codes of another version of the proxy stay as they are."""
        match ShadowOutcome.of_text(outcome):
            case ShadowOutcome("match"):
                return self.text("The new side would have answered the same.")
            case ShadowOutcome("difference"):
                return self.text("The new side would have answered differently:")
            case ShadowOutcome("dropped", why):
                return self.text("Not compared: {why}.", why=self.text(DROPS.get(why, why)))
            case ShadowOutcome("dry-run-failed", why):
                return self.text(
                    "A call that the new side would send breaks the new API's description: {why}.", why=why
                )
            case _:
                return outcome
