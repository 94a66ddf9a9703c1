"""Removes all that is kept of a case or of a user, on demand, with a row in the audit."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.store.audit import Audit, AuditEvent
from proxy.store.blobs import Blobs
from proxy.store.database import Database
from proxy.store.erasing import OfCase, OfUser, Part, Whose, parts_of
from proxy.store.sealer import Sealer
from proxy.store.sessions import delete_unused_keys
from proxy.store.tables import chunks, recordings

__all__ = ["Erasure", "OfCase", "OfUser", "Removed", "Whose"]

# How many rows of each kind, by a word for the kind.
Removed: TypeAlias = Mapping[str, int]

_ACTIONS = {OfCase: "case_erased", OfUser: "user_erased"}
...
