"""Receives signed webhooks of the new platform: POST /webhooks/llamalitica (CONTRACT W)."""

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from aiohttp import web

from proxy.errors import Refusal
from proxy.flows.answers import json
from proxy.flows.report_event import BadEvent, keep
from proxy.flows.shared.offload import load_json
from proxy.headers import HeaderFields
from proxy.inbound.body import RequestBody
from proxy.jsons import ANSWER, BadJson
from proxy.server.receiving import arriving
from proxy.server.responses import respond
from proxy.store.records.deliveries import Delivery
from proxy.web.exchange import DRAFT
from proxy.web.expect import go_on
from proxy.web.keys import DEPS, TEE, WEBHOOK_SECRETS

PATH: Final = "/webhooks/llamalitica"
_LIMIT: Final = 1024 * 1024
_SIGNATURE: Final = re.compile(rb"[0-9a-f]{64}")
_VISIBLE: Final = re.compile(r"[\x20-\x7e]{1,200}")


async def receive(request: web.Request) -> web.Response:
    """Answers 200 only once the delivery is durable; after any other answer the sender tries again."""
    if request.method != "POST":
        raise web.HTTPMethodNotAllowed(request.method, ["POST"])
    await go_on(request)
    deps = request.app[DEPS]
    try:
        data = await _read(request)
        if not signed(data, _signatures(request), request.app[WEBHOOK_SECRETS]):
            return _error(request, 401, "signature", "Invalid signature")
        await keep(await load_json(deps.workers, data, ANSWER), _to_send_on(request, data), deps)
    except (BadJson, BadEvent):
        return _error(request, 400, "not-an-event", "Not a known event")
    except Refusal as refusal:
        status = 413 if refusal.kind == "too_large" else 400
        return _error(request, status, refusal.cause, "The body can't be read")
    if TEE in request.app:
        request.app[TEE].look()
    return respond(json(200, {"received": True}))


def _to_send_on(request: web.Request, data: bytes) -> Delivery | None:
    """Returns the unchanged delivery, if there is a consumer for it."""
    if TEE not in request.app:
        return None
    kind = request.headers.get("Content-Type", "")
    # Programs read other characters in a header differently; the type of JSON has none of them.
    return Delivery(data, _signatures(request)[0].decode(), kind if _VISIBLE.fullmatch(kind) else "")


async def _read(request: web.Request) -> bytes:
    body = request[DRAFT].body = RequestBody(request.headers, arriving(request), _LIMIT)
    return await body.read()


def signed(body: bytes, signatures: list[bytes], secrets: Sequence[bytes]) -> bool:
    """Returns whether the one signature is the raw body's HMAC-SHA-256 under a secret, in lower-case hex."""
    if len(signatures) != 1 or not _SIGNATURE.fullmatch(signatures[0]):
        return False
    expected = [hmac.new(secret, body, sha256).hexdigest().encode() for secret in secrets]
    # Every secret is compared, so that the time does not show which one matches.
    return sum(hmac.compare_digest(signatures[0], each) for each in expected) > 0


def _signatures(request: web.Request) -> list[bytes]:
    return HeaderFields.of(request.raw_headers).values(b"x-webhook-signature")


def _error(request: web.Request, status: int, cause: str, sentence: str) -> web.Response:
    request[DRAFT].cause = cause
    return respond(json(status, {"error": sentence}))
