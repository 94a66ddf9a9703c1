"""Addresses as an operator writes them: what is called without TLS is this machine itself alone."""

import pytest

from proxy.addresses import parse_url

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
