"""The patient of an ehr, by the default mapping's expressions, whatever the ehr holds."""

import asyncio
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import jsons
from proxy.compressed import Compressed
from proxy.flows.registry import SPECS
from proxy.flows.shared.patient import CasePatient, find, identify, metadata, with_conversation
from proxy.mapping.loader import load_table
from proxy.mapping.models import NewCase
from proxy.mapping.shape import Expression
from proxy.values import Content, Json
from tests.conftest import ROOT

OWN_ID: Final = "own-id"

# Keys that the mapping looks for, so that random objects often hold one with a value of a wrong type.
_KEYS: Final = (
    "id",
    "nhc",
    "documento",
    "name",
    "patient",
    "paciente",
    "nombre",
    "birth_date",
    "conversation",
)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _texts
)
_keys = st.sampled_from(_KEYS) | _texts
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)
_ehrs = st.dictionaries(_keys, _values, max_size=6)


@pytest.mark.parametrize(
    ("ehr", "expected"),
    [
        ({"id": "p-1"}, "p-1"),
        ({"id": 4711}, "4711"),
        ({"id": 0}, "0"),
        ({"id": 12345.0}, "12345"),
        ({"id": -12345.0}, "-12345"),
        ({"id": -0.0}, "0"),
        ({"id": 12345.5}, "12345.5"),
        ({"id": 2.0**53 - 1}, "9007199254740991"),
        ({"id": 2.0**53}, "9007199254740992.0"),
        ({"id": -(2.0**53)}, "-9007199254740992.0"),
        ({"id": 2**53 + 1}, "9007199254740993"),
        ({"id": 1e300}, "1e+300"),
        ({"id": "12345.0"}, "12345.0"),
        ({"patient_id": "p-2"}, "p-2"),
        ({"patientId": "p-3"}, "p-3"),
        ({"nhc": "NHC 4"}, "NHC 4"),
        ({"mrn": "p-5"}, "p-5"),
        ({"documento": "12345678Z"}, "12345678Z"),
        ({"patient": {"id": "p-6"}}, "p-6"),
        ({"demografía": {"nhc": "p-7"}}, "p-7"),
        ({"id": "first", "nhc": "second"}, "first"),
        ({"id": "  ", "nhc": "p-8"}, "p-8"),
        ({"id": None, "mrn": "p-9"}, "p-9"),
        ({"id": True, "mrn": "p-10"}, "p-10"),
        ({"id": {"system": "x"}, "mrn": "p-11"}, "p-11"),
        ({"id": "  p-12\n"}, "p-12"),
    ],
)
def test_patient_N09_id_is_the_first_text_or_number_that_names_the_patient(
    ehr: dict[str, Json], expected: str
) -> None:
    assert identified(ehr).id == expected


@pytest.mark.parametrize(
    ("ehr", "expected"),
    [
        ({"name": "Ana"}, "Ana"),
        ({"patient": "John Doe"}, "John Doe"),
        ({"patient_name": "Ana"}, "Ana"),
        ({"nombre": "Ñandú"}, "Ñandú"),
        ({"patient": {"name": "Ana"}}, "Ana"),
        ({"name": "", "nombre": "Ana"}, "Ana"),
        ({"name": ["Ana", "Núñez"]}, "Ana"),
        ({"patient": {"edad": 3}}, "Paciente"),
        ({}, "Paciente"),
        (None, "Paciente"),
    ],
)
def test_patient_N09_name_is_found_or_made_up(ehr: Json, expected: str) -> None:
    assert identified(ehr).name == expected


def test_patient_N09_without_an_id_name_and_birth_date_give_a_stable_one() -> None:
    first = identified({"name": "Ana", "birth_date": "1980-01-01", "visit": 1})
    again = identified({"name": "ANA", "dob": "1980-01-01", "visit": 2})
    assert first.id == again.id
    assert first.id not in (OWN_ID, identified({"name": "Ana", "birth_date": "1980-01-02"}).id)


@pytest.mark.parametrize("ehr", [{}, None, {"name": "Ana"}, {"birth_date": "1980-01-01"}])
def test_patient_N09_with_too_little_to_go_by_is_only_known_by_the_case(ehr: Json) -> None:
    assert identified(ehr).id == OWN_ID


@given(ehr=_ehrs)
@settings(deadline=None, derandomize=True)
def test_patient_N09_always_has_an_id_and_a_name_and_keeps_the_whole_ehr(ehr: dict[str, Json]) -> None:
    raw = jsons.dump(ehr)
    sent = jsons.load_object(_bytes(metadata(identified(ehr), Compressed.from_text(raw))))
    assert isinstance(sent["id"], str)
    assert sent["id"].strip()
    assert isinstance(sent["name"], str)
    assert sent["name"].strip()
    assert sent["other-clinical-data"] == ehr
    assert sent.keys() == {"id", "name", "other-clinical-data"}


@given(ehr=_ehrs, conversation=_texts)
@settings(deadline=None, derandomize=True)
def test_conversation_N11_joins_the_clinical_data_and_displaces_nothing(
    ehr: dict[str, Json], conversation: str
) -> None:
    joined = jsons.load_object(with_conversation(jsons.dump(ehr), ehr, conversation))
    (added,) = joined.keys() - ehr.keys()
    assert joined.pop(added) == conversation
    assert joined == ehr


def test_metadata_N09_holds_the_very_bytes_of_the_ehr() -> None:
    raw = b'{ "dosis" : 1.10, "id": 1e2 }'
    ehr = jsons.load_object(raw)
    patient = CasePatient("p", "Ana")
    sent = _bytes(metadata(patient, Compressed.from_text(raw)))
    assert sent == b'{"id":"p","name":"Ana","other-clinical-data":' + raw + b"}"
    assert with_conversation(raw, ehr, "Hola") == raw[:-1] + b',"conversation":"Hola"}'


def test_metadata_N09_without_an_ehr_has_no_clinical_data() -> None:
    assert jsons.load(_bytes(metadata(CasePatient("p", "Ana"), None))) == {"id": "p", "name": "Ana"}
    assert jsons.load(with_conversation(b"{}", {}, "Hola")) == {"conversation": "Hola"}


def identified(ehr: Json) -> CasePatient:
    mapping, expressions = _default_mapping()
    return identify(find(ehr, expressions), mapping.patient.unnamed, _digest, OWN_ID)


def _bytes(content: Content) -> bytes:
    """Returns the whole content, whose declared size must be right."""

    async def read() -> bytes:
        return b"".join([piece async for piece in content.chunks()])

    whole = asyncio.run(read())
    assert len(whole) == content.size
    return whole


@cache
def _default_mapping() -> tuple[NewCase, Mapping[str, Expression]]:
    route = load_table(ROOT / "mappings", SPECS).routes["new_case"]
    return cast(NewCase, route.mapping), route.expressions


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()
