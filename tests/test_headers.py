"""Headers: what an identity, a token, a media type and a disposition are read from, or written as."""

import pytest

from proxy.headers import (
    BadHeader,
    Malformed,
    accepts_html,
    bearer,
    content_disposition,
    identity_value,
    media_type,
)

Raw = list[tuple[bytes, bytes]]


@pytest.mark.parametrize("key", [b"user_mail", b"user-mail", b"User-Mail", b"USER_MAIL"])
def test_identity_N06_a_header_is_found_in_any_spelling(key: bytes) -> None:
    assert identity_value([(b"Host", b"a"), (key, b"ana@example.org")], "user_mail") == "ana@example.org"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Cl\xc3\xadnica", "Clínica"),
        (b"Cl\xednica", "Clínica"),
        ("Cli\u0301nica".encode(), "Clínica"),
        ("Clínica 🏥".encode(), "Clínica 🏥"),
        (b" \t Hospital Norte \t", "Hospital Norte"),
        (b"\xff\xfe", "ÿþ"),
        (b"\x93Dolor\x94 \x96 5 \x80", "“Dolor” – 5 €"),
        (b"\xed\xa0\x80", "í\N{NO-BREAK SPACE}€"),
    ],
    ids=["UTF-8", "Latin-1", "decomposed", "emoji", "space around", "no UTF-8 at all", "quotes", "surrogate"],
)
def test_identity_N06_a_value_is_utf8_else_windows_1252_in_nfc_without_space_around(
    value: bytes, text: str
) -> None:
    assert identity_value([(b"organization", value)], "organization") == text


@pytest.mark.parametrize("raw", [[], [(b"API_KEY", b"")], [(b"API_KEY", b" \t")], [(b"API", b"a")]])
def test_identity_a_missing_or_empty_header_is_none(raw: Raw) -> None:
    assert identity_value(raw, "API_KEY") is None


@pytest.mark.parametrize(
    ("raw", "cause"),
    [
        ([(b"API_KEY", b"a"), (b"API_KEY", b"b")], "header-repeated"),
        ([(b"API_KEY", b"a"), (b"api_key", b"a")], "header-repeated"),
        ([(b"API_KEY", b"a"), (b"API-KEY", b"b")], "header-conflicting"),
        ([(b"API_KEY", b"a"), (b"API-KEY", b"")], "header-conflicting"),
        ([(b"API_KEY", b"a\x00b")], "header-control-character"),
        ([(b"API_KEY", b"a\tb")], "header-control-character"),
        ([(b"API_KEY", b"a\x7f")], "header-control-character"),
        ([(b"API_KEY", b"a\xc2\x85")], "header-control-character"),
        *(
            ([(b"API_KEY", b"a" + byte)], "header-control-character")
            for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
        ),
    ],
)
def test_identity_N06_an_ambiguous_or_undecodable_header_is_malformed(raw: Raw, cause: str) -> None:
    with pytest.raises(BadHeader) as caught:
        identity_value(raw, "API_KEY")
    assert (caught.value.kind, caught.value.cause) == ("malformed", cause)


def test_identity_N06_two_spellings_of_one_value_are_one_value() -> None:
    assert identity_value([(b"API_KEY", b"a"), (b"API-KEY", b"a ")], "API_KEY") == "a"


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (b"Bearer abc.DEF-1_2~3+/==", "abc.DEF-1_2~3+/=="),
        (b"bearer abc", "abc"),
        (b"  BEARER   abc  ", "abc"),
    ],
)
def test_bearer_G04_a_token_is_read_whatever_the_case_of_the_scheme(value: bytes, token: str) -> None:
    assert bearer([(b"authorization", value)]) == token


def test_bearer_N07_no_header_is_no_token() -> None:
    assert bearer([(b"Host", b"a")]) is None


