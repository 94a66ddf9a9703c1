"""Header fields as bytes, in order: how they are found, and which of them an intermediary sends on."""

from typing import Final, TypeAlias

from proxy.headers import HeaderFields

Pairs: TypeAlias = tuple[tuple[bytes, bytes], ...]
# RFC 9110, section 7.6.1, and Trailer: trailer fields are not forwarded either.
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)


def expects_continue(headers: Pairs) -> bool:
    """Returns whether the sender waits for 100 Continue before its body (RFC 9110, section 10.1.1)."""
    return any(value.lower() == b"100-continue" for value in HeaderFields.of(headers).values(b"expect"))


def without(headers: Pairs, names: frozenset[bytes]) -> Pairs:
    """Returns the fields without those of these names, which are in lower case."""
    return tuple(pair for pair in headers if pair[0].lower() not in names)


def end_to_end(headers: Pairs, drop: frozenset[bytes] = frozenset()) -> Pairs:
    """Returns the fields that an intermediary forwards (RFC 9110, section 7.6.1), without those in `drop`.

    `drop` has names in lower case. A Content-Length beside a Transfer-Encoding is invalid and must not be
    forwarded (RFC 9112, section 6.3).
    """
    fields = HeaderFields.of(headers)
    gone = HOP_BY_HOP | drop if drop else HOP_BY_HOP
    if fields.has(b"connection"):
        named = (option for value in fields.values(b"connection") for option in value.split(b","))
        gone = gone | {option.strip(b" \t").lower() for option in named}
    if fields.has(b"transfer-encoding"):
        gone = gone | {b"content-length"}
    return tuple([pair for pair, name in zip(fields, fields.names, strict=True) if name not in gone])


def replaced(headers: Pairs, name: bytes, value: bytes) -> Pairs:
    """Returns the headers with one field `name`, with this value.

    It replaces the first such field and has its spelling; without one it is added at the end.
    """
    first = next((index for index, pair in enumerate(headers) if pair[0].lower() == name.lower()), None)
    if first is None:
        return (*headers, (name, value))
    rest = without(headers[first + 1 :], frozenset({name.lower()}))
    return (*headers[:first], (headers[first][0], value), *rest)
