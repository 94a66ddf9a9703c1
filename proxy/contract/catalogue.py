"""Lists every check, in the order of a run."""

from collections.abc import Collection
from typing import Final

from proxy.contract import (
    doc,
    encounter_page,
    encounters,
    gateway,
    new_case,
    new_case_form,
    new_case_framing,
    query,
    speech_to_text,
    upload_audio,
    webhooks,
)
from proxy.contract.check import Check

MODULES: Final = (
    gateway,
    new_case,
    new_case_form,
    new_case_framing,
    doc,
    encounters,
    query,
    upload_audio,
    speech_to_text,
    encounter_page,
    webhooks,
)
CHECKS: Final[tuple[Check, ...]] = tuple(check for module in MODULES for check in module.CHECKS)


def checks_of(routes: Collection[str]) -> tuple[Check, ...]:
    """Returns the checks of these routes; those of all routes when none is named."""
    return tuple(check for check in CHECKS if not routes or check.route in routes)
