"""The state of the legacy michiQ server: its tokens, encounters and recordings; it identifies the caller."""

from typing import Final

from aiohttp import web

from proxy.sandbox import headers
from proxy.sandbox.answers import Refused, text_answer
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.michiq_records import Encounter, Owner, Recording
from proxy.sandbox.service import Service, note
from proxy.sandbox.tokens import BadToken, Claims, Tokens

UNAUTHORIZED: Final = "Unauthorized"
BAD_TOKEN: Final = "Authorization token missing or invalid"  # noqa: S105 - the document's wording
WRONG_METHOD: Final = "Método no permitido"


class Michiq(Service):
    """The state of the sandbox's legacy server, with `recordings` by owner and legacy id."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(_refuse)
        self.config = config
        self.encounters: dict[str, Encounter] = {}  # by id, oldest first
        self.recordings: dict[tuple[Owner, str], list[Recording]] = {}
        self.lies: set[str] = set()  # names of proxy.sandbox.lies
        self._tokens = Tokens(config, "michiq")

    def identified(self, request: web.Request) -> Owner:
        """Returns the owner that the identity headers name (michiq-legacy, newCase).

        Raises Refused 401 (CONTRACT N03, N04).
        """
        key = _identity(request, "API_KEY")
        user, organization = _identity(request, "user_mail"), _identity(request, "organization")
        if key not in self.config.api_keys or user is None or organization is None:
            raise Refused(401, UNAUTHORIZED)
        note(request, user=user, organization=organization)
        return Owner(user, organization)

    def session(self, request: web.Request, owner: Owner) -> str:
        """Returns the caller's token: the one given, when it is `owner`'s, else a new one (CONTRACT N07).

        Raises Refused 401 when the given token is another owner's or not valid.
        """
        if headers.no_token(request):
            return self._tokens.issue(Claims(owner.user, owner.user, owner.organization))
        if self.authorized(request, UNAUTHORIZED) != owner:
            raise Refused(401, UNAUTHORIZED)
        return str(headers.bearer(request))

    def authorized(self, request: web.Request, text: str = BAD_TOKEN) -> Owner:
        """Returns the owner of the call's valid token. Raises Refused 401 with `text` (CONTRACT G04)."""
        try:
            claims = self._tokens.check(headers.bearer(request) or "")
        except BadToken:
            raise Refused(401, text) from None
        note(request, user=claims.email, organization=claims.organization)
        return Owner(claims.email, claims.organization)

    def own(self, encounter_id: str, owner: Owner) -> Encounter | None:
        """Returns the encounter of that id, or None when it is missing or not `owner`'s."""
        encounter = self.encounters.get(encounter_id)
        return encounter if encounter is not None and encounter.owner == owner else None

    def close(self) -> None:
        for recordings in self.recordings.values():
            for recording in recordings:
                recording.file.close()


MICHIQ: Final = web.AppKey("michiq", Michiq)


def _refuse(status: int, text: str) -> web.Response:
    return text_answer(WRONG_METHOD if status == 405 else text, status)


def _identity(request: web.Request, name: str) -> str | None:
    """Returns an identity header, which may be spelt with `-` for `_`.

    Raises Refused 400 when the two spellings have different values.
    """
    values = {headers.text(request, spelling) for spelling in (name, name.replace("_", "-"))} - {None}
    if len(values) > 1:
        raise Refused(400, f"Cabecera repetida: {name}")
    return next(iter(values), None)
