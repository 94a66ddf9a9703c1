"""The registry of all flows, by name."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from proxy.flows import doc, encounter_page, encounters, upload_audio
from proxy.flows.deps import Deps
from proxy.flows.new_case import flow as new_case
from proxy.flows.query import flow as query
from proxy.flows.speech_to_text import flow as speech_to_text
from proxy.mapping.table import FlowSpec, Route
from proxy.values import Answer, Inbound

Run: TypeAlias = Callable[[Inbound, Route[Any], Deps], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow's declaration and its coroutine."""

    spec: FlowSpec
    run: Run


FLOWS: Final[Mapping[str, Flow]] = {
    module.SPEC.name: Flow(module.SPEC, module.run)
    for module in (new_case, doc, encounters, query, upload_audio, speech_to_text, encounter_page)
}
SPECS: Final = tuple(flow.spec for flow in FLOWS.values())
