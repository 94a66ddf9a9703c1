"""The sentences for the codes of a request trace, in English; the page translates them."""

from collections.abc import Mapping
from typing import Final

from proxy.compare import Kind
from proxy.rollout.decide import Why
from proxy.values import Side

SIDES: Final[Mapping[Side, str]] = {"legacy": "the legacy server", "new": "the new side"}

# `{side}` is the side that answered.
WHYS: Final[Mapping[Why, str]] = {
    "only-new": "there is no legacy server (MICHIQ_LEGACY_URL is not set)",
    "options": "OPTIONS names no caller, so only the mode decides, and it says {side}",
    "home": "the case was made on {side}, so its calls go there whatever the mode says",
    "unknown-token": "this proxy never saw the token, and such calls go to {side} (unknown_to_legacy)",
    "unknown-id": "this proxy never saw the id in the path, so only {side} can know it (unknown_to_legacy)",
    "no-legacy-session": "the caller has no session on the legacy server, so only {side} knows them",
    "both-sides": "the caller has cases on both sides, and {side} can list both",
    "tester": "a tester asked for {side} (X-Michiq-Tester)",
    "mode": "only the mode decides here, and it says {side}",
}

# By whether the user is known, and the organization.
CALLERS: Final = {
    (True, True): "user {user} of organization {organization}",
    (True, False): "user {user}",
    (False, True): "organization {organization}",
    (False, False): "a caller that this proxy doesn't know",
}

TOKENS: Final = {
    "none": "without a token",
    "known": "with a token that this proxy knows",
    "unknown": "with a token that this proxy never saw",
}

DROPS: Final = {
    "answer-too-large": "the legacy server's answer was too large, or in a coding that can't be read",
    "control-failed": "the legacy server itself failed, so its answer is no measure",
    "crashed": "the new side's run crashed; the log has it under this request id",
    "daily-cap": "the day's live writes were used up (daily_cap)",
    "head": "a HEAD has no answer to compare",
    "not-kept": "the request's body could not be stored",
    "not-sampled": "it was not in the sample (sample_percent)",
    "queue-full": "too many others were waiting",
    "refused-caller": "the legacy server refused the caller, and a dry run can't ask the platform about them",
    "stopped": "the process ended first",
    "timeout": "the new side took too long",
    "unknown-token": "this proxy never saw the token, so the new side doesn't know the caller",
    "unpaired": "the new side has no counterpart of the case",
}

# `{path}`, and the types of both sides.
DIFFERENCES: Final[Mapping[Kind, str]] = {
    "status": "the status is {control} on the legacy server, {candidate} on the new side",
    "content-type": "the content type differs",
    "missing": "{path} ({control}) is missing on the new side",
    "extra": "{path} ({candidate}) is on the new side only",
    "type": "{path} is {control} on the legacy server, {candidate} on the new side",
    "value": "{path} ({control}) has another value",
    "order": "{path} ({control}) has its elements in another order",
    "length": "{path} ({control}) has another number of elements",
    "text": "{path} ({control}) is another text",
}
