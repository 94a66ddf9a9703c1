"""Addresses as an operator writes them: what is called without TLS is this machine itself alone."""

import pytest

from proxy.addresses import Address, host_of, parse_address, parse_base_url, parse_ip, parse_url

SAFE = [
    "https://chat.example.com",
    "HTTPS://chat.example.com",
    "http://localhost:8081",
    "HTTP://LOCALHOST:8081",
    "http://localhost.",
    "http://127.0.0.1:1",
    "http://127.9.9.9",
    "http://[::1]:8080/base",
]
UNSAFE = [
    "http://chat.example.com",
    "HTTP://chat.example.com",
    "Http://chat.example.com",
    "hTTp://10.0.0.1",
    "http://localhost.evil.example",
    "http://evil.example.localhost",
    "http://localhost-evil.example",
    "http://evillocalhost",
    "http://127.0.0.1.evil.example",
    "http://127.1",
    "http://0.0.0.0",
    "http://[::]",
    "http://[::2]",
]


@pytest.mark.parametrize("url", SAFE)
def test_address_X01_is_https_or_this_machine_itself(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize("url", UNSAFE)
def test_address_X01_of_another_machine_is_never_http_in_whatever_letters(url: str) -> None:
    with pytest.raises(ValueError, match="needs https"):
        parse_url(url)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("https://user@chat.example.com", "^takes no user name, query or fragment$"),
        ("https://chat.example.com?key=1", "^takes no user name, query or fragment$"),
        ("https://chat.example.com#1", "^takes no user name, query or fragment$"),
        ("chat.example.com", "^needs an address such as https://api.example.com$"),
        ("https://[::1", "^needs an address such as https://api.example.com$"),
    ],
)
def test_a_url_that_names_more_or_less_than_a_host_and_a_path_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_url(text)


def test_a_base_url_loses_its_last_slash_and_nothing_else() -> None:
    assert parse_base_url("https://chat.example.com/X/") == "https://chat.example.com/X"


@pytest.mark.parametrize(("text", "port"), [("127.0.0.1:0", 0), ("localhost:65535", 65535)])
def test_any_port_may_be_listened_on(text: str, port: int) -> None:
    assert parse_address(text) == Address(text.partition(":")[0], port)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("localhost:65536", "^needs host:port, such as"),
        ("[::1::]:80", "^has no valid IPv6 address between its brackets$"),
    ],
)
def test_an_address_that_is_none_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_address(text)


def test_a_zone_is_no_part_of_an_ip_address() -> None:
    assert str(parse_ip("fe80::1%eth0")) == "fe80::1"


def test_a_url_without_a_host_has_an_empty_one() -> None:
    assert host_of("https:///path") == ""
