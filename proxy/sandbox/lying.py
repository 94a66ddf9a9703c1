"""Builders of the legacy server's lies: each changes an answer on its way out."""

import json
from collections.abc import Callable
from typing import TypeAlias

from aiohttp import web

from proxy.jsons import load
from proxy.sandbox.answers import json_answer, text_answer
from proxy.values import Json

Lie: TypeAlias = Callable[[web.Request, web.Response], web.Response | None]
Change: TypeAlias = Callable[[dict[str, Json]], dict[str, Json]]
Applies: TypeAlias = Callable[[web.Request], bool]


def _route(request: web.Request) -> str:
    """Returns the route as `newCase`, `doc`, …; `encounter` is the page."""
    return [*request.path.split("/"), "", ""][2]


def _always(_: web.Request) -> bool:
    return True


def on(route: str, status: int, lie: Lie, when: Applies = _always) -> Lie:
    """Returns `lie`, limited to answers of this route and status."""

    def limited(request: web.Request, answer: web.Response) -> web.Response | None:
        fits = _route(request) == route and answer.status == status and when(request)
        return lie(request, answer) if fits else None

    return limited


def of_json(route: str, change: Change) -> Lie:
    """Returns a lie that changes the object of a route's 200."""
    return on(route, 200, lambda _, answer: json_answer(change(_object(answer))))


def of_each(change: Change) -> Lie:
    """Returns a lie that changes every encounter of the list."""

    def lie(_: web.Request, answer: web.Response) -> web.Response:
        listed = load(_body(answer))
        assert isinstance(listed, list)
        return json_answer([change(each) for each in listed if isinstance(each, dict)])

    return on("encounters", 200, lie)


def instead(route: str, status: int, other: Callable[[], web.Response], when: Applies = _always) -> Lie:
    """Returns a lie that replaces an answer of this status by another."""
    return on(route, status, lambda *_: other(), when)


def retyped(route: str, content_type: str) -> Lie:
    """Returns a lie that gives a 200 another content type."""

    def lie(_: web.Request, answer: web.Response) -> web.Response:
        text = _body(answer).decode()
        charset = content_type.partition("charset=")[2] or "utf-8"
        return web.Response(body=text.encode(charset), headers={"Content-Type": content_type})

    return on(route, 200, lie)


def having(**values: Json) -> Change:
    return lambda value: value | values


def without(key: str) -> Change:
    return lambda value: {name: item for name, item in value.items() if name != key}


def renamed(old: str, new: str) -> Change:
    return lambda value: {new if name == old else name: item for name, item in value.items()}


def inside(key: str, change: Change) -> Change:
    def changed(value: dict[str, Json]) -> dict[str, Json]:
        inner = value[key]
        assert isinstance(inner, dict)
        return value | {key: change(inner)}

    return changed


def of_documents(change: Callable[[list[Json]], list[Json]]) -> Lie:
    """Returns a lie that changes the files of every encounter."""

    def changed(given: dict[str, Json]) -> dict[str, Json]:
        documents = given["documents"]
        assert isinstance(documents, list)
        return given | {"documents": change(documents)}

    return of_each(inside("Input", changed))


def in_ascii(_: web.Request, answer: web.Response) -> web.Response:
    escaped = json.dumps(load(_body(answer))).encode()
    return web.Response(body=escaped, headers={"Content-Type": "application/json; charset=utf-8"})


def turned_round(_: web.Request, answer: web.Response) -> web.Response:
    listed = load(_body(answer))
    assert isinstance(listed, list)
    return json_answer(listed[::-1])


def in_an_object(_: web.Request, answer: web.Response) -> web.Response:
    return json_answer({"encounters": load(_body(answer))})


def other_method(_: web.Request, answer: web.Response) -> None:
    """Changes the words of the refusal; its Allow stays."""
    if answer.status == 405:
        answer.body = b"Method Not Allowed"


def no_allow(_: web.Request, answer: web.Response) -> None:
    answer.headers.popall("Allow", None)


def no_head(request: web.Request, _: web.Response) -> web.Response | None:
    if request.method != "HEAD":
        return None
    return web.Response(status=405, headers={"Allow": "GET"})


def another_token(request: web.Request, answer: web.Response) -> web.Response:
    made = _object(answer)
    return json_answer(made | {"token": f"{made['token']}0"}) if with_token(request) else answer


def other_id(_: web.Request, answer: web.Response) -> web.Response:
    return text_answer(_body(answer).decode()[:-1] + "_")


def _object(answer: web.Response) -> dict[str, Json]:
    value = load(_body(answer))
    assert isinstance(value, dict)
    return value


def _body(answer: web.Response) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body


def with_token(request: web.Request) -> bool:
    return "Authorization" in request.headers


def named(request: web.Request) -> bool:
    return bool(request.headers.get("user_mail") and request.headers.get("organization"))


def made_up() -> web.Response:
    """Returns a success of newCase for a call that should have been refused."""
    counts: dict[str, Json] = {"voice": 1, "ehr": 1, "documents": 1}
    message = "You are inside llamalitica services"
    return json_answer({"michiq_uuid": "inventado", "token": "inventado", "message": message, **counts})


def text(status: int, text: str) -> Callable[[], web.Response]:
    return lambda: text_answer(text, status)
