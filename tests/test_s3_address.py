"""Addresses of an S3 bucket, as an operator writes them."""

from pathlib import Path

import pytest

from proxy.addresses.s3 import S3Address, parse_s3_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("s3://michiq-audio", S3Address("michiq-audio", "")),
        ("s3://audio/", S3Address("audio", "")),
        ("s3://audio/clinic/one/", S3Address("audio", "clinic/one/")),
        (
            "s3://audio?endpoint=https://s3.clinic.example:9000/&region=eu-west-1&path_style=no&ca_file=/ca.pem",
            S3Address("audio", "", "https://s3.clinic.example:9000", "eu-west-1", False, Path("/ca.pem")),
        ),
        ("s3://audio?endpoint=http%3A%2F%2F127.0.0.1:80", S3Address("audio", "", "http://127.0.0.1:80")),
    ],
)
def test_an_address_is_read(text: str, address: S3Address) -> None:
    assert parse_s3_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "s3:audio",
        "s3://",
        "s3://au",
        "s3://Audio",
        "s3://audio:9000",
        "s3://AKIA1:hunter2@audio",
        "s3://audio?secret_access_key=hunter2",
        "s3://audio?region=hunter2%20",
        "s3://audio?region=eu&region=us",
        "s3://audio?region",
        "s3://audio?path_style=true",
        "s3://audio/../hunter2",
        "s3://audio/a//hunter2",
        "s3://audio/ä",
        "s3://audio#hunter2",
        "s3://audio?endpoint=https://user:hunter2@s3.example",
        "s3://audio?endpoint=http://s3.example",
        "s3://audio?endpoint=http://10.0.0.1:9000",
        "s3://[hunter2",
    ],
)
def test_a_wrong_address_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"needs s3://bucket/prefix|the endpoint ") as caught:
        parse_s3_address(text)
    assert "hunter2" not in str(caught.value)


OWN = "endpoint=https://s3.example"


@pytest.mark.parametrize(
    ("text", "environ", "url"),
    [
        ("s3://audio", {}, "https://audio.s3.us-east-1.amazonaws.com"),
        ("s3://audio", {"AWS_REGION": "eu-west-1"}, "https://audio.s3.eu-west-1.amazonaws.com"),
        ("s3://audio", {"AWS_DEFAULT_REGION": "eu-west-1"}, "https://audio.s3.eu-west-1.amazonaws.com"),
        ("s3://audio?region=eu-1", {"AWS_REGION": "eu-2"}, "https://audio.s3.eu-1.amazonaws.com"),
        ("s3://audio?path_style=yes", {}, "https://s3.us-east-1.amazonaws.com/audio"),
        ("s3://au.dio", {}, "https://s3.us-east-1.amazonaws.com/au.dio"),
        (f"s3://audio?{OWN}", {}, "https://s3.example/audio"),
        (f"s3://audio?{OWN}&path_style=no", {}, "https://audio.s3.example"),
        ("s3://audio", {"AWS_ENDPOINT_URL": "https://one.example"}, "https://one.example/audio"),
        (
            "s3://audio",
            {"AWS_ENDPOINT_URL_S3": "https://two.example", "AWS_ENDPOINT_URL": "https://one.example"},
            "https://two.example/audio",
        ),
    ],
)
def test_the_bucket_is_at_the_endpoint_or_at_amazon(text: str, environ: dict[str, str], url: str) -> None:
    assert parse_s3_address(text).url_in(environ) == url


@pytest.mark.parametrize(
    "environ", [{"AWS_ENDPOINT_URL": "http://s3.example"}, {"AWS_REGION": "hunter2 "}], ids=str
)
def test_a_wrong_environment_is_refused_and_never_repeated(environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"the endpoint needs https|AWS_REGION needs") as caught:
        parse_s3_address("s3://audio").url_in(environ)
    assert "hunter2" not in str(caught.value)
