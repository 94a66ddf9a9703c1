"""Makes the problem details (RFC 9457) of every error of the admin listener."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Literal

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from proxy import jsons
from proxy.errors import Refusal
from proxy.server.responses import respond
from proxy.store import StoreError
from proxy.values import Answer, Json

Kind = Literal[
    "closed",
    "invalid",
    "stale-revision",
    "nothing-to-undo",
    "no-legacy-server",
    "mappings-rejected",
    "nothing-to-reload",
    "already-resolved",
    "under-way",
]

CONTENT_TYPE: Final = "application/problem+json"
# Problems that a program may want to tell apart from others of the same status: type `/problems/<kind>`.
_TITLES: Final[Mapping[Kind, str]] = {
    "closed": "The admin API is closed",
    "invalid": "The request is not valid",
    "stale-revision": "Something was changed meanwhile",
    "nothing-to-undo": "There is nothing to undo",
    "no-legacy-server": "There is no legacy server",
    "mappings-rejected": "The mapping files are not served",
    "nothing-to-reload": "There is nothing to reload",
    "already-resolved": "The call is closed already",
    "under-way": "The call is still under way",
}
# The phrases of RFC 9110; older Pythons have other ones.
_PHRASES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
# A body that can't be read, by the cause from `web.body`.
_BODY_STATUS: Final = {"too_large": 413, "unsupported_encoding": 415}
_BODY_DETAIL: Final = {
    "body-too-large": "the body is larger than 64 KiB",
    "content-encoding": "send the body as it is, without a Content-Encoding",
    "body-stalled": "the body did not arrive in time",
    "body-cut": "the connection ended before the body was complete",
}

_log: Final = structlog.get_logger("proxy.admin")


class Problem(Exception):
    """An error that ends a request; `detail` is a sentence for the operator, `members` are for programs."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: Kind | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(f"{status} {kind or ''}")
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = headers or {}
        self.members = members or {}

    def response(self) -> web.Response:
        body: dict[str, Json] = {
            "type": f"/problems/{self.kind}" if self.kind else "about:blank",
            "title": _TITLES[self.kind] if self.kind else _phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        headers = {"Cache-Control": "no-store", **self.headers}
        return respond(Answer(self.status, jsons.dump(body), CONTENT_TYPE), headers.items())


def invalid(errors: list[Json]) -> Problem:
    """Returns a problem with one item for each fault: its `detail`, and its location in the request."""
    return Problem(
        422, "see what is wrong in `errors`; nothing was done", kind="invalid", members={"errors": errors}
    )


@web.middleware
async def answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns an error of a handler into its problem; unexpected errors pass through."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except Refusal as refusal:
        status = _BODY_STATUS.get(refusal.kind, 400)
        return Problem(status, _BODY_DETAIL.get(refusal.cause, "the body can't be read")).response()
    except StoreError as error:
        _log.exception("admin_store_failed", cause=error.cause)
        detail = "the store can't be used; the request may have had no effect"
        return Problem(503, detail, members={"cause": error.cause}).response()
    except web.HTTPException as error:
        return Problem(error.status, "the request can't be answered").response()


def failed(_request: web.Request) -> web.Response:
    """Returns the answer to an unexpected error, without its text; the log has its position."""
    return Problem(500, "this is an error of the proxy; see its log").response()


def broken(status: int) -> web.Response:
    """Returns the answer to a request that is not valid HTTP."""
    return Problem(status, "the request can't be read").response()


def _phrase(status: int) -> str:
    return _PHRASES.get(status) or HTTPStatus(status).phrase
