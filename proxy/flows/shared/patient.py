"""Finds the patient in the ehr, and writes `patientMetadata` (CONTRACT N09)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy import jsons
from proxy.compressed import Compressed
from proxy.mapping.shape import Expression
from proxy.spool import Bytes, Joined
from proxy.values import Content, Json

# Most programs read JSON numbers as doubles, which are exact for integers below (RFC 8259, section 6).
_EXACT: Final = 2**53
_WRITTEN_OUT: Final = 16 * 1024  # bytes of an ehr; up to here, unpacking at once is faster than in pieces

EXPRESSIONS: Final = ("patient.id", "patient.name", "patient.birth_date")


@dataclass(frozen=True, slots=True)
class Found:
    """The patient's data that the mapping's expressions found in an ehr; None for those not found."""

    id: str | None = field(default=None, repr=False)
    name: str | None = field(default=None, repr=False)
    birth_date: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CasePatient:
    """The patient of a case; id and name are never empty."""

    id: str = field(repr=False)
    name: str = field(repr=False)


def find(ehr: Json, expressions: Mapping[str, Expression]) -> Found:
    """Returns the patient's data in the ehr; `expressions` has every name of EXPRESSIONS."""
    return Found(*(_first_text(expressions[key].over(ehr)) for key in EXPRESSIONS))


def identify(found: Found, unnamed: str, digest: Callable[..., str], own_id: str) -> CasePatient:
    """Returns the patient; one without a name gets the name `unnamed`.

    A patient without an id gets a keyed digest of name and birth date, so that the next case of the same
    person gets the same id; without both of these, `own_id`.
    """
    patient_id = found.id
    if patient_id is None and found.name and found.birth_date:
        patient_id = digest("patient", found.name.casefold(), found.birth_date)
    return CasePatient(patient_id or own_id, found.name or unnamed)


def metadata(patient: CasePatient, ehr: Compressed | Bytes | None) -> Content:
    """Returns patientMetadata as JSON, with the ehr's own bytes unmodified in it."""
    who = b'{"id":%b,"name":%b' % (jsons.dump(patient.id), jsons.dump(patient.name))
    if ehr is None:
        return Bytes(who + b"}")
    before = who + b',"other-clinical-data":'
    if ehr.size <= _WRITTEN_OUT:
        return Bytes(before + ehr.read() + b"}")
    return Joined([Bytes(before), ehr, Bytes(b"}")])


def with_conversation(raw: bytes, ehr: Mapping[str, Json], conversation: str) -> bytes:
    """Returns the bytes of an ehr, `raw`, with the conversation as one more key.

    The bytes are not written anew from `ehr`: a number like 1.10 stays as it came.
    """
    key = "conversation"
    while key in ehr:
        key = f"_{key}"
    rest = raw.removesuffix(b"}")
    return rest + (b"," if ehr else b"") + jsons.dump({key: conversation}).removeprefix(b"{")


def _first_text(value: Json) -> str | None:
    """Returns the first non-empty string or number of a value or list; skips true and false."""
    for candidate in value if isinstance(value, list) else [value]:
        if isinstance(candidate, str) and candidate.strip():
            return candidate.strip()
        if isinstance(candidate, int | float) and not isinstance(candidate, bool):
            return _written(candidate)
    return None


def _written(number: int | float) -> str:
    """Returns the number's text; 12345.0, as spreadsheets export integers, becomes 12345."""
    return str(int(number) if abs(number) < _EXACT and number == int(number) else number)
