"""The owners of words: canaries, tokens, ids and mails, found in answers in any encoding."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.sandbox.config import AGENTS

KINDS: Final = ("name", "text", "filename", "file", "question", "audio", "cookie")
# Letters and digits only, so that no encoding but base64 and hex can change them.
_CANARY: Final = rb"zq[a-z]{4,8}[0-9a-f]{12}zq"
_MAIL: Final = rb"user[0-9]+@clinica\.example"
_UUID: Final = rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_JWT: Final = rb"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"
_WORD: Final = re.compile(rb"|".join((_CANARY, _MAIL, _UUID, _JWT)))
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_HEX: Final = re.compile(rb"(?:[0-9a-f]{2}){16,}")
# Inside of a token: an organization's, so that of all of its users.
_ORGANIZATION: Final = re.compile(rb'"org":"[^"]*"')
# Everybody's.
_SHARED: Final = frozenset(agent.id for agent in AGENTS)


def canaries(random: Random) -> dict[str, str]:
    """A word of each kind that nobody else has."""
    return {kind: f"zq{kind}{random.randbytes(6).hex()}zq" for kind in KINDS}


@dataclass
class Belongings:
    """The owner of each word: the user whom it was made for, else the first one who got it."""

    owners: dict[str, str] = field(default_factory=dict)
    seen: int = 0

    def give(self, mail: str, *words: str) -> None:
        for word in words:
            assert self.owners.setdefault(word, mail) == mail, "two users with one word"

    def foreign(self, mail: str, told: bytes) -> list[str]:
        """Returns the words in this user's answer that are somebody else's; new ones become theirs."""
        wrong = []
        for word in set(words(told)):
            self.seen += 1
            if self.owners.setdefault(word, mail) != mail:
                wrong.append(word)
        return wrong


def words(raw: bytes) -> Iterator[str]:
    for form in forms(raw):
        own = _ORGANIZATION.sub(b"", form)
        yield from (word for found in _WORD.findall(own) if (word := found.decode()) not in _SHARED)


def forms(raw: bytes) -> Iterator[bytes]:
    """Yields the bytes as they are, without URL escapes, and decoded from the base64 and hex in them."""
    bare = unquote_to_bytes(raw)
    yield raw
    yield bare
    for run in _BASE64.findall(bare):
        try:
            yield base64.b64decode(run + b"=" * (-len(run) % 4), altchars=b"-_" if b"-" in run else None)
        except binascii.Error:
            continue
    yield from (bytes.fromhex(run.decode()) for run in _HEX.findall(bare))
