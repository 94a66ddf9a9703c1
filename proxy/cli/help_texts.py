"""The end of each command's --help: examples that work as pasted, and the settings that the command reads."""

from typing import Final

_STORE: Final = ("MICHIQ_SECRET_KEYS", "MICHIQ_DATABASE_URL", "MICHIQ_BLOBS_URL")
_MODES: Final = (*_STORE, "MICHIQ_MAPPINGS", "MICHIQ_LEGACY_URL")

# The commands in the order of --help, each with its first sentence. To import all commands takes seconds.
SUMMARIES: Final[dict[str, str]] = {
    "init": "Write mapping files, their schemas and a `.env` with a new key into FOLDER.",
    "check": "Check the settings and the mapping files, each alone and against each other.",
    "routes": "List the routes of the mapping files in FOLDER (default: `mappings`, else the built-in ones).",
    "serve": "Serve the legacy routes with the settings and the mapping files.",
    "demo": (
        "Run the proxy and the sandbox on synthetic data, state under var/; print a curl line for each route."
    ),
    "sandbox": (
        "Run the new Llamalitica API, LlamaChat and a legacy michiQ with synthetic data and public keys."
    ),
    "mode": "Show who answers each route, or change it: the old server, the new side, or nobody.",
    "audit": "Read the audit trail: mode changes, first sights of users, accesses to cases, erasures.",
    "clients": "List which clients still call which routes, the latest caller first.",
    "can-switch": "Check whether ROUTE can move to the new side, and show the figures behind the answer.",
    "explain": (
        "Show what happened to a request: who answered it and why, which calls went out, what came back."
    ),
    "requests": "List the stored requests that fit all options, the newest first.",
    "pending": "List the calls of which nobody knows whether they made a case, or close one.",
    "contract": (
        "Check over HTTP whether a host (the old server, this proxy, a rebuilt one) keeps the contract."
    ),
    "migrate": "Bring the database's tables to this release, and make them if there are none.",
    "copy-store": (
        "Copy the store of the settings, while no proxy runs, to another database and another blob store."
    ),
    "rotate-keys": "Encrypt everything in the store again, with the first key of MICHIQ_SECRET_KEYS.",
    "erase": "Remove everything stored about a case or a user, from the database, its log and the blobs.",
    "retention": "Show when data past its retention was last removed, or remove it now.",
    "settings": (
        "Show the settings in force, from environment, .env and defaults; secrets only as set or unset."
    ),
    "completion": (
        "Print a script for SHELL (default: the one in $SHELL) that completes commands and options."
    ),
    "healthcheck": (
        "Ask /readyz on MICHIQ_STATUS_LISTEN, else on MICHIQ_ADMIN_LISTEN; exit code 0 only when ready."
    ),
}
EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "init": ("michiq-proxy init /etc/michiq",),
    "check": ("michiq-proxy check", "michiq-proxy -C /etc/michiq check --online"),
    "routes": ("michiq-proxy routes", "michiq-proxy routes --pending", "michiq-proxy routes --learned"),
    "serve": ("michiq-proxy serve", "MICHIQ_WORKERS=2 michiq-proxy -C /etc/michiq serve"),
    "demo": ("michiq-proxy demo", "michiq-proxy demo --ports 8081 8082 8083"),
    "sandbox": ("michiq-proxy sandbox --ports 8081 8082 8083",),
    "mode": (
        "michiq-proxy mode",
        "michiq-proxy mode new_case shadow --reason 'see what differs' --wait",
        "michiq-proxy mode set new_case canary --percent 5 --reason 'a few' --until 2h --wait",
        "michiq-proxy mode rollback new_case --reason 'it is 3 a.m.' --wait",
    ),
    "audit": ("michiq-proxy audit list --limit 50", "michiq-proxy audit verify"),
    "clients": ("michiq-proxy clients --since 2026-11-01 --csv",),
    "can-switch": ("michiq-proxy can-switch new_case",),
    "explain": ("michiq-proxy explain 4ae2e02e-6f06-40e8-9dc3-350ba7c43086",),
    "requests": (
        "michiq-proxy requests --organization 'Clínica Norte' --route new_case --failed --since '2 h'",
        "michiq-proxy requests --status 5xx --side new",
    ),
    "pending": (
        "michiq-proxy pending",
        "michiq-proxy pending resolve 0b9b0a3e-30a1-4f3c-9b0e-5a3c7c4f6a11 --not-made --reason 'none there'",
    ),
    "contract": (
        "michiq-proxy contract --target http://127.0.0.1:8080 --organization 'Clínica Norte' "
        "--user ana@clinica.example --read-only",
    ),
    "migrate": ("michiq-proxy migrate", "michiq-proxy migrate --serving-role michiq"),
    "copy-store": (
        "MICHIQ_TO_DATABASE_URL_FILE=new-database-url michiq-proxy copy-store --to-blobs s3://michiq-audio",
        "michiq-proxy copy-store --to-database sqlite:///back/michiq.db --to-blobs file:back/blobs",
    ),
    "rotate-keys": ("michiq-proxy rotate-keys --check", "michiq-proxy rotate-keys"),
    "erase": (
        "michiq-proxy erase --case a8085aea-653f-4ec1-9795-f5d809ff3bd4",
        "michiq-proxy erase --user ana@clinica.example --organization 'Clínica Norte' --report gone.json",
    ),
    "retention": ("michiq-proxy retention", "michiq-proxy retention --run"),
    "settings": ("michiq-proxy settings", "michiq-proxy -C /etc/michiq settings --json"),
    "completion": ('eval "$(michiq-proxy completion bash)"',),
    "healthcheck": ("michiq-proxy healthcheck",),
}
ENVIRONMENT: Final[dict[str, tuple[str, ...]]] = {
    "check": ("every MICHIQ_* setting",),
    "routes": _MODES,
    "serve": ("every MICHIQ_* setting",),
    "demo": ("MICHIQ_LISTEN", "MICHIQ_ADMIN_LISTEN", "MICHIQ_MAPPINGS"),
    "mode": _MODES,
    "audit": _STORE,
    "clients": _STORE,
    "can-switch": _MODES,
    "explain": _STORE,
    "requests": (*_STORE, "MICHIQ_MAPPINGS"),
    "pending": (*_STORE, "MICHIQ_MAPPINGS"),
    "contract": ("CONTRACT_API_KEY", "with --record:", *_MODES),
    "migrate": (*_STORE, "MICHIQ_DATABASE_POOLER", "MICHIQ_CA_FILE"),
    "copy-store": (*_STORE, "MICHIQ_TO_DATABASE_URL or MICHIQ_TO_DATABASE_URL_FILE, MICHIQ_TO_BLOBS_URL"),
    "rotate-keys": _STORE,
    "erase": (*_STORE, "MICHIQ_MAPPINGS"),
    "retention": (*_STORE, "MICHIQ_CONTENT_DAYS", "MICHIQ_AUDIO_DAYS"),
    "settings": ("every MICHIQ_* setting",),
    "completion": ("SHELL",),
    "healthcheck": ("MICHIQ_STATUS_LISTEN", "MICHIQ_ADMIN_LISTEN", "MICHIQ_TLS_CERT"),
}


def epilog(command: str) -> str:
    """Returns the examples and the environment of a command, each example on a line of its own."""
    examples = "\n".join(f"  {line}" for line in EXAMPLES[command])
    names = ", ".join(ENVIRONMENT.get(command, ("nothing",)))
    return f"\b\nExamples:\n{examples}\n\nEnvironment (or .env): {names}."
