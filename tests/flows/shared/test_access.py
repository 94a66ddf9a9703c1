"""A case that is gone: its user may be gone, too."""

from dataclasses import replace

import pytest

from proxy.errors import Refusal
from proxy.flows.shared.access import own_case
from proxy.values import Caller
from tests.conftest import Api
from tests.flows._client import patient
from tests.rollout._inbound import inbound


@pytest.mark.parametrize(
    ("is_erased", "kind", "cause"),
    [(False, "unknown_id", "unknown-id"), (True, "unauthorized", "session-gone")],
)
async def test_G04_a_caller_who_was_erased_meanwhile_is_unauthorized(
    api: Api, is_erased: bool, kind: str, cause: str
) -> None:
    user, deps = await patient(api), api.proxy.deps
    session = await deps.store.sessions.get(user.token)
    assert session is not None
    token = "gone" if is_erased else user.token
    asked = replace(inbound({}, legacy_id="no-case"), caller=Caller(token, session=session))
    with pytest.raises(Refusal) as refused:
        await own_case(asked, session, deps)
    assert (refused.value.kind, refused.value.cause) == (kind, cause)
