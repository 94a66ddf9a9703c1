"""The log through its public door: what is written, and what never is (CONTRACT G10)."""

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
import structlog
from aiohttp import web
from pytest_aiohttp import AiohttpServer
from structlog.contextvars import bound_contextvars

from proxy.errors import Refusal
from proxy.observe.logs import access, setup
from tests.captured import restored_logging

CANARY: Final = "CANARY-7f3a"
LIBRARIES: Final = [
    "aiohttp.server",
    "aiohttp.web",
    "aiohttp.access",
    "aiohttp.client",
    "asyncio",
    "pypdfium2",
    "multipart",
    "py.warnings",
    "sqlalchemy.engine",
    "never.heard.of",
]


class Lines(io.StringIO):
    """A stream whose JSON lines can be asked for."""

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    with restored_logging():
        yield


@pytest.fixture
def log() -> Lines:
    stream = Lines()
    setup(stream, pretty=False)
    return stream


def boom() -> None:
    raise ValueError(CANARY)


def caught(raising: Callable[[], None] = boom) -> Exception:
    try:
        raising()
    except Exception as error:  # noqa: BLE001  any of them is what is logged
        return error
    raise AssertionError("nothing was raised")


def test_an_event_is_one_json_line_with_time_and_level(log: Lines) -> None:
    structlog.get_logger().info("started", listen=["127.0.0.1:8080"], port=8080)
    [event] = log.events()
    assert datetime.fromisoformat(event.pop("timestamp")).utcoffset() == timedelta(0)
    assert event == {"event": "started", "level": "info", "listen": ["127.0.0.1:8080"], "port": 8080}


def test_every_line_carries_the_request_id_of_its_context(log: Lines) -> None:
    with bound_contextvars(request_id="r-1"):
        structlog.get_logger().info("ours")
        logging.getLogger("asyncio").error("theirs")
    assert [event["request_id"] for event in log.events()] == ["r-1", "r-1"]


@pytest.mark.parametrize(("level", "heard"), [("debug", 2), ("info", 1), ("error", 0)])
def test_the_level_counts_for_the_package(level: Any, heard: int) -> None:
    log = Lines()
    setup(log, pretty=False, level=level)
    structlog.get_logger().debug("detail")
    structlog.get_logger().info("news")
    assert len(log.events()) == heard


