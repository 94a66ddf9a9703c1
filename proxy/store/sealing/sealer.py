"""Seals stored values, and makes the keyed hashes by which rows are found (DESIGN "State")."""

import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection, insert, select, update

from proxy.store.copy_note import COPY_NOTE, UNFINISHED_COPY
from proxy.store.errors import StoreError
from proxy.store.sealing import fernet
from proxy.store.sealing.contexts import Context, named_context
from proxy.store.sealing.keyring import Keyring
from proxy.store.sql.database import Database, Turn, runs_again
from proxy.store.sql.tables import meta
from proxy.values import Json, folded_id, folded_mail

_PEPPER: Final = named_context(fernet.PEPPER)
_OF_PEPPER: Final = meta.c.name == fernet.PEPPER
_STORED_PEPPER: Final = select(meta.c.value).where(_OF_PEPPER)
_PEPPER_AND_COPY: Final = select(meta.c.name, meta.c.value).where(meta.c.name.in_((fernet.PEPPER, COPY_NOTE)))
PEPPER_TURN: Final[Turn] = ("pepper",)
_PEPPER_BYTES: Final = 32
_FINGERPRINT: Final = 12  # hex digits
_SHORT: Final = 16  # hex digits
_SHOWN: Final = 12  # hex digits
_SURROGATES: Final = "surrogatepass"  # text from a PDF may hold lone surrogates


class Sealer:
    """Encryption by MICHIQ_SECRET_KEYS (newest first: the newest seals, all open), hashes by the pepper.

    The pepper outlives the keys, so that hashes stay the same when keys change. `fingerprints` identify the
    keys, in the same order; a fingerprint reveals nothing of its key. A value opens only in the context that
    it was sealed for. While the store `takes_fernet`, a value of Fernet's opens in any context.
    """

    def __init__(self, keys: Sequence[str], pepper: bytes, *, takes_fernet: bool = False) -> None:
        self._keyring = Keyring(keys, takes_fernet=takes_fernet)
        self._pepper = pepper
        self.fingerprints = tuple(self.digest("key", key)[:_FINGERPRINT] for key in keys)

    def seal(self, plain: bytes, context: Context) -> bytes:
        return self._keyring.seal(plain, context)

    def open(self, sealed: bytes, context: Context) -> bytes:
        """Returns the bytes that were sealed. Raises StoreError when no key opens them in this context."""
        return self._keyring.open(sealed, context)

    def renewed(self, sealed: bytes, context: Context) -> bytes | None:
        """Returns the value under the newest key, in this release's form; None when it is so already.

        Raises the StoreError of `open`.
        """
        plain = self.open(sealed, context)
        return None if self._keyring.is_newest(sealed) else self.seal(plain, context)

    def moved(self, sealed: bytes, old: Context, new: Context) -> bytes:
        """Returns the value sealed for another context, for a row whose natural key changes.

        Raises the StoreError of `open`.
        """
        return self.seal(self.open(sealed, old), new)

    @property
    def takes_fernet(self) -> bool:
        """Returns whether values of earlier releases still open."""
        return self._keyring.takes_fernet

    def refuse_fernet(self) -> None:
        """Makes the sealer open no value of an earlier release any more."""
        self._keyring.refuse_fernet()

    def seal_text(self, text: str, context: Context) -> bytes:
        return self.seal(text.encode("utf-8", _SURROGATES), context)

    def open_text(self, sealed: bytes, context: Context) -> str:
        return self.open(sealed, context).decode("utf-8", _SURROGATES)

    def seal_json(self, value: Json, context: Context) -> bytes:
        return self.seal(_json(value), context)

    def open_json(self, sealed: bytes, context: Context) -> Any:
        """Returns the value that `seal_json` got; the caller knows its shape."""
        # Not by orjson, which reads an integer beyond 64 bits as a float.
        return json.loads(self.open_text(sealed, context))

    def digest(self, *parts: str) -> str:
        """Returns the HMAC-SHA256 (64 hex digits) of the parts, each after its length: no lists collide."""
        counted: list[bytes] = []
        for part in parts:
            raw = part.encode("utf-8", _SURROGATES)
            counted += (len(raw).to_bytes(8, "big"), raw)
        return hmac.digest(self._pepper, b"".join(counted), "sha256").hex()

    def renew_pepper(self, conn: Connection) -> None:
        """Seals the pepper, the key of all hashes, under the newest key, unless it is so already."""
        if not self.has_newest_pepper(conn):
            sealed = self.seal(self._pepper, _PEPPER)
            conn.execute(update(meta).where(_OF_PEPPER).values(value=sealed))

    def has_newest_pepper(self, conn: Connection) -> bool:
        """Returns whether the stored pepper is under the newest key."""
        return self._keyring.is_newest(conn.execute(_STORED_PEPPER).scalar_one())

    def owner(self, user: str, organization: str) -> str:
        """Returns the hash under which all of this user in this organization is stored (CONTRACT N06)."""
        return self.digest("owner", folded_mail(user), organization)

    def spelt_owner(self, user: str, organization: str) -> str:
        """Returns the owner's hash of the releases that did not fold the user's spelling."""
        return self.digest("owner", user, organization)

    def organization(self, name: str) -> str:
        """Returns the hash of an organization's legacy name, for all columns that are not sealed."""
        return self.digest("organization", name)

    def case(self, case_id: str) -> str:
        """Returns the hash of the case in the audit, which outlives the case."""
        return self.digest("case", folded_id(case_id))

    def case_hashes(self, case_id: str) -> tuple[str, ...]:
        """Returns the case's hashes that the audit may have: before G03's folding, of its spelling too."""
        return self.case(case_id), self.digest("case", case_id)


