"""The systems that the proxy calls, opened and closed together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from proxy.upstream.call import OnCall
from proxy.upstream.client import open_upstream
from proxy.upstream.form import Randomness
from proxy.upstream.llamachat import LlamaChat
from proxy.upstream.llamalitica import Llamalitica


@dataclass(frozen=True, slots=True)
class Upstreams:
    """`llamachat` is None where the operator configured none."""

    llamalitica: Llamalitica
    llamachat: LlamaChat | None


@asynccontextmanager
async def open_upstreams(
    *, llamalitica_url: str, llamachat_url: str | None, randomness: Randomness, on_call: OnCall
) -> AsyncIterator[Upstreams]:
    """Each upstream with a session of its own; the URLs may have a path, and were checked by the settings."""
    async with AsyncExitStack() as sessions:
        llamalitica = await sessions.enter_async_context(
            open_upstream("llamalitica", llamalitica_url, on_call)
        )
        llamachat = None
        if llamachat_url is not None:
            llamachat = await sessions.enter_async_context(open_upstream("llamachat", llamachat_url, on_call))
        yield Upstreams(
            Llamalitica(llamalitica, randomness),
            None if llamachat is None else LlamaChat(llamachat, randomness),
        )
