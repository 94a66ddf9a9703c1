"""Reads the id and the user's token of a new case from the legacy server's newCase answer."""

from dataclasses import dataclass, field

from proxy import jsons
from proxy.values import LEGACY_ID, Json
from proxy.web.legacy.plan import Passed


class TaughtNothing(Exception):
    """An answer without a case; `cause` is a short code, without data."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class MadeCase:
    """A case of the legacy server, from its answer of 200."""

    legacy_id: str
    token: str = field(repr=False)
    _body: bytes = field(repr=False)
    _value: dict[str, Json] = field(repr=False)

    def with_token(self, token: str) -> bytes:
        """Returns the answer's JSON with another token; the other bytes stay unchanged if possible."""
        changed = self._body.replace(jsons.dump(self.token), jsons.dump(token))
        # Some servers escape more than necessary, as PHP does with slashes.
        return changed if changed != self._body else jsons.dump({**self._value, "token": token})


def made_in(passed: Passed) -> MadeCase:
    """Returns the case of a newCase's answer. Raises TaughtNothing."""
    if passed.body is None:
        raise TaughtNothing(passed.unread or "no-body")
    try:
        made = jsons.load_object(passed.body, rules=jsons.ANSWER)
    except jsons.BadJson as error:
        raise TaughtNothing(f"body-{error.cause}") from None
    token, legacy_id = made.get("token"), made.get("michiq_uuid")
    if not isinstance(token, str) or not isinstance(legacy_id, str) or not LEGACY_ID.fullmatch(legacy_id):
        raise TaughtNothing("no-case")
    return MadeCase(legacy_id, token, passed.body, made)
