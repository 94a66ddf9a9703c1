"""The text of each kind of file, sound and broken."""

import base64
import logging
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import SEEK_END, BytesIO
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.text import extract as extracting
from proxy.text.extract import extract
from proxy.text.extraction import MAX_CHARACTERS, Outcome
from tests.samples import DAMAGES, Damage, damaged_pdf, docx, encrypted_pdf, long_pdf, pdf, scanned_pdf

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
RELATIONSHIP = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
BINARY = "application/octet-stream"


def _with_member(archive: bytes, name: str, data: bytes) -> bytes:
    """Returns `archive` with its member `name` replaced or added."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        new.writestr(name, data)
    return buffer.getvalue()


def _member(archive: bytes, name: str) -> bytes:
    with ZipFile(BytesIO(archive)) as opened:
        return opened.read(name)


def _without(archive: bytes, name: str) -> bytes:
    """Returns `archive` without its member `name`, which its relationships still name."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
    return buffer.getvalue()


def _related(archive: bytes, part: str, kind: str, target: str) -> bytes:
    """Returns `archive` with one more relationship of its `part` ("" for the whole)."""
    folder, _, name = part.rpartition("/")
    rels = f"{folder}/_rels/{name}.rels".lstrip("/")
    added = f'<Relationship Id="added" Type="{RELATIONSHIP}/{kind}" Target="{target}"/></Relationships>'
    return _with_member(archive, rels, _member(archive, rels).replace(b"</Relationships>", added.encode()))


def _strict(archive: bytes) -> bytes:
    """Returns `archive` in the namespaces of Strict Open XML."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(buffer, "w", ZIP_DEFLATED) as new:
        for member in old.namelist():
            data = old.read(member).replace(
                b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
                b"http://purl.oclc.org/ooxml/wordprocessingml/main",
            )
            new.writestr(
                member,
                data.replace(
                    RELATIONSHIP.encode(), b"http://purl.oclc.org/ooxml/officeDocument/relationships"
                ),
            )
    return buffer.getvalue()


def _renamed(archive: bytes, old: str, new: str) -> bytes:
    """Returns `archive` with a member under another name, which its relationships have, too."""
    buffer = BytesIO()
    with ZipFile(BytesIO(archive)) as source, ZipFile(buffer, "w", ZIP_DEFLATED) as target:
        for member in source.namelist():
            target.writestr(member.replace(old, new), source.read(member).replace(old.encode(), new.encode()))
    return buffer.getvalue()


def _noted(kind: str, text: str) -> bytes:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    return f'<w:{kind} xmlns:w="{w}"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:{kind}>'.encode()


LINE = b"BT /F 12 Tf 9 9 Td (Alergia) Tj ET"
CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = (
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F 5 0 R/U 6 0 R>>>>>>"
)
FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def _stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%b>>\nstream\n%b\nendstream" % (len(data), entries, data)


def _built(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Returns a PDF of these objects, numbered from 1; the first is its catalog."""
    file = BytesIO(b"%PDF-1.7\n")
    file.seek(0, SEEK_END)
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, each))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer\n<</Size %d/Root 1 0 R%b>>\n" % (len(places) + 1, trailer))
    file.write(b"startxref\n%d\n%%%%EOF\n" % start)
    return file.getvalue()


def _one_page(content: bytes) -> bytes:
    """Returns a PDF of one page; in its font /U the characters 1 and 2 have no text."""
    names = b"1 begincodespacerange<00><ff>endcodespacerange 2 beginbfchar<01><0000><02><0002>endbfchar"
    names = b"/CIDInit /ProcSet findresource begin begincmap " + names + b" endcmap end"
    unnamed = FONT.replace(b">>", b"/ToUnicode 7 0 R>>")
    return _built([CATALOG, PAGES, PAGE, _stream(content), FONT, unnamed, _stream(names)])


def _understated(archive: bytes) -> bytes:
    """Returns `archive`, but its directory says that the last member unpacks to 10 bytes."""
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
def test_extract_N12_a_pdf_without_a_page_tree_is_damaged(damage: Damage) -> None:
    assert extract(damaged_pdf(damage), "informe.pdf", PDF).outcome == "damaged"


def test_extract_N12_a_pdf_whose_streams_nobody_can_read_counts_as_a_scan() -> None:
    assert extract(damaged_pdf("streams"), "informe.pdf", PDF).outcome == "empty"


