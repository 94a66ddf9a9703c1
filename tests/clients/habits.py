"""The look of each client's bytes: the second table of docs/clients.md."""

import re
from dataclasses import dataclass, field, fields
from typing import Final

from tests.clients.wire import BOUNDARY, Request, Session


@dataclass(frozen=True, slots=True)
class Habits:
    """The look of one client's bytes; the metadata are the headings of the table in docs/clients.md."""

    api_key: str = field(metadata={"heading": "`API_KEY` arrives as"})
    organization: str = field(metadata={"heading": "`í` of the organization"})
    lengths: str = field(metadata={"heading": "form sent"})
    expect: str = field(metadata={"heading": "Expect"})
    boundary: str = field(metadata={"heading": "boundary"})
    filename: str = field(metadata={"heading": "`informe año.pdf`"})
    pdf_type: str = field(metadata={"heading": "type of the PDF"})
    line_end: str = field(metadata={"heading": "`\\n` in a field"})
    further: str = field(metadata={"heading": "further"})

    def cells(self) -> list[str]:
        return [getattr(self, each.name) for each in fields(self)]


# Spellings of an accent that the proxy reads; whoever sends another one needs an entry in organizations.toml.
READABLE: Final = ("UTF-8", "Latin-1")
HEADINGS: Final = tuple(str(each.metadata["heading"]) for each in fields(Habits))


def habits(session: Session) -> Habits:
    """The habits that show in a whole session."""
    case = session.case
    pdf = case.part("files")[0]
    return Habits(
        api_key=f"`{case.spelling('API_KEY')}`",
        organization=_letter(case.header("organization") or b""),
        lengths=" / ".join(dict.fromkeys(_framing(form) for form in session.forms)),
        expect=_expecting(session.forms),
        boundary=_boundary(case),
        filename=_filename(pdf),
        pdf_type=_type(pdf),
        line_end="CRLF" if b"\r\n" in session.conversation() else "as given",
        further=_further(session),
    )


def _letter(organization: bytes) -> str:
    """Returns the charset in which the `í` of `Clínica Norte` was written."""
    match = re.fullmatch(rb"Cl(.*)nica Norte", organization)
    letter = match[1] if match else organization
    known = {
        "í".encode(): "UTF-8",
        "í".encode("latin-1"): "Latin-1",
        b"?": "lost: `?`",
        b"i": "refused: `i`",
    }
    return known.get(letter, f"`{letter!r}`")


def _framing(form: Request) -> str:
    return "chunked" if form.header("Transfer-Encoding") else "length"


def _expecting(forms: list[Request]) -> str:
    expecting = [form for form in forms if form.header("Expect")]
    if not expecting:
        return "–"
    smallest = min(len(form.body) for form in expecting)
    others = [len(form.body) for form in forms if form not in expecting]
    return f"with {smallest / 1e6:.1f} MB" if others and max(others) < smallest else "always"


# What a library begins all its boundaries with: dashes, and words that no hexadecimal number is.
_STEM: Final = re.compile(r"-*(?:(?=[a-z]*[g-z])[a-z]+-)*")


def _boundary(form: Request) -> str:
    match = BOUNDARY.search(form.header("Content-Type") or b"")
    if not match:
        return "–"
    boundary = match[2].decode("latin-1")
    stem = _STEM.match(boundary)
    quoted = "quoted, " if match[1] else ""
    return f"{quoted}{len(boundary)} characters" + (f", `{stem[0]}…`" if stem and stem[0] else "")


def _filename(head: bytes) -> str:
    """The parameters of the PDF's disposition that carry its name, as they came."""
    line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-disposition"))
    found = re.findall(rb'filename\*?=(?:"[^"]*"|[^;]+)', line)
    return "; ".join(f"`{each.decode('utf-8', 'backslashreplace')}`" for each in found)


def _type(head: bytes) -> str:
    match = re.search(rb"^content-type:\s*([^\r\n]+)", head, re.IGNORECASE | re.MULTILINE)
    return f"`{match[1].decode('latin-1')}`" if match else "none"


_USUAL_PART_HEADERS: Final = frozenset({"content-disposition", "content-type"})


def _further(session: Session) -> str:
    """Returns rare habits: further part headers, an upgrade, a connection for each request."""
    lines = [line for head, _ in session.case.parts() for line in head.split(b"\r\n")]
    names = dict.fromkeys(line.partition(b":")[0].decode("latin-1") for line in lines)
    notes = [f"part header `{name}`" for name in names if name.lower() not in _USUAL_PART_HEADERS]
    for name in ("Upgrade", "Content-Encoding"):
        if value := session.case.header(name):
            notes.append(f"`{name}: {value.decode('latin-1')}`")
    if session.case.spelling("Host") == "host":
        notes.append("its own headers in lower case")
    if session.connections == len(session.sent):
        notes.append("a connection for each request")
    return "; ".join(notes) or "–"
