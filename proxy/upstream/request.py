"""Renders the head of a call's request as bytes; the part that is the same for all calls is made once."""

import re
from typing import Final
from urllib.parse import urlsplit

from proxy.upstream.call import ID_PATTERN, Call

_ID: Final = re.compile(ID_PATTERN)
_SAME: Final = "Accept: application/json\r\nAccept-Encoding: identity\r\nUser-Agent: michiq-proxy\r\n"


class Heads:
    """A renderer of request heads for one base address."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._path = parts.path.rstrip("/")
        self._same = f" HTTP/1.1\r\nHost: {parts.netloc}\r\n{_SAME}"

    def of(self, call: Call) -> bytes:
        """Returns the request line and the fields, values in UTF-8 (CONTRACT N06).

        Raises ValueError when a value would break the head. A call without a caller asks the upstream to
        close its connection, which is never used again.
        """
        fields = dict(call.headers)
        if call.body is not None:
            if call.body.content_type:
                fields["Content-Type"] = call.body.content_type
            fields["Content-Length"] = str(call.body.content.size)
        if call.caller is None:
            fields["Connection"] = "close"
        lines = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
        if lines.count("\n") != len(fields) or lines.count("\r") != len(fields) or "\0" in lines:
            raise ValueError("a line end within the head of a request")
        return f"{call.method} {self._path}{_path_of(call)}{self._same}{lines}\r\n".encode()


def _path_of(call: Call) -> str:
    if call.id is None:
        return call.path
    # An id of this pattern needs no quoting, and can't be `.` or `..`, which lead to another path.
    if not _ID.fullmatch(call.id):
        raise ValueError("an id that CONTRACT G03 does not allow")
    return call.path.replace("{id}", call.id)
