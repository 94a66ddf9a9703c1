"""What is read out of each kind of file, sound and broken."""

import logging
from io import BytesIO
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.text.extract import extract
from proxy.text.extraction import MAX_CHARACTERS, Outcome
from tests.samples import DAMAGES, Damage, damaged_pdf, docx, encrypted_pdf, long_pdf, pdf, scanned_pdf

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
BINARY = "application/octet-stream"


def _with_member(archive: bytes, name: str, data: bytes) -> bytes:
    """`archive`, its member `name` replaced or added."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        new.writestr(name, data)
    return buffer.getvalue()


def _understated(archive: bytes) -> bytes:
    """`archive`, its directory saying that the last member unpacks to 10 bytes."""
    entry = archive.rindex(b"PK\x01\x02")
    return archive[: entry + 24] + (10).to_bytes(4, "little") + archive[entry + 28 :]


# --- PDF


def test_extract_N13_each_page_of_a_pdf_is_read_and_parted_by_form_feeds() -> None:
    extraction = extract(pdf(["Tos y fiebre", "Ñandú: 37,5 ºC"]), "informe.pdf", PDF)
    assert extraction.outcome == "text"
    assert [page.strip() for page in extraction.text.split("\f")] == ["Tos y fiebre", "Ñandú: 37,5 ºC"]


@pytest.mark.parametrize(
    ("name", "media"), [("a.pdf", BINARY), ("a", PDF), ("A.PDF", ""), ("a.txt", "text/plain")]
)
def test_a_pdf_is_known_by_its_header_its_type_or_its_name(name: str, media: str) -> None:
    assert extract(pdf(["Tos"]), name, media).outcome == "text"


@pytest.mark.parametrize("damage", DAMAGES)
def test_extract_N12_a_pdf_that_cannot_be_read_is_damaged(damage: Damage) -> None:
    assert extract(damaged_pdf(damage), "informe.pdf", PDF).outcome == "damaged"


@pytest.mark.parametrize(("name", "media"), [("a.pdf", BINARY), ("a.bin", PDF)])
def test_extract_N12_what_is_called_a_pdf_and_has_no_header_is_damaged(name: str, media: str) -> None:
    assert extract(b"Estimado colega:", name, media).outcome == "damaged"


def test_extract_N12_a_scan_without_text_is_empty() -> None:
    assert extract(scanned_pdf(), "escaneo.pdf", PDF).outcome == "empty"


def test_extract_N12_a_blank_page_is_empty() -> None:
    assert extract(pdf([""]), "blanco.pdf", PDF).outcome == "empty"


def test_extract_N12_a_pdf_with_a_password_is_encrypted() -> None:
    assert extract(encrypted_pdf(), "cifrado.pdf", PDF).outcome == "encrypted"


def test_a_pdf_that_is_only_protected_against_changes_is_read() -> None:
    assert "Texto cifrado" in extract(encrypted_pdf(password=""), "protegido.pdf", PDF).text


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"startxref\n", b"startxref\n9"), (b"/Root", b"/Roox"), (b"%PDF-", b"junk\n%PDF-")],
    ids=["wrong cross reference", "no root", "junk before the header"],
)
def test_extract_N12_a_pdf_that_can_be_repaired_is_read(old: bytes, new: bytes) -> None:
    assert "Alergia" in extract(pdf(["Alergia"]).replace(old, new), "informe.pdf", PDF).text


def test_extract_N12_a_pdf_with_one_broken_page_is_read_without_it() -> None:
    sound = pdf(["Primera página", "Segunda página"])
    start = sound.index(b"stream\n") + len(b"stream\n")
    broken = sound[:start] + b"\0" * 24 + sound[start + 24 :]
    first, second = extract(broken, "informe.pdf", PDF).text.split("\f")
    assert first == ""
    assert "Segunda" in second


def test_all_pages_of_a_long_pdf_are_read() -> None:
    text = extract(long_pdf(60, {40: "Alergia al látex."}), "largo.pdf", PDF).text
    assert "Alergia al látex." in text.split("\f")[39]


@pytest.mark.parametrize("damage", DAMAGES)
def test_extract_G10_the_complaints_of_the_pdf_reader_reach_no_log(
    damage: Damage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        extract(damaged_pdf(damage), "informe.pdf", PDF)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.binary(min_size=1, max_size=40))
def test_extract_N12_a_pdf_with_any_scar_has_an_outcome(at: int, scar: bytes) -> None:
    sound = pdf(["Alergia a la penicilina"])
    at %= len(sound)
    extraction = extract(sound[:at] + scar + sound[at + len(scar) :], "informe.pdf", PDF)
    assert bool(extraction.text) == (extraction.outcome == "text")


# --- DOCX


def test_extract_N13_a_docx_gives_headers_paragraphs_rows_and_footers() -> None:
    data = docx(["Motivo: tos", "Plan"], [["Glucosa", "95"], ["Urea", "40"]], header="Ana", footer="Hoja 1")
    lines = extract(data, "informe.docx", BINARY).text.split("\n")
    assert [line for line in lines if line] == [
        "Ana",
        "Motivo: tos",
        "Plan",
        "Glucosa | 95",
        "Urea | 40",
        "Hoja 1",
    ]


def test_text_in_content_controls_and_insertions_of_a_docx_is_read_once() -> None:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    mc = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    body = (
        f'<w:document xmlns:w="{w}" xmlns:mc="{mc}"><w:body>'
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>control</w:t></w:r></w:p></w:sdtContent></w:sdt>"
        "<w:p><w:ins><w:r><w:t>insertado</w:t></w:r></w:ins><w:del><w:r><w:delText>borrado</w:delText></w:r></w:del></w:p>"
        "<w:p><mc:AlternateContent><mc:Choice><w:r><w:t>dibujo</w:t></w:r></mc:Choice>"
        "<mc:Fallback><w:r><w:t>dibujo</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p></w:body></w:document>"
    )
    data = _with_member(docx(["x"]), "word/document.xml", body.encode())
    assert extract(data, "plantilla.docx", DOCX).text.split() == ["control", "insertado", "dibujo"]


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (docx([]), "empty"),
        (docx(["x"])[:2000], "damaged"),
        (b"PK\x03\x04 nothing else", "damaged"),
        (_with_member(docx(["x"]), "word/document.xml", b"<w:document"), "damaged"),
        (_with_member(docx(["x"]), "[Content_Types].xml", b"<Types/>"), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "encrypted"),
        (_with_member(docx(["x"]), "bomb", b"\0" * (70 << 20)), "unsupported"),
        (_understated(_with_member(docx(["x"]), "bomb", b"\0" * (70 << 20))), "damaged"),
    ],
    ids=["no text", "cut", "no archive", "cut xml", "no types", "with a password", "a bomb", "a lying bomb"],
)
def test_extract_N13_a_docx_without_readable_text_says_why(data: bytes, outcome: Outcome) -> None:
    assert extract(data, "informe.docx", DOCX).outcome == outcome


# --- text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_is_read_in_each_encoding_of_old_clients(encoding: str) -> None:
    assert (
        extract("Clínica Peñón: café".encode(encoding), "nota.txt", "text/plain").text
        == "Clínica Peñón: café"
    )


@pytest.mark.parametrize(
    ("name", "media"),
    [
        *(("a.txt", BINARY), ("a.CSV", ""), ("a.md", ""), ("a.json", ""), ("a.xml", ""), ("a.html", "")),
        *(("a", "text/plain; charset=utf-8"), ("a", "Application/JSON"), ("a", "application/xml")),
    ],
)
def test_a_text_is_known_by_its_type_or_its_name(name: str, media: str) -> None:
    assert extract(b"tos", name, media).text == "tos"


@pytest.mark.parametrize(
    ("name", "media"), [("a.jpg", "image/jpeg"), ("a.mp3", "audio/mpeg"), ("a", ""), ("pdf", "")]
)
def test_extract_N13_other_kinds_of_files_have_no_text(name: str, media: str) -> None:
    assert extract(b"\xff\xd8\xff", name, media).outcome == "unsupported"


@pytest.mark.parametrize(
    ("name", "media"), [("a.pdf", PDF), ("a.docx", DOCX), ("a.txt", "text/plain"), ("a.mp3", "")]
)
def test_a_file_of_no_bytes_is_empty_whatever_it_is_called(name: str, media: str) -> None:
    assert extract(b"", name, media).outcome == "empty"


def test_what_is_read_can_be_encoded_stored_and_searched() -> None:
    text = extract("ﬁebre de 10³\x00 \x1b[0m\r\ncafe\u0301  \nfin".encode(), "a.txt", "text/plain").text
    assert text == "fiebre de 10³ [0m\ncafé\nfin"


def test_a_text_is_cut_at_its_limit() -> None:
    assert len(extract(b"a" * (MAX_CHARACTERS + 9), "a.txt", "text/plain").text) == MAX_CHARACTERS


class Note:
    def open(self) -> BinaryIO:
        return BytesIO(b"tos")


def test_a_file_can_be_given_as_what_opens_it() -> None:
    assert extract(Note(), "nota.txt", "text/plain").text == "tos"


def test_extract_G10_a_text_is_not_shown_by_its_extraction() -> None:
    assert "tos" not in repr(extract(b"tos", "a.txt", "text/plain"))
