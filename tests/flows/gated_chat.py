"""A LlamaChat that answers only when it is let, and sees who speaks at the same time."""

import asyncio
from collections import Counter

from aiohttp import web
from pytest_aiohttp import AiohttpServer


class GatedChat:
    """`open_gate` lets answers out; `most` is how many messages of one conversation it ever had at once."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.waiting = asyncio.Event()
        self.conversations = 0
        self.messages: list[str] = []
        self.most = 0
        self._inside: Counter[str] = Counter()

    async def start(self, _: web.Request) -> web.Response:
        self.conversations += 1
        # Gives way, so that a second one could come in between.
        await asyncio.sleep(0)
        return web.json_response({"id": f"conversation-{self.conversations}", "title": "New Conversation"})

    async def send(self, request: web.Request) -> web.Response:
        conversation = request.match_info["id"]
        self.messages.append((await request.json())["content"])
        self._inside[conversation] += 1
        self.most = max(self.most, self._inside[conversation])
        self.waiting.set()
        async with asyncio.timeout(30):
            await self.gate.wait()
        self._inside[conversation] -= 1
        return web.json_response({"role": "assistant", "content": f"respuesta {len(self.messages)}"})


async def gated_chat(aiohttp_server: AiohttpServer) -> tuple[GatedChat, str]:
    """Returns a running chat and its address."""
    chat = GatedChat()
    app = web.Application()
    app.router.add_post("/api/conversations", chat.start)
    app.router.add_post("/api/conversations/{id}/messages", chat.send)
    server = await aiohttp_server(app)
    return chat, str(server.make_url("")).rstrip("/")
