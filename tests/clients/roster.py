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
    home: str = ""
    """The folder where it has another name: one program may write as several libraries do."""

    @property
    def folder(self) -> Path:
        return HERE / (self.home or self.name)


def _as_bytes(name: str, title: str, version: str) -> Client:
    """A library that no machine of ours can run: its requests are written byte by byte."""
    return Client(
        name,
        title,
        (sys.executable, "-c", f"print({version!r})"),
        (sys.executable, "replayed_session.py", name),
        "nothing",
        home="as-bytes",
    )


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
    Client(
        "dotnet",
        ".NET HttpClient",
        (sys.executable, "build.py", "version"),
        (sys.executable, "build.py", "run", BUILD),
        "mono-mcs, and dotnetcore2 of requirements-dev.lock",
        prepare=(sys.executable, "build.py", "build", BUILD),
    ),
    _as_bytes("delphi-indy", "Delphi Indy (as bytes)", "10.6"),
    _as_bytes("powershell-5.1", "PowerShell (as bytes)", "5.1"),
    _as_bytes("restsharp", "RestSharp (as bytes)", "107.3"),
    _as_bytes("app-engine", "App Engine (as bytes)", "1.1"),
)
# None of them needs a network but npm's: the others build what is here with their standard libraries.
ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    "CGO_ENABLED": "0",
    "GOPROXY": "off",
    "GOFLAGS": "-mod=readonly",
    "GOTOOLCHAIN": "local",
}
