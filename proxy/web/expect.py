"""Answers `Expect: 100-continue` when a body is wanted, not before (RFC 9110, section 10.1.1)."""

from aiohttp import HttpVersion11, web


async def go_on_later(request: web.Request) -> None:
    """Sends no 100 Continue yet: the legacy server may refuse before the body is sent."""


async def go_on(request: web.Request) -> None:
    """Sends 100 Continue if the client waits for it.

    Any other expectation may be ignored (RFC 9110, section 10.1.1); aiohttp would quote it in an answer that
    no mapping has.
    """
    expected = request.headers.get("Expect", "").lower()
    if request.version >= HttpVersion11 and expected == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
