"""Runs checks one after the other, and decides the outcome of each."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

from proxy.contract.check import Binds, Check, Writes
from proxy.contract.probe import Probe
from proxy.contract.verdicts import Mismatch, NoAnswer, NotApplicable, Outcome, Verdict

_JWT: Final = re.compile(r"[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")
_HIDDEN: Final = "•••"


async def run(checks: Sequence[Check], probe: Probe, *, read_only: bool = False) -> AsyncIterator[Outcome]:
    """Yields the outcome of each check as soon as there is one."""
    for check in checks:
        if read_only and check.writes is not None:
            yield _outcome(check, "not applicable", 0.0, why="read-only: it would make something")
        else:
            yield await outcome_of(check, probe)


async def outcome_of(check: Check, probe: Probe) -> Outcome:
    started = time.monotonic()
    outcome = await _decided(check, probe)
    return replace(
        outcome,
        seconds=time.monotonic() - started,
        expected=_redacted(outcome.expected, probe),
        came=_redacted(outcome.came, probe),
        why=_redacted(outcome.why, probe),
    )


async def _decided(check: Check, probe: Probe) -> Outcome:
    if check.binds is Binds.PROXY and not probe.is_proxy:
        return _outcome(check, "not applicable", why="only a michiq-proxy has this")
    try:
        await check.run(probe)
    except NotApplicable as reason:
        return _outcome(check, "not applicable", why=reason.why)
    except Mismatch as mismatch:
        if check.binds is Binds.FOLLOWERS and not probe.is_proxy:
            why = f"the documents are silent, and this host differs: {mismatch}"
            return _outcome(check, "not applicable", why=why)
        return _outcome(check, "fail", expected=mismatch.expected, came=mismatch.came)
    except NoAnswer as silence:
        return _outcome(check, "fail", expected="an answer", came=f"none ({silence.reason})")
    return _outcome(check, "pass")


def announced(checks: Sequence[Check], *, other_user: bool) -> Writes:
    """Returns the most that a run will make: the data of its checks, and the cases that they share."""
    writing = [check.writes for check in checks if check.writes is not None]
    if not writing:
        return Writes()
    shared = 3 if other_user else 2
    return Writes(
        cases=shared + sum(each.cases for each in writing),
        recordings=sum(each.recordings for each in writing),
        questions=sum(each.questions for each in writing),
    )


def _outcome(
    check: Check, verdict: Verdict, seconds: float = 0.0, *, expected: str = "", came: str = "", why: str = ""
) -> Outcome:
    return Outcome(check.row, check.route, check.title, verdict, seconds, expected, came, why)


def _redacted(text: str, probe: Probe) -> str:
    """Returns the text without this run's key and tokens, and without anything that looks like a token."""
    for secret in sorted(probe.secrets, key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _JWT.sub(_HIDDEN, text)
