"""Seals bytes by AES-256-GCM under the keys of MICHIQ_SECRET_KEYS; opens Fernet of earlier releases too.

A sealed value is: 1 byte of format, 8 of key id, 16 of salt, 12 of nonce, then ciphertext and tag. Each
process seals under a subkey of its own, which HKDF-SHA256 (RFC 5869) derives from the key and the salt.

A key of GCM takes at most 2^32 random nonces of 96 bits (NIST SP 800-38D, section 8.3); a process changes its
subkey after 2^28 values. AES-GCM-SIV would tolerate a repeated nonce, but it takes four times as long, and
OpenSSL has it only since 3.2.
"""

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from proxy.store.errors import StoreError
from proxy.store.sealing.contexts import Context

FORMAT: Final = b"\x01"  # a Fernet token begins with another byte
_KEY_ID: Final = 8
_SALT: Final = 16
_NONCE: Final = 12
_HEADER: Final = len(FORMAT) + _KEY_ID + _SALT
_MOST_VALUES: Final = 2**28
_SUBKEYS: Final = 512  # in memory: each process that ever sealed has left values under its own subkey


@dataclass(frozen=True, slots=True)
class _Subkey:
    """The subkey of one process; `uses` ends when another subkey is due."""

    header: bytes
    cipher: AESGCM = field(repr=False)
    uses: Iterator[int] = field(repr=False)


class Keyring:
    """The keys, newest first: the newest one seals, all of them open.

    With `takes_fernet`, values of earlier releases open too; these are bound to no context.
    """

    def __init__(
        self,
        keys: Sequence[str],
        *,
        takes_fernet: bool,
        most_values: int = _MOST_VALUES,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        if not keys:
            raise StoreError("MICHIQ_SECRET_KEYS: at least one key is needed")
        self._fernet = MultiFernet([_fernet(number, key) for number, key in enumerate(keys, start=1)])
        self._takes_fernet = takes_fernet
        secrets = [base64.urlsafe_b64decode(key) for key in keys]
        ids = [_derived(secret, b"key id", _KEY_ID, salt=None) for secret in secrets]
        self._newest = FORMAT + ids[0]
        self._cipher = lru_cache(_SUBKEYS)(partial(_cipher, dict(zip(ids, secrets, strict=True))))
        self._most_values = most_values
        self._random = random
        self._subkey = self._new_subkey()

    def seal(self, plain: bytes, context: Context) -> bytes:
        """Returns the bytes sealed under the newest key; they open only in this context."""
        while next(self._subkey.uses, None) is None:  # one step of the interpreter: threads share it
            self._subkey = self._new_subkey()
        subkey, nonce = self._subkey, self._random(_NONCE)
        sealed = subkey.cipher.encrypt(nonce, plain, subkey.header + context)
        return subkey.header + nonce + sealed

    def open(self, sealed: bytes, context: Context) -> bytes:
        """Returns the bytes that were sealed. Raises StoreError when no key opens them in this context."""
        if not sealed.startswith(FORMAT):
            return self._open_fernet(sealed)
        header, rest = sealed[:_HEADER], memoryview(sealed)[_HEADER:]  # a text may be megabytes: no copy
        try:
            return self._cipher(header).decrypt(rest[:_NONCE], rest[_NONCE:], header + context)
        except (InvalidTag, ValueError) as error:
            raise StoreError("a stored value was changed, or moved from another row or column") from error

    def is_newest(self, sealed: bytes) -> bool:
        """Returns whether the value says that it is in this format and under the newest key."""
        return sealed.startswith(self._newest)

    @property
    def takes_fernet(self) -> bool:
        return self._takes_fernet

    def refuse_fernet(self) -> None:
        """Makes the ring open no value of an earlier release any more."""
        self._takes_fernet = False

    def _open_fernet(self, sealed: bytes) -> bytes:
        if not self._takes_fernet:
            raise StoreError("a stored value has the form of an earlier release; this store allows none now")
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise _no_key() from error

    def _new_subkey(self) -> _Subkey:
        header = self._newest + self._random(_SALT)
        return _Subkey(header, self._cipher(header), iter(range(self._most_values)))


def _cipher(secrets: Mapping[bytes, bytes], header: bytes) -> AESGCM:
    key_id, salt = header[len(FORMAT) :][:_KEY_ID], header[len(FORMAT) + _KEY_ID :]
    if key_id not in secrets:
        raise _no_key()
    return AESGCM(_derived(secrets[key_id], b"AES-256-GCM", 32, salt=salt))


def _derived(secret: bytes, purpose: bytes, length: int, *, salt: bytes | None) -> bytes:
    return HKDF(SHA256(), length, salt, b"michiq-proxy sealed value: " + purpose).derive(secret)


def _no_key() -> StoreError:
    return StoreError("a stored value opens with none of the keys in MICHIQ_SECRET_KEYS")


def _fernet(number: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as error:
        raise StoreError(f"MICHIQ_SECRET_KEYS: key {number} is not 32 bytes in url-safe base64") from error