def test_libraries_are_heard_from_warning_upwards(log: Lines) -> None:
    logging.getLogger("asyncio").info("chatter")
    logging.getLogger("asyncio").warning("trouble")
    assert [event["level"] for event in log.events()] == ["warning"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_logs_G10_a_librarys_message_is_told_by_place_alone(name: str, log: Lines) -> None:
    logging.getLogger(name).error(f"bad line {CANARY} in %s", CANARY, exc_info=caught(), stack_info=True)
    [event] = log.events()
    assert CANARY not in log.getvalue()
    assert (event["event"], event["logger"]) == ("library_message", name)
    assert event["at"].startswith("test_logs:")
    assert [each["type"] for each in event["raised"]] == ["builtins.ValueError"]


def test_logs_G10_a_librarys_message_that_does_not_fit_its_arguments_is_told_as_well(log: Lines) -> None:
    logging.getLogger("aiohttp.server").error(f"{CANARY} %d", CANARY)
    assert [event["event"] for event in log.events()] == ["library_message"]
    assert CANARY not in log.getvalue()


def test_logs_G10_an_exception_is_told_by_type_and_frames(log: Lines) -> None:
    def rewrapped() -> None:
        try:
            boom()
        except ValueError as error:
            raise RuntimeError(CANARY) from error

    structlog.get_logger().error("failed", exc_info=caught(rewrapped))
    [event] = log.events()
    assert CANARY not in log.getvalue()
    assert [each["type"] for each in event["raised"]] == ["builtins.RuntimeError", "builtins.ValueError"]
    modules = [[frame.split(":")[0] for frame in each["frames"]] for each in event["raised"]]
    assert modules == [[__name__, __name__], [__name__, __name__]]


def test_logs_G10_every_member_of_a_group_is_told_without_its_text(log: Lines) -> None:
    group = ExceptionGroup(CANARY, [ValueError(CANARY), ExceptionGroup(CANARY, [KeyError(CANARY)])])
    structlog.get_logger().error("failed", exc_info=group)
    [event] = log.events()
    assert CANARY not in log.getvalue()
    assert [each["type"].removeprefix("builtins.") for each in event["raised"]] == [
        "ExceptionGroup",
        "ValueError",
        "ExceptionGroup",
        "KeyError",
    ]


def test_a_chain_that_bites_its_tail_ends(log: Lines) -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger().error("failed", exc_info=first)
    assert len(log.events()[0]["raised"]) == 2


def test_a_refusal_is_told_with_its_kind_and_cause(log: Lines) -> None:
    try:
        raise Refusal("too_large", "body-limit")
    except Refusal:
        structlog.get_logger().exception("refused")
    [failure] = log.events()[0]["raised"]
    assert (failure["kind"], failure["cause"]) == ("too_large", "body-limit")


@pytest.mark.parametrize("value", [ValueError(CANARY), CANARY.encode(), {"a": CANARY}, [object(), {CANARY}]])
def test_logs_G10_an_object_handed_over_by_mistake_shows_its_type(value: object, log: Lines) -> None:
    structlog.get_logger().info("event", value=value)
    assert CANARY not in log.getvalue()
    assert log.events()[0]["event"] == "event"


def test_logs_G10_a_warning_is_told_by_category_and_place(log: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        setup(log, pretty=False)  # pytest records warnings by the hook that setup takes
        warnings.warn(f"malformed {CANARY}", BytesWarning, stacklevel=1)
    [event] = log.events()
    assert CANARY not in log.getvalue()
    assert (event["event"], event["category"]) == ("python_warning", "BytesWarning")
    assert event["at"].startswith("test_logs:")


def test_logs_G10_what_nobody_caught_is_told_without_its_text(log: Lines) -> None:
    error = caught()
    sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=boom)
    thread.start()
    thread.join(10)
    assert [event["event"] for event in log.events()] == ["uncaught_exception"] * 2
    assert CANARY not in log.getvalue()


async def test_logs_G10_a_task_that_failed_unseen_is_told_without_its_text(log: Lines) -> None:
    async def fail() -> None:
        boom()

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    del task
    gc.collect()
    [event] = log.events()
    assert (event["logger"], event["raised"][0]["type"]) == ("asyncio", "builtins.ValueError")
    assert CANARY not in log.getvalue()


@pytest.mark.parametrize(
    "request_head",
    [
        f"GET / HTTP/1.1\r\nAPI_KEY: {CANARY}\x00\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nAPI_KEY: {CANARY}{'k' * 9000}\r\n\r\n",
        f"GET /{CANARY} HTTP/9\r\n\r\n",
        f"GET /fail?{CANARY} HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_logs_G10_aiohttps_own_complaints_carry_nothing_of_the_request(
    request_head: str, log: Lines, aiohttp_server: AiohttpServer
) -> None:
    """Provokes aiohttp's own message, which quotes the line that it could not read (TRAPS 13)."""

    async def fail(request: web.Request) -> web.Response:
        raise ValueError(request.query_string)

    app = web.Application()
    app.router.add_get("/fail", fail)
    server = await aiohttp_server(app, access_log=logging.getLogger("aiohttp.access"))
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request_head.encode("latin-1"))
    await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    assert "library_message" in {event["event"] for event in log.events()}
    assert CANARY not in log.getvalue()


def test_a_log_that_cannot_be_written_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    setup(stream, pretty=False)
    stream.close()
    structlog.get_logger().info("lost")
    logging.getLogger("asyncio").error(CANARY)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_an_event_is_for_people() -> None:
    stream = io.StringIO()
    setup(stream, pretty=True)
    structlog.get_logger().error("failed", exc_info=caught())
    assert not stream.getvalue().startswith("{")
    assert "builtins.ValueError" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_the_access_line_has_what_is_known(log: Lines) -> None:
    access(
        route="/michiQ/doc/{id}",
        method="GET",
        status=404,
        bytes_in=0,
        bytes_out=9,
        milliseconds=3,
        cause="unknown-id",
    )
    [event] = log.events()
    del event["timestamp"], event["level"]
    assert event == {
        "event": "request",
        "route": "/michiQ/doc/{id}",
        "method": "GET",
        "status": 404,
        "bytes_in": 0,
        "bytes_out": 9,
        "ms": 3,
        "cause": "unknown-id",
    }


def test_logs_G10_a_method_that_http_does_not_know_is_not_repeated(log: Lines) -> None:
    access(route="other", method=CANARY, status=405, bytes_in=0, bytes_out=0, milliseconds=1)
    assert log.events()[0]["method"] == "other"
