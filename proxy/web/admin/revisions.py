"""Entity tags over revisions: a client that changes something names what it saw (RFC 9110, section 13)."""

import re
from typing import Final

from aiohttp import web

from proxy.server.responses import respond
from proxy.store.rollout.overrides import StaleRevision
from proxy.values import Answer
from proxy.web.admin.problems import Problem

_TAG: Final = re.compile(r'(W/)?"([\x21\x23-\x7e]*)"')
_TAGS: Final = re.compile(rf"{_TAG.pattern}(?:[ \t]*,[ \t]*{_TAG.pattern})*")
# The revision, and a digest of everything else in a representation.
_OURS: Final = re.compile(r"(\d{1,18})(?:\.[0-9a-f]+)?")


def etag(revision: int, rest: str = "") -> str:
    """Returns the tag of a representation at this revision; `rest` separates several ones of one revision."""
    return f'"{revision}.{rest}"' if rest else f'"{revision}"'


def seen(request: web.Request) -> frozenset[int] | None:
    """Returns the revisions that a change may be made on; None for any, which `*` means.

    Only the revision counts: other things that the representation showed may have changed meanwhile.
    """
    given = _given(request, "If-Match")
    if given is None:
        raise Problem(428, 'send If-Match with the ETag that you saw, or "*" for any revision')
    if given == "*":
        return None
    tags = _tags(given)
    if tags is None:
        raise Problem(400, 'If-Match takes entity tags in their quotes, such as "7", or *')
    ours = (_OURS.fullmatch(tag) for weak, tag in tags if not weak)
    return frozenset(int(match[1]) for match in ours if match)


def unchanged(request: web.Request, tag: str) -> web.Response | None:
    """Returns 304 if the client already has this representation, else None."""
    given = _given(request, "If-None-Match")
    tags = _tags(given or "") or []
    if given != "*" and tag not in [f'"{each}"' for _, each in tags]:
        return None
    response = respond(Answer(304, b"", ""), [("ETag", tag)])
    del response.headers["Content-Type"]
    return response


def stale(error: StaleRevision) -> Problem:
    return Problem(
        412,
        f"nothing was changed: the overrides are at revision {error.current} now",
        kind="stale-revision",
        headers={"ETag": etag(error.current)},
        members={"revision": error.current},
    )


def _given(request: web.Request, name: str) -> str | None:
    lines = request.headers.getall(name, [])
    return ", ".join(lines).strip() if lines else None


def _tags(value: str) -> list[tuple[str, str]] | None:
    return _TAG.findall(value) if _TAGS.fullmatch(value) else None
