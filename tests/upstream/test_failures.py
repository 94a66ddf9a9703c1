"""The failures of a call: what each says of its upstream, and whether another connection may do better."""

import ssl

import pytest

from proxy.errors import UpstreamError
from proxy.jsons import BadJson
from proxy.upstream import failures
from proxy.upstream.breaker import Verdict
from proxy.upstream.http1 import errors
from proxy.upstream.http1.errors import BadAnswer, Cut, NotConnected, WrongLength
from proxy.upstream.legacy.legacy_list import as_own_call
from proxy.upstream.legacy.wire import cut, garbage, too_slow


def status(code: int) -> UpstreamError:
    error = failures.of_status("x", code)
    assert error is not None
    return error


def error(foreign: Exception) -> UpstreamError:
    return failures.of_error("x", foreign, arrived=True)


def no_connection(why: str) -> UpstreamError:
    return failures.of_no_connection("x", NotConnected(why))


# The error, what it says of the upstream, and whether the call may be tried on another connection.
ENDS: list[tuple[UpstreamError, Verdict, bool]] = [
    (error(failures.Oversized()), "works", False),
    (error(failures.Garbage()), "works", False),
    (error(BadJson("x")), "works", False),
    (error(BadAnswer()), "works", False),
    (error(TimeoutError()), "fails", False),
    (error(WrongLength()), "fails", True),
    (error(Cut()), "fails", True),
    (error(ssl.SSLError()), "fails", True),
    (error(ValueError()), "works", False),
    (no_connection(errors.REFUSED), "fails", True),
    (no_connection(errors.UNREACHABLE), "fails", True),
    (no_connection(errors.PROXY_UNREACHABLE), "fails", True),
    (no_connection(errors.PROXY_REFUSED), "fails", False),
    (no_connection(errors.TLS), "fails", False),
    (no_connection(errors.TIMEOUT), "fails", False),
    (no_connection(errors.NOT_PRIVATE), "unknown", False),
    (failures.of_full_pool("x"), "unknown", False),
    (status(302), "works", False),
    (status(404), "works", False),
    (status(499), "works", False),
    (status(500), "fails", False),
    (status(503), "fails", False),
    (too_slow(), "fails", False),
    (garbage(), "works", False),
    (cut(), "fails", True),
]
NAMES = [f"{number}-{each.cause}" for number, (each, _, _) in enumerate(ENDS)]


@pytest.mark.parametrize(("failure", "verdict", "hung_up"), ENDS, ids=NAMES)
def test_a_failure_says_what_its_upstream_is_worth_and_whether_to_try_again(
    failure: UpstreamError, verdict: Verdict, hung_up: bool
) -> None:
    assert (failures.verdict(failure), failure.hung_up) == (verdict, hung_up)


@pytest.mark.parametrize(("failure", "verdict", "hung_up"), ENDS, ids=NAMES)
def test_a_failure_of_the_legacy_list_says_the_same_as_a_call_of_our_own(
    failure: UpstreamError, verdict: Verdict, hung_up: bool
) -> None:
    own = as_own_call(failure)
    assert (failures.verdict(own), own.hung_up, own.arrived) == (verdict, hung_up, failure.arrived)
