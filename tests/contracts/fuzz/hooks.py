"""Half of the calls go to a real case of the caller's own, the others wherever the fuzzer likes.

Which half is told by the generated value itself, so that a seed means the same calls every time.
And a check of our own: schemathesis judges JSON alone, but the legacy API says most things in plain text.
"""

import os
import zlib
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import schemathesis

from tests.contracts.description import Description
from tests.contracts.exchange import Exchange, Message

DESCRIPTION: Final = Description("michiq-legacy", folder=Path(os.environ["FUZZ_DESCRIPTIONS"]))
CASE_ID: Final = os.environ["FUZZ_CASE_ID"]
IDENTITY: Final = {
    "user_mail": os.environ["FUZZ_USER"],
    "organization": os.environ["FUZZ_ORGANIZATION"],
}


@schemathesis.hook
def map_path_parameters(
    context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    if path_parameters and "id" in path_parameters and _chosen(path_parameters["id"]):
        return {**path_parameters, "id": CASE_ID}
    return path_parameters


@schemathesis.hook
def map_headers(context: schemathesis.HookContext, headers: dict[str, Any] | None) -> dict[str, Any] | None:
    if headers and IDENTITY.keys() <= headers.keys() and _chosen(sorted(headers.items())):
        headers.update(IDENTITY)
    return headers


@schemathesis.check
def literal_conformance(
    context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """Status, content type with its charset, headers and the very words are as described."""
    target = urlsplit(response.request.url or "")
    headers = tuple((name, value) for name, values in response.headers.items() for value in values)
    exchange = Exchange(
        method=response.request.method or "",
        path=target.path,
        query=target.query,
        request=Message((), b""),
        status=response.status_code,
        answer=Message(headers, response.content),
    )
    problems = DESCRIPTION.answer_problems(exchange)
    if problems:
        raise AssertionError("; ".join(problems))


def _chosen(value: object) -> bool:
    return zlib.crc32(repr(value).encode("utf-8", "backslashreplace")) % 2 == 1
