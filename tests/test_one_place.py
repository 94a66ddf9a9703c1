"""Values that must agree stand in one module each: a second one would say something else some day."""

import re
from pathlib import Path
from typing import Final

import pytest

from proxy.rollout.config_watcher import _HEARTBEAT_SECONDS
from proxy.store.rollout.processes import LIVE
from proxy.store.sealing.sealer import Sealer, short_hash, shown_hash
from tests.test_house import modules

ROOT: Final = Path(__file__).parent.parent

# What is written down, and how source code looks that writes it down.
ONCE: Final = {
    "how many digits of a hash are shown": r"(owner|scope|digest|subject|actor|key)\[: ?_?[A-Z1]",
    "after how long a silent process counts as gone": r"timedelta\(seconds=10\)",
    "how long a webhook is tried to be sent on": r"DELIVERY_LIFE: Final",
    "what an organization's keyed hash is made of": r"""digest\(\s*["']organization["']""",
    "how a time is written": r"""replace\(["']\+00:00["']""",
    "how a time with its zone is read": r"dT\\d\\d:.*\[\+-\]",
    "how a time without a zone is read": r"replace\(tzinfo=UTC\)",
    "where the default mappings lie": r"default_mappings",
    "where the descriptions lie": r"""/ ["']descriptions["']""",
}


@pytest.mark.parametrize("pattern", ONCE.values(), ids=ONCE.keys())
def test_a_value_that_must_agree_is_written_down_once(pattern: str) -> None:
    found = [name for name in modules("proxy/") if re.search(pattern, (ROOT / name).read_text("utf-8"))]
    assert len(found) == 1, found


def test_a_process_counts_as_gone_only_after_three_missed_heartbeats() -> None:
    assert LIVE.total_seconds() > 3 * _HEARTBEAT_SECONDS


def test_the_digits_of_a_hash_are_those_that_stored_traces_have() -> None:
    digest = Sealer(["k" * 43 + "="], b"pepper").organization("Clínica Norte")
    assert digest == Sealer(["k" * 43 + "="], b"pepper").digest("organization", "Clínica Norte")
    assert (short_hash(digest), shown_hash(digest)) == (digest[:16], digest[:12])
