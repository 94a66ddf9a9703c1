"""The client of LlamaChat: conversations about a case, and transcription (llamachat, "Endpoints")."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from proxy import jsons
from proxy.spool import Bytes
from proxy.upstream.call import ID_PATTERN, Budget, Call, Fetches, OutgoingBody
from proxy.upstream.form import Randomness, form
from proxy.upstream.http1.callers import hashed
from proxy.values import Content, OutgoingFile

_START: Final = Budget(total=15, connect=5, read=10)
_SEND: Final = Budget(total=120, connect=5, read=120)  # a language model needs time before its first byte
_TRANSCRIBE: Final = Budget(total=900, connect=5, read=600)  # 100 MB, hours of speech


class LlamaChat:
    """A client with three calls (CONTRACT X02). `api_key` is the organization's consumer key (Q07).

    The operator configures the key. `owner` is the user who calls: all users of an organization share its
    key, but each user has separate connections.
    """

    def __init__(self, upstream: Fetches, randomness: Randomness, owner: str | None = None) -> None:
        self._upstream = upstream
        self._randomness = randomness
        self._caller = None if owner is None else hashed([owner.encode()])

    def over(self, upstream: Fetches) -> "LlamaChat":
        """Returns the same client, but its calls go to `upstream`."""
        return LlamaChat(upstream, self._randomness)

    def of(self, owner: str) -> "LlamaChat":
        """Returns the same client, but its calls are the owner's."""
        return LlamaChat(self._upstream, self._randomness, owner)

    async def start(self, api_key: str) -> str:
        """Starts a conversation (POST /api/conversations) and returns its id. Raises UpstreamError."""
        call = Call("POST", "/api/conversations", _START, _headers(api_key), caller=self._caller)
        return (await self._upstream.fetch(call, _Conversation)).id

    async def send(self, api_key: str, conversation_id: str, content: str) -> str:
        """Sends a message of 1–2000 characters, and returns the reply.

        The call is POST /api/conversations/{id}/messages. Raises UpstreamError; its `status` is 404 for a
        conversation that LlamaChat does not have.
        """
        call = Call(
            "POST",
            "/api/conversations/{id}/messages",
            _SEND,
            _headers(api_key),
            id=conversation_id,
            body=OutgoingBody("application/json", Bytes(jsons.dump({"content": content}))),
            caller=self._caller,
        )
        return (await self._upstream.fetch(call, _Message)).content

    async def transcribe(self, api_key: str, filename: str, content_type: str, content: Content) -> str:
        """Returns the text of an audio file of at most 100 MB (POST /api/transcription).

        Raises UpstreamError.
        """
        audio = OutgoingFile(filename, content_type, content)
        call = Call(
            "POST",
            "/api/transcription",
            _TRANSCRIBE,
            _headers(api_key),
            body=form([("audio", audio)], self._randomness),
            caller=self._caller,
        )
        return (await self._upstream.fetch(call, _Transcription)).text


def _headers(api_key: str) -> dict[str, str]:
    return {"X-Api-Key": api_key}


class _Shape(BaseModel):
    """A documented answer; keys that are not in the document are ignored."""

    model_config = ConfigDict(frozen=True)


class _Conversation(_Shape):
    id: Annotated[str, Field(pattern=ID_PATTERN)]


class _Message(_Shape):
    content: str


class _Transcription(_Shape):
    text: str
