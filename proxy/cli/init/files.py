"""Makes the files that `michiq-proxy init` writes: mapping files, their schemas, and the settings."""

from collections.abc import Iterator

from cryptography.fernet import Fernet

from proxy import shipped
from proxy.cli.shared.schemas import MODELS, schema_of
from proxy.environment import PREFIX
from proxy.settings import Settings, meaning


def files() -> Iterator[tuple[str, str]]:
    """Yields each file's name and text."""
    yield ".env", _env()
    for path in sorted(shipped.mappings().glob("*.toml")):
        directive = f"#:schema schemas/{path.stem}.json\n"
        yield f"mappings/{path.name}", directive + path.read_text("utf-8")
    for name in MODELS:
        yield (
            f"mappings/schemas/{name}.json",
            schema_of(name) + "\n",
        )


def _env() -> str:
    """Returns every setting with its meaning and default; all but the key are commented out."""
    lines = ["# Settings of michiq-proxy; the environment overrides this file. Keep it secret.", ""]
    for name, field in Settings.model_fields.items():
        lines.append(f"# {meaning(name)}")
        if name == "secret_keys":
            lines.append(f"{PREFIX}SECRET_KEYS={Fernet.generate_key().decode()}")
        else:
            lines.append(f"# {PREFIX}{name.upper()}={field.default or ''}")
        lines.append("")
    return "\n".join(lines)
