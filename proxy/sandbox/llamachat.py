"""LlamaChat as its document describes it: strict, with answers quoted from the conversation."""

from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from proxy.sandbox import headers
from proxy.sandbox.answers import Refused, json_answer
from proxy.sandbox.bodies import read_object
from proxy.sandbox.config import SandboxConfig
from proxy.sandbox.extractive import reply
from proxy.sandbox.forms import read_form
from proxy.sandbox.service import Service, note
from proxy.sandbox.speech import HEAD, container, transcript

CONTENT_LIMIT: Final = 2000  # UTF-16 code units
AUDIO_LIMIT: Final = 100 * 1024 * 1024
FORM_OVERHEAD: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Conversation:
    """A consumer's conversation: the user's messages so far and the replies to them, oldest first."""

    id: str
    consumer: str
    messages: list[str] = field(default_factory=list, repr=False)
    replies: list[str] = field(default_factory=list, repr=False)


class LlamaChat(Service):
    """The state of the sandbox's LlamaChat."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(lambda status, text: json_answer({"error": text}, status))
        self.config = config
        self.conversations: dict[str, Conversation] = {}

    def consumer(self, request: web.Request) -> str:
        """Returns the name of the consumer whose key this call has. Raises Refused 401 without one."""
        key = headers.text(request, "X-Api-Key")
        name = next((name for name, known in self.config.chat_keys.items() if known == key), None)
        if name is None:
            raise Refused(401, "Missing or invalid API key")
        note(request, consumer=name)
        return name


LLAMACHAT: Final = web.AppKey("llamachat", LlamaChat)


def create_app(chat: LlamaChat) -> web.Application:
    app = chat.application(
        [
            web.post("/api/conversations", start_conversation),
            web.post("/api/conversations/{id}/messages", send_message),
            web.post("/api/transcription", transcribe),
        ]
    )
    app[LLAMACHAT] = chat
    return app


async def start_conversation(request: web.Request) -> web.Response:
    """Answers POST /api/conversations (llamachat, "Endpoints")."""
    chat = request.app[LLAMACHAT]
    made = Conversation(id=chat.config.random_bytes(12).hex(), consumer=chat.consumer(request))
    chat.conversations[made.id] = made
    return json_answer({"id": made.id, "title": "New Conversation"})


async def send_message(request: web.Request) -> web.Response:
    """Answers POST /api/conversations/{id}/messages: 1–2000 characters in, the best sentences so far out."""
    chat = request.app[LLAMACHAT]
    consumer = chat.consumer(request)
    conversation = chat.conversations.get(request.match_info["id"])
    if conversation is None or conversation.consumer != consumer:
        raise Refused(404, "Conversation not found")
    content = await _content(request)
    note(request, content=content)
    conversation.messages.append(content)
    answer = reply(conversation.messages)
    conversation.replies.append(answer)
    return json_answer({"role": "assistant", "content": answer})


async def _content(request: web.Request) -> str:
    if request.content_type != "application/json":
        raise Refused(400, "The request is not application/json")
    body = await read_object(request)
    content = body.get("content")
    if body.keys() != {"content"} or not isinstance(content, str):
        raise Refused(400, "The body must hold content, a string, and nothing else")
    if not content.strip() or len(content.encode("utf-16-le")) // 2 > CONTENT_LIMIT:
        raise Refused(400, f"content must have 1 to {CONTENT_LIMIT} characters")
    return content


async def transcribe(request: web.Request) -> web.Response:
    """Answers POST /api/transcription: one file `audio` of a known format and at most 100 MB."""
    chat = request.app[LLAMACHAT]
    chat.consumer(request)
    parts = await read_form(request, limit=AUDIO_LIMIT + FORM_OVERHEAD, keep=HEAD)
    note(request, parts=[part.summary() for part in parts])
    if [part.name for part in parts] != ["audio"] or not parts[0].filename:
        raise Refused(400, "The form must hold one file audio with a filename, and nothing else")
    audio = parts[0]
    if audio.size > AUDIO_LIMIT:
        raise Refused(413, "The audio is larger than 100 MB")
    if container(audio.body) is None:
        raise Refused(400, "The audio format is not supported")
    return json_answer({"text": transcript(audio.sha256, chat.config.transcripts)})
