"""The modules that are mutated, each with the tests that must notice."""

from collections.abc import Mapping
from typing import Final

TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "proxy/addresses/__init__.py": ("tests/test_addresses.py", "tests/test_settings.py"),
    "proxy/rollout/canary.py": ("tests/rollout/test_canary.py",),
    "proxy/rollout/decide.py": ("tests/rollout/test_decide.py",),
    "proxy/flows/shared/access.py": ("tests/flows/test_doc.py", "tests/flows/test_gateway.py"),
    "proxy/flows/new_case/idempotency.py": ("tests/flows/test_new_case_once.py",),
    "proxy/store/upkeep/subjects.py": ("tests/store/upkeep/test_erasure.py",),
    "proxy/store/records/homes.py": ("tests/store/records/test_homes.py",),
    "proxy/store/records/journal.py": (
        "tests/store/records/test_journal.py",
        "tests/flows/test_new_case_once.py",
    ),
    "proxy/store/upkeep/resealing.py": ("tests/store/upkeep/test_rotation.py",),
    "proxy/store/upkeep/retention.py": ("tests/store/upkeep/test_retention.py",),
    "proxy/store/sealing/fernet.py": ("tests/store/test_upgrade.py",),
    "proxy/store/sealing/keyring.py": (
        "tests/store/sealing/test_sealer.py",
        "tests/store/sealing/test_contexts.py",
    ),
    "proxy/store/sealing/sealer.py": (
        "tests/store/sealing/test_sealer.py",
        "tests/store/upkeep/test_rotation.py",
    ),
    "proxy/server/limits.py": ("tests/server/test_limits.py",),
    "proxy/web/webhooks.py": ("tests/flows/test_webhooks.py", "tests/web/test_tee.py"),
}