@pytest.mark.parametrize(("name", "media"), [("a.pdf", BINARY), ("a.bin", PDF)])
@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"Estimado colega:",
        damaged_pdf("no-header"),
        b" " * 1024 + pdf(["Tos"]),
    ],
)
def test_extract_N12_what_is_called_a_pdf_and_has_no_header_is_another_kind_of_file(
    data: bytes, name: str, media: str
) -> None:
    assert extract(data, name, media).outcome == "unsupported"


def test_extract_N12_a_text_that_speaks_of_a_pdf_is_a_text() -> None:
    assert extract(b"Un PDF empieza por %PDF-", "nota.txt", "text/plain").outcome == "text"


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
    [
        (b"startxref\n", b"startxref\n9"),
        (b"/Root", b"/Roox"),
        (b"%PDF-", b"junk\n%PDF-"),
        (b"%PDF-", b"\0" * 1019 + b"%PDF-"),
        (b"\nxref\n", b"\n"),
        (b"\ntrailer\n", b"\n"),
        (b"\ntrailer\n", b"\0" * 4096),
        (b"%%EOF", b""),
    ],
    ids=[
        *("wrong cross reference", "no root", "junk before the header", "much junk before the header"),
        *("no cross references", "no trailer", "a trailer of zeros", "no end"),
    ],
)
def test_extract_N12_a_pdf_that_can_be_repaired_is_read(old: bytes, new: bytes) -> None:
    assert "Alergia" in extract(pdf(["Alergia"]).replace(old, new), "informe.pdf", PDF).text


def test_extract_N12_a_pdf_that_was_cut_behind_its_pages_is_read() -> None:
    sound = pdf(["Alergia"])
    assert "Alergia" in extract(sound[: sound.rindex(b"xref\n0")], "informe.pdf", PDF).text


def test_extract_N12_a_pdf_whose_cross_references_name_other_objects_is_read() -> None:
    objects = [CATALOG, PAGES, PAGE, _stream(b"BT /F 12 Tf 9 9 Td (Alergia) Tj ET"), FONT]
    wrong = _built([*objects[:2], objects[3], objects[2], objects[4]])
    assert (
        "Alergia"
        in extract(
            wrong.replace(b"3 0 obj", b"X 0 obj")
            .replace(b"4 0 obj", b"3 0 obj")
            .replace(b"X 0 obj", b"4 0 obj"),
            "a.pdf",
            PDF,
        ).text
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"BT /F 12 Tf 9 9 Td [(Aler) Tj (gia)] TJ ET", "Alergia"),
        (b"BT /F 12 Tf 9 9 Td (Alergia) Tj ET 1 2 nonsense", "Alergia"),
        (b"BT /F 12 Tf 9 30 Td (penici-) Tj 0 -15 Td (lina) Tj ET", "penici-\nlina"),
        (b"BT /U 12 Tf 9 9 Td (\x01Aler\x01\x01gia) Tj ET", "Alergia"),
    ],
    ids=["an operator in an array", "an unknown operator", "a hyphen", "signs without name"],
)
def test_extract_N12_a_page_with_a_fault_is_read(content: bytes, said: str) -> None:
    assert said in extract(_one_page(content), "informe.pdf", PDF).text


@pytest.mark.parametrize(
    ("filters", "data"),
    [
        (b"/Filter/Fl", zlib.compress(LINE)),
        (b"/Filter/FlateDecode", zlib.compress(LINE)[:-6]),
        (b"/Filter[/AHx]", LINE.hex().encode() + b">"),
        (b"/Filter[/A85/Fl]", base64.a85encode(zlib.compress(LINE)) + b"~>"),
        (b"/Filter/FlateDecode", zlib.compress(LINE + b" " * 90_000_000)),
    ],
    ids=["Fl", "no checksum", "AHx", "A85 and Fl", "a long stream"],
)
def test_extract_N12_a_stream_under_any_documented_filter_name_is_read(filters: bytes, data: bytes) -> None:
    assert (
        "Alergia" in extract(_built([CATALOG, PAGES, PAGE, _stream(data, filters), FONT]), "a.pdf", PDF).text
    )


def test_extract_N12_a_pdf_of_many_empty_streams_is_read() -> None:
    streams = [_stream(b"")] * 200
    data = _built([CATALOG, PAGES, PAGE, _stream(LINE), FONT, *streams])
    assert "Alergia" in extract(data, "informe.pdf", PDF).text


