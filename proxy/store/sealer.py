"""Seals what is stored, and makes the keyed hashes that things are found by (DESIGN "State")."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Connection, insert, select, update

from proxy.store.database import Database
from proxy.store.errors import StoreError
from proxy.store.tables import meta
from proxy.values import Json, folded_id, folded_mail

_PEPPER: Final = "pepper"
_PEPPER_BYTES: Final = 32
_FINGERPRINT: Final = 12  # hex digits
_SURROGATES: Final = "surrogatepass"  # text taken from a PDF may hold lone ones


class Sealer:
    """Encryption by MICHIQ_SECRET_KEYS (the newest first: it seals, all of them open), hashes by the pepper.

    The pepper outlives the keys, so that hashes stay the same when keys change. `fingerprints` tell keys
    apart, in the same order; nothing of a key can be learnt from one.
    """

    def __init__(self, keys: Sequence[str], pepper: bytes) -> None:
        self._fernet = _fernet(keys)
        self._newest = _fernet(keys[:1])
        self._pepper = pepper
        self.fingerprints = tuple(self.digest("key", key)[:_FINGERPRINT] for key in keys)

    def seal(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain)

    def open(self, sealed: bytes) -> bytes:
        """StoreError when none of the keys opens it."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise StoreError("a stored value opens with none of the keys in MICHIQ_SECRET_KEYS") from error

    def renewed(self, sealed: bytes) -> bytes | None:
        """The value under the newest key; None when it is under that one already. StoreError as `open`."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return self.seal(self.open(sealed))
        return None

    def seal_text(self, text: str) -> bytes:
        return self.seal(text.encode("utf-8", _SURROGATES))

    def open_text(self, sealed: bytes) -> str:
        return self.open(sealed).decode("utf-8", _SURROGATES)

    def seal_json(self, value: Json) -> bytes:
        return self.seal_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def open_json(self, sealed: bytes) -> Any:
        """The value as `seal_json` got it; its shape is the caller's own."""
        return json.loads(self.open_text(sealed))

    def digest(self, *parts: str) -> str:
        """HMAC-SHA256 (64 hex digits) over the parts, each after its length: no two lists collide."""
        mac = hmac.new(self._pepper, digestmod=hashlib.sha256)
        for part in parts:
            raw = part.encode("utf-8", _SURROGATES)
            mac.update(len(raw).to_bytes(8, "big") + raw)
        return mac.hexdigest()

    def renew_pepper(self, conn: Connection) -> None:
        """Seals the pepper, on which all hashes stand, with the newest key."""
        sealed = self.seal(self._pepper)
        conn.execute(update(meta).where(meta.c.name == _PEPPER).values(value=sealed))

    def owner(self, user: str, organization: str) -> str:
        """Under which everything of this user in this organization is stored (CONTRACT N06)."""
        return self.digest("owner", folded_mail(user), organization)

    def spelt_owner(self, user: str, organization: str) -> str:
        """Under which it was, in releases that took a user as they were spelt."""
        return self.digest("owner", user, organization)

    def case(self, case_id: str) -> str:
        """What stands for the case in the audit, which outlives it."""
        return self.digest("case", folded_id(case_id))

    def case_hashes(self, case_id: str) -> tuple[str, ...]:
        """What may stand for the case in the audit: releases before G03's folding took it as it was spelt."""
        return self.case(case_id), self.digest("case", case_id)


async def load_sealer(database: Database, keys: Sequence[str], *, renews: bool = True) -> Sealer:
    """The sealer of this database, whose pepper is made at first use; StoreError when the keys are not its.

    The pepper is sealed again, with the newest key, where `renews`: it is the one value that is kept for
    ever, and must still open when the old keys have gone. A command that only looks leaves it: a process
    that lacks the newest key must be able to start again.
    """
    fernet = _fernet(keys)

    def work(conn: Connection) -> bytes:
        where = meta.c.name == _PEPPER
        sealed = conn.execute(select(meta.c.value).where(where)).scalar_one_or_none()
        if sealed is None:
            pepper = secrets.token_bytes(_PEPPER_BYTES)
            conn.execute(insert(meta).values(name=_PEPPER, value=fernet.encrypt(pepper)))
            return pepper
        return _opened(fernet, sealed)

    sealer = Sealer(keys, await database.write(work))
    if renews:
        await database.write(sealer.renew_pepper)
    return sealer


def _fernet(keys: Sequence[str]) -> MultiFernet:
    if not keys:
        raise StoreError("MICHIQ_SECRET_KEYS: at least one key is needed")
    return MultiFernet([_key(number, key) for number, key in enumerate(keys, start=1)])


def _key(number: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as error:
        raise StoreError(f"MICHIQ_SECRET_KEYS: key {number} is not 32 bytes in url-safe base64") from error


def _opened(fernet: MultiFernet, sealed: bytes) -> bytes:
    try:
        return fernet.decrypt(sealed)
    except InvalidToken as error:
        raise StoreError(
            "MICHIQ_SECRET_KEYS: none of the keys opens this database; add the key it was made with"
        ) from error
