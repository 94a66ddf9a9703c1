"""The address of the hospital's proxy, and what is called without it, as an operator writes them."""

from typing import Final

import pytest

from proxy.outbound_proxy import OutboundProxy, parse_no_proxy, parse_outbound_proxy

PASSWORD: Final = "s3cret%2Fword"
GOOD: Final = {
    "http://proxy.example:3128": OutboundProxy("proxy.example", 3128),
    "http://proxy.example/": OutboundProxy("proxy.example", 80),
    "http://[::1]:8080": OutboundProxy("::1", 8080),
    "HTTP://ana@10.0.0.1:8888": OutboundProxy("10.0.0.1", 8888, b"Basic YW5hOg=="),
    f"http://ana:{PASSWORD}@proxy.example:3128": OutboundProxy(
        "proxy.example", 3128, b"Basic YW5hOnMzY3JldC93b3Jk"
    ),
}
BAD: Final = (
    "proxy.example:3128",
    "https://proxy.example",
    "socks5://proxy.example",
    "http://",
    "http://proxy.example:0",
    "http://proxy.example:99999",
    "http://proxy.example/path",
    "http://proxy.example?a",
    "http://a b@proxy.example",
    "http://[::1",
    f"http://ana:{PASSWORD}@",
)
# What is written, and what it covers, or doesn't.
COVERED: Final = (
    ("example.com", "example.com", True),
    ("example.com", "api.Example.com.", True),
    (".example.com", "api.example.com", True),
    ("example.com", "anexample.com", False),
    ("10.0.0.0/8", "10.1.2.3", True),
    ("10.0.0.0/8", "11.1.2.3", False),
    ("10.0.0.0/8", "ten.example", False),
    ("::1", "::1", True),
    ("127.0.0.1", "127.0.0.1", True),
    ("a.example, 10.0.0.1", "10.0.0.1", True),
    ("localhost", "localhost", True),
)


@pytest.mark.parametrize("text", GOOD)
def test_outbound_proxy_is_read(text: str) -> None:
    assert parse_outbound_proxy(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD)
def test_outbound_proxy_that_is_none_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="needs http://host:port") as caught:
        parse_outbound_proxy(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_outbound_proxy_shows_no_credentials() -> None:
    assert "YW5h" not in repr(parse_outbound_proxy(f"http://ana:{PASSWORD}@proxy.example:3128"))


@pytest.mark.parametrize(("text", "host", "covered"), COVERED)
def test_no_proxy_covers_hosts_and_what_is_below_them(text: str, host: str, covered: bool) -> None:
    assert parse_no_proxy(text).covers(host) is covered


@pytest.mark.parametrize("text", ["a b", "http://a.example", "10.0.0.0/99", "*", "*.example.com", "a..b"])
def test_no_proxy_that_names_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="needs hosts such as"):
        parse_no_proxy(text)


@pytest.mark.parametrize(("host", "tls", "through"), [("a.example", True, True), ("a.example", False, False)])
def test_outbound_proxy_is_for_https_only(host: str, tls: bool, through: bool) -> None:
    """Keeps plain http in the closed network (CONTRACT X01)."""
    assert OutboundProxy("proxy.example", 80).is_for(host, tls=tls) is through
