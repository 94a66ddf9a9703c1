"""Origins of pages in a mapping: compared letter by letter, so written as browsers send them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.mapping.base import Origin

ORIGINS: TypeAdapter[str] = TypeAdapter(Origin)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example",
        "http://localhost:3000",
        "https://xn--clnica-2va.example:8443",
        "http://[::1]:8080",
        "capacitor://localhost",
        "https://app.example:80",
    ],
)
def test_options_G02_an_origin_is_a_scheme_a_host_and_perhaps_a_port(origin: str) -> None:
    assert ORIGINS.validate_python(origin) == origin


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example/page",
        "https://App.example",
        "https://clínica.example",
        "https://*.example",
        "https://user@app.example",
        "https://app.example:443",
        "http://[::1]:80",
        "https://app.example ",
        "https://app.example\n",
        "https://a.example, https://b.example",
    ],
)
def test_options_G02_what_no_browser_sends_as_an_origin_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="write an origin as browsers send it"):
        ORIGINS.validate_python(text)
