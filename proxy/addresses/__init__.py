"""Reads network addresses as an operator writes them: listeners, and the base URLs of upstreams."""

import ipaddress
import re
from dataclasses import dataclass
from itertools import combinations
from typing import Final, TypeAlias
from urllib.parse import urlsplit

_ADDRESS: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+)):(?P<port>[0-9]{1,5})")
_FORWARDED: Final = re.compile(
    r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+)(?::[0-9]{1,5})?|(?P<bare>[0-9A-Fa-f:.]+)"
)
# Fewer characters than RFC 3986 allows: with these, all parsers agree which host is meant.
_BASE_URL: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~/-]*)?", re.IGNORECASE)

# Networks that no router forwards to the internet: RFC 1918, RFC 4193, link-local, RFC 6598, loopback.
_PRIVATE: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)

WILDCARDS: Final = {"0.0.0.0", "::"}  # noqa: S104  an operator may write it

Ip: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Reads `host:port` or `[IPv6]:port`. Raises ValueError with the remedy, never the text."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError("needs host:port, such as 127.0.0.1:8080 or [::1]:8080")
    if match["v6"] and parse_ip(match["v6"]) is None:
        raise ValueError("has no valid IPv6 address between its brackets")
    return Address(match["v6"] or match["host"], int(match["port"]))


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Reads addresses with commas between them. Raises ValueError as `parse_address`, and when two overlap.

    The two wildcards on one port do not overlap: one is for IPv4, the other for IPv6.
    """
    addresses = tuple(parse_address(entry.strip()) for entry in text.split(","))
    for one, other in combinations(addresses, 2):
        if overlap(one, other) and {one.host, other.host} != WILDCARDS:
            raise ValueError("names one port of an address twice")
    return addresses


def overlap(one: Address, other: Address) -> bool:
    """Returns whether the two can't both be listened on, since some connection would belong to either.

    Port 0 is a different port each time. A host name is not resolved here.
    """
    hosts = _plain_host(one), _plain_host(other)
    return one.port == other.port != 0 and (_covers(*hosts) or _covers(*reversed(hosts)))


def _plain_host(address: Address) -> str:
    return str(parse_ip(address.host) or address.host.lower().rstrip("."))


def _covers(host: str, other: str) -> bool:
    if host == "0.0.0.0":  # noqa: S104  an operator may write it
        return not isinstance(parse_ip(other), ipaddress.IPv6Address)
    return host in ("::", other) or (host == "localhost" and other in ("127.0.0.1", "::1"))


def parse_forwarded(hop: str) -> Ip | None:
    """Returns the address of one entry of X-Forwarded-For, with or without a port, brackets or quotes.

    Returns None for `unknown`, for an obfuscated name (RFC 7239, section 6.3), and for anything else.
    """
    match = _FORWARDED.fullmatch(hop.strip(' \t"'))
    return parse_ip(match["v6"] or match["bare"] or match["v4"]) if match else None


def parse_base_url(text: str) -> str:
    """Reads a URL as `parse_url` does, and drops the trailing slash: paths are appended to it."""
    return parse_url(text).rstrip("/")


def parse_url(text: str) -> str:
    """Reads an https URL, or an http URL of this machine itself (CONTRACT X01).

    Raises ValueError with the remedy, never the text, which may hold a password by mistake.
    """
    if is_plain(parse_any_url(text)):
        raise ValueError("needs https; http is allowed only for this machine (localhost, 127.0.0.1, [::1])")
    return text


def parse_any_url(text: str) -> str:
    """Reads an https or http URL of any host; raises as `parse_url`."""
    if any(sign in text for sign in "@?#"):
        raise ValueError("takes no user name, query or fragment")
    if _BASE_URL.fullmatch(text) is None or not _has_host(text):
        raise ValueError("needs an address such as https://api.example.com")
    return text


def is_plain(url: str) -> bool:
    """Returns whether a URL is http to a machine other than this one."""
    return url.lower().startswith("http:") and not is_loopback(host_of(url))


def may_be_private(host: str) -> bool:
    """Returns whether a host is a private address, or a name, which is resolved and checked later."""
    return parse_ip(host) is None or is_private(host)


def is_private(address: str) -> bool:
    """Returns whether an IP address belongs to a closed network or to this machine."""
    ip = parse_ip(address)
    return ip is not None and any(ip in network for network in _PRIVATE)


def parse_ip(text: str) -> Ip | None:
    """Returns an IP address, an IPv4-mapped IPv6 one as IPv4; None for anything else."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped) or ip


def host_of(url: str) -> str:
    """Returns the host of a URL that parse_url accepted, in lower case, without a final dot."""
    return (urlsplit(url).hostname or "").rstrip(".")


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an IPv6 address, or a port out of range
        return False


def is_loopback(host: str) -> bool:
    """Returns whether a host is this machine itself, by its address or as `localhost`."""
    ip = parse_ip(host)
    return host.lower() == "localhost" or (ip is not None and ip.is_loopback)
