"""A worker's view of the other workers, through the channel to their parent."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from typing import Final

_SECONDS: Final = 1.0


class _Scrape:
    """The answers of one scrape so far. `whole` is set once there are all, or nobody is expected."""

    def __init__(self) -> None:
        self.whole = asyncio.Event()
        self.missing: set[str] = set()
        self.answers: dict[str, str] = {}

    def check(self) -> None:
        if self.missing <= self.answers.keys():
            self.whole.set()


class RemoteSiblings:
    """The other workers (`proxy.server.serving.Siblings`); `send` writes a message to the parent."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._numbers = count()
        self._scrapes: dict[int, _Scrape] = {}

    async def samples(self) -> Mapping[str, str]:
        number, scrape = next(self._numbers), _Scrape()
        self._scrapes[number] = scrape
        self._send(scrape=number)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS):
                    await scrape.whole.wait()
        finally:
            del self._scrapes[number]
        return scrape.answers

    def reload(self) -> None:
        self._send(do="reload")

    def roll(self) -> None:
        self._send(do="roll")

    def expect(self, number: int, names: Iterable[str]) -> None:
        """Notes whose samples will come for a scrape."""
        if (scrape := self._scrapes.get(number)) is not None:
            scrape.missing = {*names}
            scrape.check()

    def answer(self, number: int, name: str, samples: str) -> None:
        """Takes the samples of one worker; those that come too late are dropped."""
        if (scrape := self._scrapes.get(number)) is not None:
            scrape.answers[name] = samples
            scrape.check()
