"""The patient of a case: from the ehr to `patientMetadata` (CONTRACT N09)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from proxy import jsons
from proxy.mapping.models import Patient as PatientMapping
from proxy.shape import Expression
from proxy.values import Json

_BLANK: Final = b" \t\r\n"  # RFC 8259, section 2


@dataclass(frozen=True, slots=True)
class Patient:
    """Both are non-empty, whatever the ehr holds."""

    id: str = field(repr=False)
    name: str = field(repr=False)


def identify(
    ehr: Json,
    expressions: Mapping[str, Expression],
    mapping: PatientMapping,
    digest: Callable[..., str],
    own_id: str,
) -> Patient:
    """The patient whom the mapping's expressions find in the ehr.

    Without an id, a patient is known by a keyed digest of name and birth date, so that the next case of
    the same person gets the same id; without both, only by `own_id`.
    """
    patient_id, name, born = (
        _first_text(expressions[f"patient.{key}"].over(ehr)) for key in ("id", "name", "birth_date")
    )
    if patient_id is None and name and born:
        patient_id = digest("patient", name.casefold(), born)
    return Patient(patient_id or own_id, name or mapping.unnamed)


def metadata(patient: Patient, ehr: bytes | None) -> bytes:
    """patientMetadata as JSON; the ehr's own bytes stand in it unmodified."""
    fields = [b'"id":' + jsons.dump(patient.id), b'"name":' + jsons.dump(patient.name)]
    if ehr is not None:
        fields.append(b'"other-clinical-data":' + ehr)
    return b"{" + b",".join(fields) + b"}"


def with_conversation(raw: bytes | None, ehr: Json, conversation: str) -> bytes:
    """The bytes of an ehr, which is an object, with the conversation as one more key beside its own.

    They are not written anew from `ehr`: a number like 1.10 stays as it came.
    """
    keys = ehr if isinstance(ehr, dict) else {}
    key = "conversation"
    while key in keys:
        key = f"_{key}"
    rest = (raw or b"{}").rstrip(_BLANK).removesuffix(b"}")
    return rest + (b"," if keys else b"") + jsons.dump({key: conversation}).removeprefix(b"{")


def _first_text(value: Json) -> str | None:
    """The first non-empty string or number of a value or list; true and false are neither."""
    for candidate in value if isinstance(value, list) else [value]:
        if isinstance(candidate, str) and candidate.strip():
            return candidate.strip()
        if isinstance(candidate, int | float) and not isinstance(candidate, bool):
            return str(candidate)
    return None