@pytest.mark.parametrize("handler", [b"/Filter/Propio/V 1", b"/Filter/Standard/V 9/R 9/O()/U()/P 0"])
def test_extract_N12_a_pdf_under_an_unknown_lock_is_encrypted(handler: bytes) -> None:
    objects = [CATALOG, PAGES, PAGE, _stream(LINE), FONT, b"<<" + handler + b">>"]
    assert extract(_built(objects, b"/Encrypt 6 0 R"), "informe.pdf", PDF).outcome == "encrypted"


def test_extract_N12_a_pdf_of_no_pages_is_empty() -> None:
    empty = b"<</Type/Pages/Kids[]/Count 0>>"
    assert extract(_built([CATALOG, empty]), "informe.pdf", PDF).outcome == "empty"


def test_a_page_of_signs_that_have_no_text_is_read_to_its_end() -> None:
    """Avoids the library's own way of reading such a page, which recurses at each character."""
    data = _one_page(b"BT /U 12 Tf 9 30 Td (" + b"\x02" * 5000 + b") Tj /F 12 Tf 0 -15 Td (Alergia) Tj ET")
    assert extract(data, "informe.pdf", PDF).text.strip() == "Alergia"


def test_several_threads_may_read_pdfs_at_once() -> None:
    data = pdf(["Alergia"] * 20)
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda _: extract(data, "informe.pdf", PDF), range(64)))
    assert {each.outcome for each in read} == {"text"}


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
        (_without(docx(["x"]), "word/document.xml"), "damaged"),
        (_with_member(docx(["x"]), "word/document.xml", b"<workbook/>"), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "encrypted"),
        (_with_member(docx(["x"]), "bomb", b"\0" * (70 << 20)), "unsupported"),
        (_understated(_with_member(docx(["x"]), "word/document.xml", b" " * (70 << 20))), "damaged"),
    ],
    ids=[
        *("no text", "cut", "no archive", "cut xml", "no body", "another root", "with a password"),
        *("a bomb", "a lying bomb"),
    ],
)
def test_extract_N13_a_docx_without_readable_text_says_why(data: bytes, outcome: Outcome) -> None:
    assert extract(data, "informe.docx", DOCX).outcome == outcome


@pytest.mark.parametrize(
    ("name", "media"),
    [
        *(("a.DOCX", BINARY), ("a.docm", BINARY), ("a.dotx", ""), ("a.dotm", "")),
        ("a", DOCX),
        ("a", "application/vnd.openxmlformats-officedocument.wordprocessingml.template"),
        ("a", "application/vnd.ms-word.document.macroEnabled.12"),
        ("a", "application/vnd.ms-word.template.macroEnabled.12"),
    ],
)
def test_extract_N13_documents_and_templates_of_word_with_or_without_macros_are_read(
    name: str, media: str
) -> None:
    assert extract(docx(["Tos"]), name, media).text.strip() == "Tos"


def test_extract_N13_strict_open_xml_is_read_as_the_transitional_one_is() -> None:
    data = docx(["Motivo: tos"], [["Glucosa", "95"]], header="Ana", footer="Hoja 1")
    assert extract(_strict(data), "a.docx", DOCX) == extract(data, "a.docx", DOCX)


@pytest.mark.parametrize(
    "data",
    [
        _related(docx(["Tos"]), "word/document.xml", "hyperlink", "#marca"),
        _related(docx(["Tos"]), "word/document.xml", "image", "../NULL"),
        _related(docx(["Tos"]), "word/document.xml", "image", "media/image9.png"),
        _related(docx(["Tos"]), "word/document.xml", "footer", "footer9.xml"),
        _related(docx(["Tos"]), "", "hyperlink", "#marca"),
        _related(docx(["Tos"]), "", "officeDocument", "NULL"),
        _without(docx(["Tos"]), "docProps/core.xml"),
        _with_member(docx(["Tos"]), "docProps/core.xml", b"<cp:coreProperties"),
        _without(docx(["Tos"]), "word/styles.xml"),
        _without(docx(["Tos"]), "_rels/.rels"),
        _with_member(docx(["Tos"]), "_rels/.rels", b"<Relationships"),
        _without(docx(["Tos"]), "word/_rels/document.xml.rels"),
        _without(docx(["Tos"]), "[Content_Types].xml"),
        _with_member(docx(["Tos"]), "[Content_Types].xml", b"<Types/>"),
        _renamed(docx(["Tos"]), "document.xml", "document2.xml"),
        _renamed(docx(["Tos"]), "word/document.xml", "Word\\Document.xml"),
        _understated(_with_member(docx(["Tos"]), "word/media/image1.png", b"\0" * (70 << 20))),
    ],
    ids=[
        *("a link to a bookmark", "a link to NULL", "a missing picture", "a missing footer"),
        *("a bookmark of the package", "two documents", "no properties", "broken properties", "no styles"),
        *("no relationships", "broken relationships", "no links of the body", "no types", "empty types"),
        *("another name", "backslashes", "a bomb that nobody unpacks"),
    ],
)
def test_extract_N13_a_docx_whose_body_is_sound_is_read_whatever_else_is_broken(data: bytes) -> None:
    assert extract(data, "informe.docx", DOCX).text.strip() == "Tos"


