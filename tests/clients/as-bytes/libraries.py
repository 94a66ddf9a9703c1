"""Requests as written by libraries that don't run here: Indy, PowerShell 5.1, RestSharp, App Engine's front.

Sources: Indy 10's IdMultipartFormData.pas; RestSharp's RequestContent.cs on .NET Framework's HttpClient; what
scripts for Windows PowerShell 5.1 do, which has no forms of its own; issue 77 of appengine-python-standard.
"""

from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

Head = Callable[[str, str, str], bytes]


@dataclass(frozen=True, slots=True)
class Library:
    """The habits of one library.

    `content_type` is the form's; `text` writes a text part, `file` the head of a file's part, from its name,
    file name and type. `headers` and `json` are texts in `charset`, which nothing declares.
    """

    boundary: str
    content_type: str
    text: Callable[[str, str], bytes]
    file: Head
    charset: str
    json_type: str = "application/json"
    query: str = "query"
    audio_file: str = "audioFile"
    expects: bool = False
    files_first: bool = False
    further: bytes = b""

    def form(self, texts: Mapping[str, str], files: list[tuple[str, str, str, bytes]]) -> bytes:
        """Returns a form's body; each file is its part's name, its file name, its type and its bytes."""
        fields = [self.text(name, text) for name, text in texts.items()]
        uploads = [self.file(*names) + b"\r\n\r\n" + content + b"\r\n" for *names, content in files]
        parts = [*uploads, *fields] if self.files_first else [*fields, *uploads]
        mark = f"--{self.boundary}".encode()
        whole = b"".join(mark + b"\r\n" + part for part in ([self.further] if self.further else []) + parts)
        return whole + mark + b"--\r\n"


def _lines(*lines: str, charset: str = "utf-8") -> bytes:
    return "\r\n".join(lines).encode(charset)


def _indy_name(text: str) -> str:
    """Writes each word that is not ASCII as an encoded-word in the charset of a Western Windows."""
    words = (
        word if word.isascii() else f"=?windows-1252?B?{b64encode(word.encode('cp1252')).decode()}?="
        for word in text.split(" ")
    )
    return " ".join(words)


def _indy_text(name: str, text: str) -> bytes:
    # Each line of Indy's quoted-printable ends with CRLF, the last one too: it is the delimiter's own.
    lines = b"".join(b2a_qp(line.encode("cp1252")) + b"\r\n" for line in text.split("\n"))
    head = f'Content-Disposition: form-data; name="{name}"'
    return (
        _lines(head, "Content-Type: text/plain", "Content-Transfer-Encoding: quoted-printable", "", "")
        + lines
    )


def _indy_file(name: str, filename: str, kind: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{_indy_name(filename)}"'
    return _lines(head, f"Content-Type: {kind}", "Content-Transfer-Encoding: binary")


def _powershell_text(name: str, text: str) -> bytes:
    return _lines(f'Content-Disposition: form-data; name="{name}"', "", text, "", charset="latin-1")


def _powershell_file(name: str, filename: str, kind: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return _lines(head, f"Content-Type: {kind}", charset="latin-1")


def _restsharp_text(name: str, text: str) -> bytes:
    head = f"Content-Disposition: form-data; name={name}"
    return _lines("Content-Type: text/plain; charset=utf-8", head, "", text, "")


def _restsharp_file(name: str, filename: str, kind: str) -> bytes:
    plain = filename if filename.isascii() else f"=?utf-8?B?{b64encode(filename.encode()).decode()}?="
    names = f"filename=\"{plain}\"; filename*=utf-8''{quote(filename, safe='')}"
    return _lines(f"Content-Type: {kind}", f"Content-Disposition: form-data; name={name}; {names}")


def _app_engine_text(name: str, text: str) -> bytes:
    head = f"Content-Disposition: form-data; name={name}"
    return _lines('Content-Type: text/plain; charset="UTF-8"', head, "", text, "")


def _app_engine_file(name: str, filename: str, kind: str) -> bytes:
    return _lines(
        f"Content-Type: {kind}", f'Content-Disposition: form-data; name={name}; filename="{filename}"'
    )


LIBRARIES: Mapping[str, Library] = {
    "delphi-indy": Library(
        boundary="--------112826224501337",
        content_type="multipart/form-data; boundary={}",
        text=_indy_text,
        file=_indy_file,
        charset="cp1252",
    ),
    "powershell-5.1": Library(
        boundary="5c3b2b0e-8a6e-4a57-9f0e-1f0e6f6c7d11",
        content_type='multipart/form-data; boundary="{}"',
        text=_powershell_text,
        file=_powershell_file,
        charset="latin-1",
        expects=True,
    ),
    "restsharp": Library(
        boundary="0b7a3f5e-6a1d-4a0b-9d53-7f6c2f6f3b52",
        content_type='multipart/form-data; boundary="{}"',
        text=_restsharp_text,
        file=_restsharp_file,
        charset="latin-1",
        json_type="application/json; charset=iso-8859-1",
        query="Query",
        audio_file="AudioFile",
        expects=True,
        files_first=True,
    ),
    "app-engine": Library(
        boundary="0000000000002f7a3d05f82538d2",
        content_type="multipart/form-data; boundary={}",
        text=_app_engine_text,
        file=_app_engine_file,
        charset="utf-8",
        json_type="application/json; charset=UTF-8",
        # An empty field: its delimiter stands straight behind the blank line.
        further=_lines(
            'Content-Type: text/plain; charset="UTF-8"', "Content-Disposition: form-data; name=notas"
        )
        + b"\r\n\r\n",
    ),
}
