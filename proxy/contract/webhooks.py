"""Checks W: POST /webhooks/llamalitica, which only a michiq-proxy has; and X: the new platform's rules."""

from typing import Final

from proxy.contract import expect
from proxy.contract.check import proxys_own, unseen
from proxy.contract.probe import Probe
from proxy.contract.routes import ENCOUNTER_PAGE, NEW_CASE, QUERY, WEBHOOKS

_SIGNATURES: Final = {
    "it is missing": None,
    "it is empty": "",
    "it is short": "ab12",
    "it is upper-case": "AB" * 32,
    "it is not hexadecimal": "zz" * 32,
    "it is wrong": "ab" * 32,
}


@proxys_own("W01", WEBHOOKS, "an event without a good signature is answered 401")
async def unsigned(probe: Probe) -> None:
    body = b'{"event": "prueba"}'
    for when, signature in _SIGNATURES.items():
        headers = {} if signature is None else {"X-Webhook-Signature": signature}
        reply = await probe.ask(
            WEBHOOKS.method, WEBHOOKS.path(), headers=headers, body=body, content_type="application/json"
        )
        expect.status(reply, 401, when=f"the signature: {when}")
        expect.kinds(expect.json_object(reply, 401), {"error": expect.FILLED})


_SECRET: Final = "needs the platform's webhook secret, which no client has"  # noqa: S105  a sentence
_BEHIND: Final = "is about the calls behind the proxy, or its settings; the project's own tests prove it"

CHECKS: Final = (
    unsigned,
    unseen("W02", WEBHOOKS, "a signed event is stored before it is acknowledged", _SECRET),
    unseen("W03", WEBHOOKS, "repeated, late and unknown events do no harm", _SECRET),
    unseen("W04", WEBHOOKS, "events are passed on to the operator's own consumer", _SECRET),
    unseen("X01", ENCOUNTER_PAGE, "API and web hosts of the platform are a pair", _BEHIND),
    unseen("X02", QUERY, "LlamaChat is called as documented", _BEHIND),
    unseen("X03", NEW_CASE, "no redirect is followed, no cookie stored", _BEHIND),
)
