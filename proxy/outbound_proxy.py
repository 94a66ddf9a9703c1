"""The hospital's outbound proxy: its address, and the hosts that are called without it."""

import base64
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_URL: Final = re.compile(r"http://(?:[!-.0-9;-?A-~]+(?::[!-.0-~]*)?@)?[A-Za-z0-9.\[\]:-]+/?", re.IGNORECASE)
_NAME: Final = re.compile(r"\.?[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class NoProxy:
    """Hosts that are called directly: networks, and names with all their subdomains."""

    names: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def __str__(self) -> str:
        return ",".join([*self.names, *map(str, self.networks)])

    def covers(self, host: str) -> bool:
        """Returns whether a host is called directly.

        A name is not resolved: only an address is in a network.
        """
        address = _network(host)
        if address is not None:
            return any(address[0] in network for network in self.networks)
        return any(f".{host.lower().rstrip('.')}".endswith(f".{name}") for name in self.names)


@dataclass(frozen=True, slots=True)
class OutboundProxy:
    """A proxy that opens tunnels by CONNECT; `authorization` is the value of Proxy-Authorization."""

    host: str
    port: int
    authorization: bytes | None = field(default=None, repr=False)
    unless: NoProxy = NoProxy()

    def is_for(self, host: str, *, tls: bool) -> bool:
        """Returns whether a host is reached through the proxy: only for https, which no proxy can read.

        Plain http stays on this machine or in the closed network (CONTRACT X01), where no proxy is needed.
        Proxies refuse tunnels to its port, and would see and mix what they relay themselves.
        """
        return tls and not self.unless.covers(host)

    def connect(self, host: str, port: int) -> bytes:
        """Returns the request for a tunnel to a host (RFC 9110, section 9.3.6)."""
        authority = b"%b:%d" % (f"[{host}]".encode() if ":" in host else host.encode("idna"), port)
        lines = [b"CONNECT %b HTTP/1.1" % authority, b"Host: " + authority]
        if self.authorization is not None:
            lines.append(b"Proxy-Authorization: " + self.authorization)
        return b"\r\n".join([*lines, b"", b""])


def parse_outbound_proxy(text: str) -> OutboundProxy:
    """Reads `http://user:password@host:port`. Raises ValueError with the remedy, never the text."""
    try:
        if _URL.fullmatch(text) is None:
            raise ValueError
        parts = urlsplit(text)
        host, port = parts.hostname, 80 if parts.port is None else parts.port
        if not host or not port:
            raise ValueError
    except ValueError:
        raise ValueError("needs http://host:port or http://user:password@host:port") from None
    return OutboundProxy(host, port, _basic(parts.username, parts.password))


def parse_no_proxy(text: str) -> NoProxy:
    """Reads names, addresses and networks with commas between them. Raises ValueError with the remedy."""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    networks = {entry: _network(entry) for entry in entries}
    names = [entry for entry in entries if networks[entry] is None]
    if not all(_NAME.fullmatch(name) for name in names):
        raise ValueError("needs hosts such as example.com, 10.0.0.0/8 or ::1, comma between them")
    found: Sequence[Network | None] = tuple(networks.values())
    return NoProxy(
        tuple(name.lower().lstrip(".") for name in names), tuple(each for each in found if each is not None)
    )


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text.strip("[]"))
    except ValueError:
        return None


def _basic(user: str | None, password: str | None) -> bytes | None:
    """Returns the credentials in the form of RFC 7617."""
    if user is None:
        return None
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password or "")
    return b"Basic " + base64.b64encode(pair)
