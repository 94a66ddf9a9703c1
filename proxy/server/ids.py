"""Makes random ids, many at a time: a call to the system for each id would cost more than the id."""

from collections.abc import Callable
from typing import Final

_AT_ONCE: Final = 256
_SIZE: Final = 16  # bytes


class RandomIds:
    """Gives UUIDs of version 4 (RFC 9562, section 5.4) as text. `randomness` is `os.urandom` or its like."""

    def __init__(self, randomness: Callable[[int], bytes]) -> None:
        self._randomness = randomness
        self._left: list[bytes] = []

    def __call__(self) -> str:
        while not self._left:
            random = self._randomness(_AT_ONCE * _SIZE)
            self._left += [random[at : at + _SIZE] for at in range(0, len(random), _SIZE)]
        return _as_uuid(self._left.pop())


def _as_uuid(random: bytes) -> str:
    text, variant = random.hex(), "89ab"[random[8] & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
