"""Tables of a webhook's delivery: status, body or exception of the consumer, and the outcome."""

from collections.abc import AsyncIterator
from typing import Final

import pytest
from aioresponses import aioresponses

from proxy.sandbox import SandboxConfig
from proxy.sandbox.reports import signature
from proxy.sandbox.webhooks import Delivery, Webhooks
from tests.mocked import CANARY, NO_ANSWER, Answer, calls, give

CONSUMER: Final = "http://consumer.example/hook"
CALL: Final = "POST /hook"
SECRET: Final = "ñ-secret"
EVENT: Final = b'{"event": "report.created"}'
GIVEN_UP: Final = "webhook given up: report.created, last status {}"
TIMED_OUT: Final = NO_ANSWER["ServerTimeoutError"]


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    """Yields open webhooks with two retries, without a pause."""
    made = Webhooks(SandboxConfig(webhook_url=CONSUMER, webhook_secret=SECRET, webhook_retries=(0.0, 0.0)))
    await made.open()
    yield made
    await made.close()


def answered(*statuses_or_errors: int | Exception) -> list[Answer]:
    return [
        Answer(exception=each) if isinstance(each, Exception) else Answer(each) for each in statuses_or_errors
    ]


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.name == "proxy.sandbox.webhooks"]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize(
    "body", [b"", b'{"received": true}', b'{"received": false}', b"{", b"\xd1"], ids=repr
)
async def test_a_delivery_is_accepted_by_its_status_whatever_the_body(
    mocked: aioresponses, webhooks: Webhooks, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    give(mocked, "POST", CONSUMER, [Answer(status, body)])
    delivery = await webhooks.deliver("report.created", EVENT)
    assert delivery == Delivery("report.created", EVENT, 1, status)
    assert delivery.accepted
    assert complaints(caplog) == []
    assert calls(mocked) == [CALL]


@pytest.mark.parametrize("status", [300, 301, 304, 307, 400, 401, 404, 408, 410, 429, 500, 503, 599])
@pytest.mark.parametrize("body", [b"", b'{"received": true}'], ids=repr)
async def test_a_delivery_that_is_refused_is_tried_thrice_and_given_up(
    mocked: aioresponses, webhooks: Webhooks, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    give(mocked, "POST", CONSUMER, [Answer(status, body)] * 4)
    delivery = await webhooks.deliver("report.created", EVENT)
    assert delivery == Delivery("report.created", EVENT, 3, status)
    assert not delivery.accepted
    assert complaints(caplog) == [GIVEN_UP.format(status)]
    assert calls(mocked) == [CALL] * 3


@pytest.mark.parametrize("name", NO_ANSWER)
async def test_a_consumer_that_does_not_answer_is_tried_thrice_and_given_up(
    mocked: aioresponses, webhooks: Webhooks, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    give(mocked, "POST", CONSUMER, [Answer(exception=NO_ANSWER[name])] * 4)
    assert await webhooks.deliver("report.created", EVENT) == Delivery("report.created", EVENT, 3, None)
    assert complaints(caplog) == [GIVEN_UP.format(None)]
    assert CANARY not in caplog.text
    assert calls(mocked) == [CALL] * 3


# What the consumer does in turn; the attempts, the last status, and whether it was accepted.
COURSES: Final[list[tuple[list[Answer], int, int | None, bool]]] = [
    (answered(503, 200), 2, 200, True),
    (answered(503, 401, 204), 3, 204, True),
    (answered(TIMED_OUT, 200), 2, 200, True),
    (answered(TIMED_OUT, 500, 200), 3, 200, True),
    (answered(500, 502, 404, 200), 3, 404, False),
    (answered(500, TIMED_OUT, 404, 200), 3, 404, False),
    (answered(500, 404, TIMED_OUT, 200), 3, None, False),
    (answered(200, 500), 1, 200, True),
]


@pytest.mark.parametrize(("answers", "attempts", "status", "accepted"), COURSES)
async def test_a_delivery_ends_with_the_first_acceptance_or_the_third_attempt(
    mocked: aioresponses,
    webhooks: Webhooks,
    caplog: pytest.LogCaptureFixture,
    answers: list[Answer],
    attempts: int,
    status: int | None,
    accepted: bool,
) -> None:
    give(mocked, "POST", CONSUMER, answers)
    delivery = await webhooks.deliver("report.created", EVENT)
    assert delivery == Delivery("report.created", EVENT, attempts, status)
    assert delivery.accepted == accepted
    assert webhooks.deliveries == [delivery]
    assert complaints(caplog) == ([] if accepted else [GIVEN_UP.format(status)])
    assert calls(mocked) == [CALL] * attempts


async def test_every_attempt_is_the_same_request_and_follows_no_redirect(
    mocked: aioresponses, webhooks: Webhooks
) -> None:
    give(mocked, "POST", CONSUMER, answered(307, TIMED_OUT, 200))
    await webhooks.deliver("report.created", EVENT)
    [made] = (mocked.requests or {}).values()
    sent = {"Content-Type": "application/json", "X-Webhook-Signature": signature(SECRET, EVENT)}
    assert [call.kwargs for call in made] == [{"allow_redirects": False, "data": EVENT, "headers": sent}] * 3


async def test_an_exception_of_our_own_making_is_not_taken_for_the_consumers(
    mocked: aioresponses, webhooks: Webhooks
) -> None:
    give(mocked, "POST", CONSUMER, answered(RuntimeError(CANARY)))
    with pytest.raises(RuntimeError, match=CANARY):
        await webhooks.deliver("report.created", EVENT)
    assert webhooks.deliveries == []


async def test_without_an_address_nothing_is_sent(mocked: aioresponses, webhooks: Webhooks) -> None:
    webhooks.url = None
    assert await webhooks.deliver("report.created", EVENT) is None
    assert (webhooks.deliveries, calls(mocked)) == ([], [])


async def test_the_end_lets_the_first_attempt_be_made_and_waits_for_no_retry(
    mocked: aioresponses, caplog: pytest.LogCaptureFixture
) -> None:
    give(mocked, "POST", CONSUMER, answered(503, 200))
    webhooks = Webhooks(SandboxConfig(webhook_url=CONSUMER, webhook_retries=(600.0,)))
    await webhooks.open()

    async def deliver() -> None:
        await webhooks.deliver("report.created", EVENT)

    webhooks.start("delivery", deliver())
    await webhooks.close()
    assert webhooks.deliveries == [Delivery("report.created", EVENT, 1, 503)]
    assert complaints(caplog) == [GIVEN_UP.format(503)]
    assert calls(mocked) == [CALL]


async def test_what_is_not_open_sends_nothing(mocked: aioresponses) -> None:
    webhooks = Webhooks(SandboxConfig(webhook_url=CONSUMER))
    with pytest.raises(RuntimeError, match="the webhooks are not open"):
        await webhooks.deliver("report.created", EVENT)
    assert calls(mocked) == []