def short_hash(digest: str) -> str:
    """Returns the digits by which logs and request traces identify users and organizations.

    An erase finds a user's traces by the same digits.
    """
    return digest[:_SHORT]


def shown_hash(digest: str) -> str:
    """Returns the digits by which commands identify keys, users and organizations: few, for human readers."""
    return digest[:_SHOWN]


async def load_sealer(database: Database, keys: Sequence[str], *, renews: bool = True) -> Sealer:
    """Returns the sealer of this database; at first use it makes the database's pepper.

    If `renews`, the pepper is sealed again under the newest key: it is the only value that stays for ever,
    and it must still open when the old keys have gone. A command that only reads does not renew it, so that a
    process without the newest key can start again. Raises StoreError when none of the keys opens the pepper,
    and for a copy that is not finished.
    """

    def work(conn: Connection) -> Sealer:
        stored = {row.name: row.value for row in conn.execute(_PEPPER_AND_COPY)}
        if COPY_NOTE in stored:
            raise StoreError(UNFINISHED_COPY)
        sealed = stored.get(fernet.PEPPER)
        return _first(conn, keys) if sealed is None else _sealer(conn, keys, sealed)

    # Of two first starts, one makes it.
    sealer = await database.write(work, turns=[PEPPER_TURN], found=runs_again)
    if renews and not await database.lookup(sealer.has_newest_pepper):
        await database.write(sealer.renew_pepper, found=runs_again)
    return sealer


def stored_pepper(conn: Connection) -> bytes | None:
    """Returns the pepper as it is stored, sealed; None before the store's first use."""
    return conn.execute(_STORED_PEPPER).scalar_one_or_none()


def existing_sealer(conn: Connection, keys: Sequence[str]) -> Sealer | None:
    """Returns the sealer of a store in use, by a unit of work that only reads; None before its first use.

    Raises StoreError when none of the keys opens the pepper.
    """
    sealed = stored_pepper(conn)
    return None if sealed is None else _sealer(conn, keys, sealed)


def _sealer(conn: Connection, keys: Sequence[str], sealed: bytes) -> Sealer:
    takes_fernet = not fernet.is_refused(conn)
    pepper = _opened(Keyring(keys, takes_fernet=takes_fernet), sealed)
    return Sealer(keys, pepper, takes_fernet=takes_fernet)


def _first(conn: Connection, keys: Sequence[str]) -> Sealer:
    sealer = Sealer(keys, secrets.token_bytes(_PEPPER_BYTES))
    conn.execute(insert(meta).values(name=fernet.PEPPER, value=b""))
    sealer.renew_pepper(conn)
    fernet.refuse(conn)
    return sealer


def _opened(keyring: Keyring, sealed: bytes) -> bytes:
    try:
        return keyring.open(sealed, _PEPPER)
    except StoreError as error:
        raise StoreError(
            "MICHIQ_SECRET_KEYS: none of the keys opens this database; add the key that it was made with"
        ) from error


def _json(value: Json) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # half of an emoji, or an integer beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", _SURROGATES)
