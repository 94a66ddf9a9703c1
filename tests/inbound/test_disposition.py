"""File names as clients write them, and what they meant."""

import base64
import quopri
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.errors import Refusal
from proxy.inbound.disposition import Disposition, read_disposition

# By the header's value behind `form-data; name="files"; `.
NAMES: Final[dict[bytes, str]] = {
    b'filename="informe.pdf"': "informe.pdf",
    b"filename=informe.pdf": "informe.pdf",
    b'filename = "informe.pdf" ;': "informe.pdf",
    b'FileName="informe.pdf"; size=4': "informe.pdf",
    b'filename="a;b;c.pdf"': "a;b;c.pdf",
    b"filename=a;b;c.pdf": "a;b;c.pdf",
    b"filename=informe anual.pdf": "informe anual.pdf",
    b'filename=""': "",
    b"filename=; size=4": "",
    b"filename*0=informe.pdf; filename*1=": "informe.pdf",
    b'filename="a"b".pdf"': 'a"b".pdf',
    b'filename=""a""': '"a"',
    b'filename="a"b".pdf"; size=4': 'a"b".pdf',
    b'filename="dos \\"comillas\\".pdf"': 'dos "comillas".pdf',
    b'filename="dos %22comillas%22.pdf"': 'dos "comillas".pdf',
    b'filename="100%25.pdf"': "100%25.pdf",
    b'filename="a\\\\b.pdf"': "a\\b.pdf",
    b'filename="a\\\\\\"b\\".pdf"': 'a\\"b".pdf',
    b'filename="C:\\dir\\x.pdf"': "C:\\dir\\x.pdf",
    b'filename="C:\\new\\"x".pdf"': 'C:\\new"x".pdf',
    b'filename="\\\\servidor\\dir\\x.pdf"': "\\\\servidor\\dir\\x.pdf",
    "filename=\"niño.pdf\"".encode(): "niño.pdf",
    b'filename="ni\xf1o.pdf"': "niño.pdf",
    b'filename="\x93Dolor\x94 \x96 5 \x80.pdf"': "“Dolor” – 5 €.pdf",
    b'filename="=?utf-8?B?bmnDsW8ucGRm?="': "niño.pdf",
    b"filename==?utf-8?B?bmnDsW8ucGRm?=": "niño.pdf",
    b'filename="=?UTF-8*es?q?ni=C3=B1o?=.pdf"': "niño.pdf",
    b'filename="=?windows-1252?Q?=93un_ni=F1o=94?="': "“un niño”",
    b'filename="=?utf-8?B?bmnD?=  =?utf-8?Q?=B1o?= =?iso-8859-15?Q?=A4?=.pdf"': "niño€.pdf",
    b'filename="un =?utf-8?Q?ni=C3=B1o?= y otro.pdf"': "un niño y otro.pdf",
    b'filename="=?no-such?B?YQ==?=.pdf"': "=?no-such?B?YQ==?=.pdf",
    b'filename="=?utf-8?B?YQ=?=.pdf"': "=?utf-8?B?YQ=?=.pdf",
    b'filename="=?utf-8?Q?=4?=.pdf"': "=?utf-8?Q?=4?=.pdf",
    b'filename="=?utf-8?Q?=FF?=.pdf"': "=?utf-8?Q?=FF?=.pdf",
    b'filename="=?utf-7?Q?+2AA-?=.pdf"': "=?utf-7?Q?+2AA-?=.pdf",
    b"filename*=UTF-8''ni%c3%b1o.pdf": "niño.pdf",
    b"filename*=\"UTF-8'es'ni%C3%B1o.pdf\"": "niño.pdf",
    b"filename*=iso-8859-15''%A4.pdf": "€.pdf",
    b"filename=x.pdf; filename*=UTF-8''ni%c3%b1o.pdf": "niño.pdf",
    b"filename*=UTF-8''ni%c3%b1o.pdf; filename=x.pdf": "niño.pdf",
    b"filename*=no-such''%f1.pdf; filename=x.pdf": "x.pdf",
    b"filename*=no-such''%f1.pdf": "ñ.pdf",
    b"filename*=utf-8''%f1.pdf": "ñ.pdf",
    b"filename*=informe.pdf": "informe.pdf",
    b"filename*0=\"informe \"; filename*1=anual.pdf": "informe anual.pdf",
    b"filename*0*=utf-8''ni%c3; filename*1*=%b1o; filename*2=.pdf": "niño.pdf",
    b'filename="; filename*=UTF-8\'\'x.txt"': "; filename*=UTF-8''x.txt",
}  # fmt: skip
REFUSED: Final = (
    b'form-data; name="files',
    b'form-data; name="files; filename="x.pdf"',
    b'form-data; name="files"; filename="x.pdf',
    b'form-data; name="files"; filename="x.pdf; size=4',
    b'form-data; name="files"; name="ehr"',
    b"form-data; name=files; filename=a; FILENAME=b",
    b'form-data; name="a"b"',
    b"form-data; name=files; now; filename=x.pdf",
    b'form-data; name="files"; now; filename="x.pdf"',
    b'form-data; name="files", filename="x.pdf"',
    b'form-data, name="files"',
    b"form-data name=files",
    b"inline; name=files",
    b"name=files",
    b"",
)


@pytest.mark.parametrize("written", NAMES)
def test_file_N10_is_called_what_its_client_meant(written: bytes) -> None:
    for before in (b'form-data; name="files"; ', b"Attachment;name=files;"):
        assert read_disposition(before + written) == Disposition("files", NAMES[written])
    assert (
        read_disposition(b"form-data; " + written.rstrip(b"; ") + b'; name="files"').filename
        == NAMES[written]
    )


@pytest.mark.parametrize("value", REFUSED)
def test_part_N16_whose_names_can_be_read_in_two_ways_is_refused(value: bytes) -> None:
    with pytest.raises(Refusal):
        read_disposition(value)


@pytest.mark.parametrize(
    "value", [b"form-data", b'form-data; name=""', b"form-data; name", b"form-data; filename=a"]
)
def test_part_N16_without_a_name_has_none(value: bytes) -> None:
    assert read_disposition(value).name == ""


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20), st.sampled_from(("utf-8", "utf-16"))
)
@example("C:\\", "utf-8")
@example('"', "utf-8")
def test_file_N10_has_its_name_in_every_sound_spelling(name: str, charset: str) -> None:
    raw = name.encode(charset)
    word = base64.b64encode(raw).decode()
    quoted = quopri.encodestring(raw, quotetabs=True, header=True).replace(b"=\n", b"").decode()
    quoted = quoted.replace("?", "=3F").replace("\n", "=0A")
    for value in (
        f"filename*={charset}''{quote(raw, safe='')}",
        f"filename*0*={charset}''; filename*1*={quote(raw, safe='')}",
        f'filename="=?{charset}?B?{word}?="',
        f'filename="=?{charset}?Q?{quoted}?="',
    ):
        assert read_disposition(f"form-data; name=files; {value}".encode()).filename == name, value


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20).filter(lambda name: "=?" not in name)
)
@example('a\\"b\\')
def test_file_N10_has_its_name_by_escapes(name: str) -> None:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    browsers = name.replace('"', "%22")
    written = [escaped] if "%" not in name else []
    written += [browsers] if "\\" not in name and "%" not in name else []
    for each in written:
        assert read_disposition(f'form-data; name="files"; filename="{each}"'.encode()).filename == name