@pytest.mark.parametrize(
    "value",
    [b"", b" \t", b"Bearer", b"bearer", b"  BEARER \t "],
    ids=["empty", "blank", "bare", "lower", "blanks"],
)
def test_bearer_N07_an_empty_header_or_a_bare_scheme_is_no_token(value: bytes) -> None:
    assert bearer([(b"Authorization", value)]) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Bearer,",
        b"abc",
        b"Basic YTpi",
        b"Bearer a b",
        b"Bearer a,b",
        b"Bearer a=b",
        b"Bearer =",
        b"Bearer\tabc",
        b"Bearer \xc3\xad",
        b"Bearer a\n",
        b"Bearer 'a'",
    ],
)
def test_bearer_G04_anything_but_one_token_is_malformed(value: bytes) -> None:
    assert bearer([(b"Authorization", value)]) == Malformed("authorization-not-bearer")


def test_bearer_G04_a_header_given_twice_is_malformed_even_if_equal() -> None:
    raw = [(b"Authorization", b"Bearer a"), (b"authorization", b"Bearer a")]
    assert bearer(raw) == Malformed("authorization-repeated")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("application/json", ("application/json", {})),
        (" Application/JSON ; Charset=UTF-8 ", ("application/json", {"charset": "UTF-8"})),
        ('multipart/form-data; boundary="a b;c,\\"d"', ("multipart/form-data", {"boundary": 'a b;c,"d'})),
        ("a/b; boundary=c; charset=d", ("a/b", {"boundary": "c", "charset": "d"})),
        ('a/b; c=""', ("a/b", {"c": ""})),
        ("a/b;", ("a/b", {})),
        ("a/b;; c=d", ("a/b", {"c": "d"})),
    ],
)  # fmt: skip
def test_media_type_reads_type_and_parameters(value: str, expected: tuple[str, dict[str, str]]) -> None:
    assert media_type(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "json",
        "a/",
        "/b",
        "a/b c",
        "a/b; c",
        "a/b; c=",
        "a/b; c=d e",
        'a/b; c="d',
        "a/b; c=d; C=e",
        "a /b",
        "ñ/b",
        "a/b, c/d",
        "a/b\x00",
    ],
)
def test_media_type_of_a_malformed_value_is_empty(value: str) -> None:
    assert media_type(value) == ("", {})


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "application/xhtml+xml",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/json, text/html",
        "application/json;q=0.5, text/html;q=0.5",
        "TEXT/HTML; level=1; Q=0.3",
        "text/html;q=0.9, application/*;q=0.1, */*",
    ],
)
def test_accepts_html_E01_when_it_is_named_and_json_is_not_preferred(accept: str) -> None:
    assert accepts_html(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "text/html;q=0",
        "text/html;q=0, */*",
        "application/json, text/html;q=0.9",
        "text/html;q=0.5, */*",
        "text/html;q=0.5, application/*",
        "text/html;q=2",
        "text/html;q=a",
        "text/*",
        "html",
        ",;,",
    ],
)
def test_accepts_html_E01_not_when_json_is_preferred_or_html_is_not_named(accept: str) -> None:
    assert not accepts_html(accept)


@pytest.mark.parametrize(
    ("filename", "written"),
    [
        ("informe.pdf", b"informe.pdf"),
        ("a;b;c.pdf", b"a;b;c.pdf"),
        ("análisis 🩺.pdf", "análisis 🩺.pdf".encode()),
        ('un "buen" día.txt', "un %22buen%22 día.txt".encode()),
        ("a\r\nX-Evil: b", b"a%0D%0AX-Evil: b"),
        ("a\x00b\x7f", b"a%00b%7F"),
        ("C:\\temp\\a.txt", b"C:\\temp\\a.txt"),
        ("100%.txt", b"100%.txt"),
        ("", b""),
    ],
)
def test_content_disposition_N10_a_file_name_goes_out_in_utf8_and_never_ends_its_quotes(
    filename: str, written: bytes
) -> None:
    assert content_disposition("files", filename) == b'form-data; name="files"; filename="' + written + b'"'


def test_content_disposition_of_a_field_has_no_file_name() -> None:
    assert content_disposition("ehr") == b'form-data; name="ehr"'
