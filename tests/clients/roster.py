"""The clients that are run: how each is asked for its version, made ready and started."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
# Where built programs go; replaced by the folder of a run.
BUILD: Final = "{build}"

_NODE: Final = ("node", "--print", "process.versions.node")


@dataclass(frozen=True, slots=True)
class Client:
    """A client in the folder of its name.

    `probe` fails where the client can't run, and prints its version as the first `n.n` of its output.
    `prepare` runs before it, once; all commands run in the client's folder.
    """

    name: str
    title: str
    probe: tuple[str, ...]
    command: tuple[str, ...]
    packages: str
    prepare: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return HERE / self.name


ROSTER: Final = (
    Client("curl", "curl", ("curl", "--version"), ("bash", "session.sh"), "curl"),
    Client(
        "python-requests",
        "Python requests",
        (sys.executable, "-c", "import requests; print(requests.__version__)"),
        (sys.executable, "requests_session.py"),
        "requests of requirements-dev.lock",
    ),
    Client(
        "python-httpx",
        "Python httpx",
        (sys.executable, "-c", "import httpx; print(httpx.__version__)"),
        (sys.executable, "httpx_session.py"),
        "httpx of requirements-dev.lock",
    ),
    Client(
        "node-axios",
        "axios and form-data",
        ("node", "--print", "require('axios/package.json').version"),
        ("node", "session.js"),
        "nodejs and npm",
        prepare=("npm", "ci", "--no-progress", "--loglevel=error"),
    ),
    Client("node-fetch", "Node fetch (undici)", _NODE, ("node", "session.mjs"), "nodejs"),
    Client(
        "php-curl",
        "PHP curl",
        ("php", "-r", "extension_loaded('curl') || exit(1); echo PHP_VERSION;"),
        ("php", "session.php"),
        "php-cli and php-curl",
    ),
    Client(
        "php-guzzle",
        "PHP Guzzle",
        (
            "php",
            "-r",
            "require 'GuzzleHttp/autoload.php'; echo GuzzleHttp\\ClientInterface::MAJOR_VERSION, '.x';",
        ),
        ("php", "session.php"),
        "php-cli, php-curl and php-guzzlehttp-guzzle",
    ),
    Client(
        "go",
        "Go net/http",
        ("go", "version"),
        (f"{BUILD}/go-session",),
        "golang-go",
        prepare=("go", "build", "-o", f"{BUILD}/go-session", "."),
    ),
    Client(
        "java",
        "Java HttpClient",
        ("javac", "--version"),
        ("java", "Session.java"),
        "default-jdk-headless",
    ),
)
# None of them needs a network but npm's: Go and Java build what is here with their standard libraries.
ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "CGO_ENABLED": "0",
    "GOPROXY": "off",
    "GOFLAGS": "-mod=readonly",
    "GOTOOLCHAIN": "local",
}
