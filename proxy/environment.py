"""Reads settings from where they are written: the environment, a `.env` file, files of one secret each."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

PREFIX: Final = "MICHIQ_"
FILE: Final = "_FILE"
ADMIN_LISTEN: Final = "127.0.0.1:9090"  # the default

# Variables that Kubernetes sets for a Service, and Docker for a link, named michiq or michiq-...: the name,
# and where an operator could write the same name by mistake, the form of the value.
_ANY: Final = re.compile(r".*", re.DOTALL)
_OTHERS: Final = tuple(
    (re.compile(rf"MICHIQ(?:_[A-Z0-9_]+)?_{suffix}"), value)
    for suffix, value in (
        ("SERVICE_HOST", _ANY),
        ("SERVICE_PORT(?:_[A-Z0-9_]+)?", _ANY),
        ("PORT", re.compile(r"(?:tcp|udp|sctp)://.+")),
        ("PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?", _ANY),
        ("NAME", re.compile(r"/.+")),
        ("ENV_.+", _ANY),
    )
)


class Unreadable(Exception):
    """Settings that can't be read; each of `problems` says where, never what."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read_env_file(path: Path) -> dict[str, str]:
    """Returns the variables of a `.env` file, none if there is no such file. Raises Unreadable."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            from dotenv.parser import parse_stream  # most have no such file, and start faster without it

            bindings = list(parse_stream(lines))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise Unreadable([f"{path.name} can't be read: it must be a UTF-8 text file"]) from None
    wrong = [each for each in bindings if each.error or (each.key and each.value is None)]
    if wrong:
        raise Unreadable([f"{path.name}, line {e.original.line}: not NAME=value" for e in wrong])
    return {each.key: each.value for each in bindings if each.key and each.value is not None}


def mode_read_by_others(path: Path) -> str | None:
    """Returns the mode of a file that its group or others can read or write; None for any other."""
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        return None
    return f"{mode:04o}" if mode & 0o066 else None


def read_secret_files(
    given: Mapping[str, str], names: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Replaces each `NAME_FILE` of `names` by NAME; returns the variables, and the problem of each bad NAME.

    The value is the file's content without its last line end. An empty variable counts as unset.
    """
    found = {name: value for name, value in given.items() if name.removesuffix(FILE) not in names}
    found |= {name: given[name] for name in names if given.get(name)}
    problems: dict[str, str] = {}
    for name in sorted(name for name in names if given.get(name + FILE)):
        try:
            if name in found:
                raise ValueError(f"{name} and {name}{FILE} are both set: keep one, set the other to nothing")
            found[name] = _content(name + FILE, Path(given[name + FILE]))
        except ValueError as error:
            problems[name] = str(error)
    return found, problems


def _content(setting: str, path: Path) -> str:
    """Returns the secret in a file.

    Raises ValueError with the setting and the reason, never the path, which may be a secret by mistake.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"{setting} names a file that can't be read: {error.strerror}") from None
    except ValueError:
        raise ValueError(f"{setting} names a file that is not UTF-8 text") from None
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise ValueError(f"{setting} names an empty file")
    return value


def is_service_link(name: str, value: str) -> bool:
    """Returns whether Kubernetes or Docker has set this variable, and not an operator.

    `MICHIQ_PORT=8080` is an operator's mistake; `MICHIQ_PORT=tcp://10.0.0.1:8080` is a Service's address.
    """
    return any(named.fullmatch(name) and form.fullmatch(value) for named, form in _OTHERS)
