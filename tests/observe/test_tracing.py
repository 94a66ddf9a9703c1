"""Traces are made if the variables ask for them and they can be had; lost spans are counted."""

import json
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from proxy.observe.otlp import CountingSender
from proxy.observe.tracing import is_asked_for, open_tracing
from tests.captured import captured_log
from tests.conftest import ROOT

ADDRESS = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "michiq"}, False),
        (ADDRESS, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**ADDRESS, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ADDRESS, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**ADDRESS, "OTEL_SDK_DISABLED": "false"}, True),
    ],
)
def test_the_standard_variables_ask_for_traces(environ: Mapping[str, str], expected: bool) -> None:
    assert is_asked_for(environ) == expected


@pytest.mark.parametrize(
    ("environ", "hint"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER needs otlp or none"),
        (
            {**ADDRESS, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL needs http/protobuf",
        ),
        (
            {**ADDRESS, "OTEL_BSP_MAX_QUEUE_SIZE": "s3cr3t"},
            "an OTEL_* variable has a value that can't be used",
        ),
    ],
)
def test_what_can_not_be_had_is_a_warning_without_the_value(environ: Mapping[str, str], hint: str) -> None:
    with captured_log() as log:
        assert not open_tracing(environ).is_on
    line = json.loads(log.getvalue())
    assert (line["event"], line["hint"]) == ("traces_off", hint)
    assert "s3cr3t" not in log.getvalue()


class Collector(SpanExporter):
    """A sender whose answer a test chooses."""

    def __init__(self) -> None:
        self.result = SpanExportResult.FAILURE

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self.result

    def shutdown(self) -> None:
        pass


def lost(log: str) -> list[int]:
    return [json.loads(line)["spans"] for line in log.splitlines()]


def test_lost_spans_are_warned_of_once_a_minute() -> None:
    times = iter([0.0, 1.0, 59.0, 60.0, 61.0, 200.0, 201.0])
    sender = CountingSender(Collector(), lambda: next(times))
    with captured_log() as log:
        for _ in range(5):
            assert sender.takes(10)
            sender.export([ReadableSpan("a")])
        sender.end()
    assert lost(log.getvalue()) == [1, 3, 1]


def test_what_finds_no_room_is_lost_and_counted() -> None:
    sender = CountingSender(collector := Collector(), lambda: 0.0)
    collector.result = SpanExportResult.SUCCESS
    with captured_log() as log:
        assert [sender.takes(2) for _ in range(5)] == [True, True, False, False, False]
        sender.export([ReadableSpan("a"), ReadableSpan("b")])
        assert sender.takes(2)
        sender.end()
    assert lost(log.getvalue()) == [3, 1]


def test_only_one_module_imports_opentelemetry_and_only_one_imports_that() -> None:
    texts = {path.name: path.read_text("utf-8") for path in (ROOT / "proxy").rglob("*.py")}
    assert [name for name, text in texts.items() if "import opentelemetry" in text] == []
    assert [name for name, text in texts.items() if "from opentelemetry" in text] == ["otlp.py"]
    assert [name for name, text in texts.items() if "observe.otlp" in text] == ["tracing.py"]