@pytest.mark.parametrize("kind", ["footnotes", "endnotes"])
def test_extract_N13_notes_of_a_docx_are_read_after_its_body(kind: str) -> None:
    data = _related(docx(["Motivo: tos"]), "word/document.xml", kind, f"{kind}.xml")
    noted = _with_member(data, f"word/{kind}.xml", _noted(kind, "Nota al pie"))
    lines = extract(noted, "informe.docx", DOCX).text.split("\n")
    assert [line for line in lines if line] == ["Motivo: tos", "Nota al pie"]


def test_extract_N13_a_docx_with_one_broken_part_is_read_without_it() -> None:
    data = docx(["Motivo: tos"], header="Ana", footer="Hoja 1")
    text = extract(_with_member(data, "word/header1.xml", b"<w:hdr"), "informe.docx", DOCX).text
    assert [line for line in text.split("\n") if line] == ["Motivo: tos", "Hoja 1"]


@pytest.mark.parametrize("entity", ['"secreto"', 'SYSTEM "file:///etc/passwd"'])
def test_extract_G10_an_entity_of_a_docx_is_neither_expanded_nor_loaded(entity: str) -> None:
    body = _noted("document", "Tos&e;").replace(b"<w:document", b"<!DOCTYPE d [<!ENTITY e %s>]><w:document")
    data = _with_member(docx(["x"]), "word/document.xml", body.replace(b"%s", entity.encode(), 1))
    assert extract(data, "informe.docx", DOCX).text.strip() == "Tos"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40_000), st.binary(min_size=1, max_size=40))
def test_extract_N13_a_docx_with_any_scar_has_an_outcome(at: int, scar: bytes) -> None:
    sound = docx(["Alergia a la penicilina"])
    at %= len(sound)
    extraction = extract(sound[:at] + scar + sound[at + len(scar) :], "informe.docx", DOCX)
    assert bool(extraction.text) == (extraction.outcome == "text")


# --- text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_is_read_in_each_encoding_of_old_clients(encoding: str) -> None:
    assert (
        extract("Clínica Peñón: café".encode(encoding), "nota.txt", "text/plain").text
        == "Clínica Peñón: café"
    )


_QUOTED = "“Dolor” – 5 €"


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (_QUOTED.encode("cp1252"), "text/plain"),
        (_QUOTED.encode("cp1252"), "text/plain; charset=ISO-8859-1"),
        (_QUOTED.encode("cp1252"), "text/plain; charset=utf-8"),
        (_QUOTED.encode("utf-16-le"), 'text/plain; format=flowed; Charset="utf-16le"'),
        (_QUOTED.encode("utf-16"), "text/plain; charset=iso-8859-1"),
        (_QUOTED.encode("utf-8-sig"), "text/plain; charset=utf-8"),
        (_QUOTED.encode(), "text/plain; charset=no-such-charset"),
    ],
)
def test_extract_N13_a_text_is_read_by_its_charset_else_as_a_browser_would(data: bytes, media: str) -> None:
    assert extract(data, "nota.txt", media).text == _QUOTED


@pytest.mark.parametrize("charset", ["utf-8", "utf-16-be", "shift_jis", "gb18030"])
def test_a_text_that_is_cut_within_a_character_is_read_up_to_it(
    charset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extracting, "_MAX_BYTES", 11)
    text = extract(("あ" * 20).encode(charset), "nota.txt", f"text/plain; charset={charset}").text
    assert text == "あ" * (11 // len("あ".encode(charset)))


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


def test_extract_N12_a_line_of_nothing_but_blanks_is_read_in_no_time() -> None:
    """Fails if each blank is tried anew: that would take an hour."""
    found = extract(b"a" + b" " * 2_000_000 + b"b \r\n c\t\n", "a.txt", "text/plain")
    assert found.text == "a" + " " * 2_000_000 + "b\n c\n"
