"""Makes the sandbox's LlamaChat notice two questions of one conversation at once."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from unittest import mock

from aiohttp import web

from proxy.sandbox import llamachat


@dataclass
class Listener:
    """`overlaps` has a sentence for each question that came while another one was being answered."""

    random: Random
    overlaps: list[str] = field(default_factory=list)
    questions: int = 0
    _inside: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Replaces the answer to a message, in each sandbox that starts while the block runs."""
        plain = llamachat.send_message

        async def send(request: web.Request) -> web.Response:
            conversation = request.match_info["id"]
            self.questions += 1
            self._inside[conversation] += 1
            if self._inside[conversation] > 1:
                self.overlaps.append(f"two questions at once in conversation {conversation}")
            try:
                await asyncio.sleep(self.random.uniform(0.02, 0.4))
                return await plain(request)
            finally:
                self._inside[conversation] -= 1

        with mock.patch.object(llamachat, "send_message", send):
            yield
