"""Dry runs: the calls of a flow are checked against the new systems' descriptions, and never sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final, TypeAlias

import jwt

from proxy import jsons
from proxy.concurrency.locks import KeyedLocks
from proxy.concurrency.tasks import Tasks
from proxy.errors import UpstreamError
from proxy.flows.deps import Deps, Effects
from proxy.flows.shared.confirmed_callers import ConfirmedCallers
from proxy.flows.shared.offload import of_json
from proxy.isolated.pool import IsolatedPool
from proxy.rollout.shadow.dry_store import dry_store
from proxy.rollout.shadow.openapi.description import Description, Descriptions
from proxy.rollout.shadow.openapi.sent_form import ReadJson
from proxy.upstream.call import Call, M
from proxy.values import Json

# The answer to a dry call, by method and path; made anew each time.
Answers: TypeAlias = Mapping[tuple[str, str], Callable[[], Json]]

_TOKEN_LIFE: Final = timedelta(hours=1)
# An ehr has a client's form, and is one level down.
_load: Final = partial(jsons.load, rules=jsons.RECORD, max_depth=jsons.MAX_DEPTH + 1)


@dataclass(frozen=True, slots=True)
class DryRun:
    """One dry run of a flow, with `deps`; `failures` are codes of the rules that its calls broke."""

    deps: Deps
    failures: list[str] = field(default_factory=list)

    async def finish(self, seconds: float) -> None:
        """Waits for the tasks that the flow left running: only then is `failures` complete."""
        await self.deps.tasks.drain(seconds)


def dry_deps(deps: Deps, descriptions: Descriptions) -> DryRun:
    """Returns a Deps that sends and writes nothing, and shares no lock, task or caller with real requests."""
    failures: list[str] = []
    read_json = partial(_read_json, deps.workers)
    platform = DryUpstream(descriptions.llamalitica, platform_answers(deps.effects), read_json, failures)
    chat = DryUpstream(descriptions.llamachat, chat_answers(deps.effects.new_id), read_json, failures)
    real = deps.upstreams
    upstreams = replace(
        real,
        llamalitica=real.llamalitica.over(platform),
        llamachat=real.llamachat and real.llamachat.over(chat),
    )
    dry = replace(
        deps,
        store=dry_store(deps.store),
        upstreams=upstreams,
        tasks=Tasks(),
        locks=KeyedLocks(),
        confirmed_callers=ConfirmedCallers(),
    )
    return DryRun(dry, failures)


class DryUpstream:
    """A fake Upstream (`call.Fetches`): checks and answers each call here, and sends nothing.

    A call that breaks the description is answered all the same, so that a run finds every fault.
    """

    def __init__(
        self, description: Description, answers: Answers, read_json: ReadJson, failures: list[str]
    ) -> None:
        self._description = description
        self._answers = answers
        self._read_json = read_json
        self._failures = failures

    async def fetch(self, call: Call, model: type[M]) -> M:
        """Returns a documented answer. Raises UpstreamError for a call that has none."""
        found = await self._description.faults(call, self._read_json)
        self._failures += [code for code in found if code not in self._failures]
        make = self._answers.get((call.method, call.path))
        if make is None:
            raise UpstreamError("upstream_failed", f"{self._description.name}-undocumented", arrived=True)
        return model.model_validate(make(), strict=True)


def platform_answers(effects: Effects) -> Answers:
    def me() -> Json:
        expires = effects.clock() + _TOKEN_LIFE
        # The token is unsigned, so that no page accepts it as a real one.
        token = jwt.encode({"exp": expires, "jti": effects.new_id()}, "", algorithm="none")
        return {
            "user": {
                "accessToken": token,
                "id": effects.new_id(),
                "email": "dry@run.invalid",
                "name": "",
                "organization": {"id": effects.new_id(), "name": "", "settings": {}},
                "specialities": [],
                "agents": [],
            }
        }

    def create_case() -> Json:
        return {
            "caseId": effects.new_id(),
            "patientId": effects.new_id(),
            "title": "",
            "createdAt": effects.clock().isoformat(),
            "files": [],
        }

    return {("GET", "/api/users/me"): me, ("POST", "/api/cases"): create_case}


def chat_answers(new_id: Callable[[], str]) -> Answers:
    return {
        ("POST", "/api/conversations"): lambda: {"id": new_id(), "title": ""},
        ("POST", "/api/conversations/{id}/messages"): lambda: {"role": "assistant", "content": ""},
        ("POST", "/api/transcription"): lambda: {"text": ""},
    }


async def _read_json(workers: IsolatedPool, data: bytes) -> Json:
    return await of_json(workers, len(data), _load, data)
