"""Reads the address of an S3 bucket: `s3://bucket/prefix?endpoint=…&region=…&path_style=…&ca_file=…`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from proxy.addresses import parse_base_url

SCHEME: Final = "s3://"
_REMEDY: Final = (
    "needs s3://bucket/prefix, where needed with ?endpoint=https://…&region=…&path_style=yes&ca_file=…; "
    "the credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?")
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}")
_OPTIONS: Final = frozenset({"endpoint", "region", "path_style", "ca_file"})
_REGIONS: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_DEFAULT_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class S3Address:
    """The bucket of a blob store; None is what the environment, or Amazon's own convention, decides."""

    bucket: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    ca_file: Path | None = None

    def region_in(self, environ: Mapping[str, str]) -> str:
        """Returns the region that the requests are signed for. Raises ValueError with the remedy."""
        found = self.region or _first(environ, _REGIONS) or _DEFAULT_REGION
        if not _REGION.fullmatch(found):
            raise ValueError("AWS_REGION needs a region such as eu-west-1")
        return found

    def url_in(self, environ: Mapping[str, str]) -> str:
        """Returns the bucket's URL. Raises ValueError with the remedy, as for http to another machine.

        Names with a dot go into the path: no certificate covers them as a host's name.
        """
        endpoint = self.endpoint or _endpoint(_first(environ, _ENDPOINTS))
        in_path = bool(endpoint) or "." in self.bucket if self.path_style is None else self.path_style
        base = endpoint or f"https://s3.{self.region_in(environ)}.amazonaws.com"
        if in_path:
            return f"{base}/{self.bucket}"
        parts = urlsplit(base)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"


def parse_s3_address(text: str) -> S3Address:
    """Reads the address. Raises ValueError with the remedy, never the text, which may hold a secret."""
    try:
        parts = urlsplit(text)
        given = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        raise ValueError(_REMEDY) from None
    options, prefix = dict(given), parts.path.strip("/")
    if (
        not text.startswith(SCHEME)
        or parts.fragment
        or not _BUCKET.fullmatch(parts.netloc)
        or not _PREFIX.fullmatch(prefix)
        or len(options) < len(given)
        or not options.keys() <= _OPTIONS
        or options.get("path_style") not in {"yes", "no", None}
        or not _REGION.fullmatch(options.get("region", _DEFAULT_REGION))
    ):
        raise ValueError(_REMEDY)
    return S3Address(
        parts.netloc,
        f"{prefix}/" if prefix else "",
        _endpoint(options.get("endpoint")),
        options.get("region"),
        {"yes": True, "no": False}.get(options.get("path_style", "")),
        Path(options["ca_file"]) if "ca_file" in options else None,
    )


def _endpoint(url: str | None) -> str | None:
    try:
        return parse_base_url(url) if url else None
    except ValueError as error:
        raise ValueError(f"the endpoint {error}") from None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)
