"""`michiq-proxy init`: writes the files that an operator edits."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from cryptography.fernet import Fernet

from proxy import shipped
from proxy.cli.common import Failure
from proxy.cli.schemas import MODELS, schema_of
from proxy.environment import PREFIX
from proxy.settings import Settings, meaning


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write mapping files, their schemas and a `.env` with a new key into FOLDER."""
    files = dict(_files())
    existing = [name for name in files if (folder / name).exists()]
    if existing:
        raise Failure(f"{folder} has {existing[0]} already; nothing was written")
    try:
        _write(folder, files)
    except OSError as error:
        raise Failure(f"{error.filename or folder} can't be written: {error.strerror}") from None
    click.echo(
        f"{folder}: edit .env and mappings/, then run in that folder: michiq-proxy check, michiq-proxy serve"
    )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600 if name == ".env" else 0o644)
        path.write_text(text, "utf-8")


def _files() -> Iterator[tuple[str, str]]:
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
