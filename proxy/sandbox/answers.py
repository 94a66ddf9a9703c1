"""The answers of the sandbox apps: JSON, plain text, and the exception that ends a call."""

from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from proxy.jsons import dump
from proxy.values import Json

Refuse: TypeAlias = Callable[[int, str], web.Response]


class Refused(Exception):
    """Ends a call with `status`; the app that serves it gives `text` its documented shape."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


class BadBody(Refused):
    """The request's body can't be taken: 400 broken, 408 too slow, 413 too large, 415 encoded."""


def json_answer(value: Json, status: int = 200) -> web.Response:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return web.Response(status=status, body=dump(value), headers=headers)


def text_answer(text: str, status: int = 200) -> web.Response:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return web.Response(status=status, body=text.encode(), headers=headers)
