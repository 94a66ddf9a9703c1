"""Every answer of the proxy and of the sandbox's systems, and every request of the proxy, is as described.

One long session over real sockets is recorded once (`recording.py`); the tests judge what went by.
"""

from typing import Final

import pytest

from tests.contracts.description import LEGACY, LLAMACHAT, LLAMALITICA, Description
from tests.contracts.recording import Recorded

# Documented by the platform or by us, yet nothing that a client or an upstream does here brings it about.
UNSEEN: Final = {
    ("/dashboard/cases/{caseId}", "GET", 401),  # the sandbox's own tests show the pages' refusals
    ("/dashboard/cases/{caseId}", "GET", 404),
    ("/dashboard/cases/{caseId}/mini-widget", "GET", 401),
    ("/dashboard/cases/{caseId}/mini-widget", "GET", 404),
    ("/api/users/me", "GET", 404),  # the document's list of statuses is for all calls alike
    ("/api/transcription", "POST", 413),  # 100 MB: shown in the sandbox's own tests
}


@pytest.mark.parametrize(
    ("description", "side"),
    [
        (LEGACY, "proxy"),
        (LEGACY, "michiq"),
        (LLAMALITICA, "llamalitica"),
        (LLAMALITICA, "strange_llamalitica"),
        (LLAMACHAT, "llamachat"),
        (LLAMACHAT, "strange_llamachat"),
        (LLAMALITICA, "events"),
        (LLAMALITICA, "strange_events"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_answer_is_as_described(description: Description, side: str, recorded: Recorded) -> None:
    exchanges = getattr(recorded, side)
    assert exchanges
    assert [problem for each in exchanges for problem in description.answer_problems(each)] == []


@pytest.mark.parametrize(
    ("description", "side"),
    [(LLAMALITICA, "llamalitica"), (LLAMACHAT, "llamachat"), (LLAMALITICA, "events")],
    ids=lambda value: getattr(value, "name", value),
)
def test_every_request_of_the_proxy_and_every_event_is_as_described(
    description: Description, side: str, recorded: Recorded
) -> None:
    exchanges = getattr(recorded, side)
    assert exchanges
    assert [problem for each in exchanges for problem in description.request_problems(each)] == []


def test_the_proxy_gave_every_answer_that_the_legacy_description_knows(recorded: Recorded) -> None:
    assert LEGACY.documented() - {LEGACY.seen(each) for each in recorded.proxy} == set()


def test_the_new_systems_gave_every_answer_that_their_descriptions_know(recorded: Recorded) -> None:
    platform = (
        *recorded.llamalitica,
        *recorded.strange_llamalitica,
        *recorded.events,
        *recorded.strange_events,
    )
    chat = (*recorded.llamachat, *recorded.strange_llamachat)
    missing = LLAMALITICA.documented() - {LLAMALITICA.seen(each) for each in platform}
    missing |= LLAMACHAT.documented() - {LLAMACHAT.seen(each) for each in chat}
    assert missing == UNSEEN


def test_every_answer_of_the_proxy_G09_has_a_request_id_and_G08_every_refusal_its_cause(
    recorded: Recorded,
) -> None:
    assert [each.title for each in recorded.proxy if not each.answer.header("X-Request-ID")] == []
    refusals = [each for each in recorded.proxy if each.status >= 400]
    # A request too long to be read has no route, and so no mapping that names causes.
    unread = [each for each in refusals if each.request.header("X-Long")]
    assert [
        each.title for each in refusals if each not in unread and not each.answer.header("X-Michiq-Cause")
    ] == []
