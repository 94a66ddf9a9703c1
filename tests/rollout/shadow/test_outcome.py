"""The outcome of a shadow run: what is stored of it is read back as the same."""

import pytest

from proxy.rollout.shadow.outcome import DIFFERENCE, MATCH, ShadowOutcome, dropped, dry_run_failed

STORED = [
    (MATCH, "match", True),
    (DIFFERENCE, "difference", True),
    (dropped("queue-full"), "dropped:queue-full", False),
    (dry_run_failed("createCase:body.files:missing"), "dry-run-failed:createCase:body.files:missing", False),
]


@pytest.mark.parametrize(("outcome", "text", "is_comparison"), STORED, ids=[text for _, text, _ in STORED])
def test_an_outcome_is_stored_as_a_text_and_read_back(
    outcome: ShadowOutcome, text: str, is_comparison: bool
) -> None:
    assert (outcome.text, outcome.is_comparison) == (text, is_comparison)
    assert ShadowOutcome.of_text(text) == outcome


def test_a_text_of_another_version_is_no_outcome() -> None:
    assert ShadowOutcome.of_text("skipped:busy") is None
