"""Prepares a stored request trace for a page: its sentences, and how long each upstream call took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.rollout.explain.sentences import Language, is_comparison, sentences
from proxy.store.audit.request_traces import RequestTrace


@dataclass(frozen=True, slots=True)
class Duration:
    """An upstream call by its template path; `status` is None when no answer came."""

    upstream: str
    call: str
    status: int | None
    cause: str | None
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Explained:
    """A trace as people read it: that of an answer, or that of a shadow's comparison, which took no time.

    `steps` has a word and a sentence each; the word is "" where the sentence goes on with the one before.
    """

    at: datetime
    is_comparison: bool
    steps: Sequence[tuple[str, str]]
    milliseconds: int
    durations: Sequence[Duration]

    @property
    def longest(self) -> int:
        """Returns the length of the whole bar: a call may have gone on after the answer."""
        return max(1, self.milliseconds, *(each.milliseconds for each in self.durations))


def explained(trace: RequestTrace, language: Language) -> Explained:
    """Returns the trace in this language."""
    story: Any = trace.story
    calls = [] if is_comparison(trace) else story["calls"]
    return Explained(
        at=trace.at,
        is_comparison=is_comparison(trace),
        steps=[*sentences(trace, language)],
        milliseconds=0 if is_comparison(trace) else story["answered"]["milliseconds"],
        durations=[
            Duration(
                upstream=each["upstream"],
                call=f"{each['method']} {each['path']}",
                status=each["status"],
                cause=each["cause"],
                milliseconds=each["milliseconds"],
            )
            for each in calls
        ],
    )
