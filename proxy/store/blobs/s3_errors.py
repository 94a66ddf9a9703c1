"""Makes errors for the operator of what goes wrong with an S3 store, without stored data or credentials."""

import re
from collections.abc import Mapping
from typing import Final

import aiohttp

from proxy.store.errors import BlobError, Cause

# What a call may fail with on its way. It is never chained to: aiohttp's errors hold the signed headers.
BROKEN: Final = (aiohttp.ClientError, TimeoutError, OSError)

_CODE: Final = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_CODES_AGAIN: Final = frozenset({"InternalError", "OperationAborted", "RequestTimeout", "SlowDown"})
_FULL_STATUS: Final = 507
_FULL: Final = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull"})
_CREDENTIALS: Final = "it refuses the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_SENTENCES: Final[Mapping[str, str]] = {
    "AccessDenied": "these credentials may not do this; docs/scale.md lists what they need",
    "AuthorizationHeaderMalformed": "the region is not the bucket's; set region=… in the address",
    "ExpiredToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "NoSuchBucket": "there is no such bucket; make it, or correct its name",
    "PermanentRedirect": "the region is not the bucket's; set region=… in the address",
    "RequestTimeTooSkewed": "its clock and this machine's differ; synchronize both",
    "SignatureDoesNotMatch": _CREDENTIALS,
}


class S3Error(BlobError):
    """A call that failed; `again` says whether a repetition may succeed, `code` is the store's own."""

    def __init__(
        self,
        said: str,
        cause: Cause = "store-failed",
        *,
        again: bool = False,
        status: int = 0,
        code: str = "",
    ) -> None:
        super().__init__(f"MICHIQ_BLOBS_URL: the S3 store failed: {said}", cause)
        self.again = again
        self.status = status
        self.code = code


def of_answer(status: int, body: bytes) -> S3Error:
    """Returns the error of an answer that is none of those hoped for."""
    found = _CODE.search(body)
    code = found[1].decode() if found else ""
    if status == _FULL_STATUS or code in _FULL:
        return S3Error("it is full, or its quota is; make room", "store-full", status=status, code=code)
    answered = f"it answered {status} {code}".rstrip()
    said = f"{answered}: {_SENTENCES[code]}" if code in _SENTENCES else answered
    again = status in _AGAIN or code in _CODES_AGAIN
    return S3Error(said, again=again, status=status, code=code)


def of_break(error: BaseException) -> S3Error:
    """Returns the error of a call that got no whole answer."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return S3Error("its certificate is not trusted; set ca_file=… in the address, or MICHIQ_CA_FILE")
    if isinstance(error, TimeoutError):
        return S3Error("it did not answer in time", again=True)
    return S3Error(f"the connection failed ({type(error).__name__})", again=True)
