"""The modules that are mutated, each with the tests that must notice."""

from collections.abc import Mapping
from typing import Final

TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "proxy/addresses.py": ("tests/test_addresses.py", "tests/test_settings.py"),
    "proxy/dispatch/canary.py": ("tests/dispatch/test_canary.py",),
    "proxy/dispatch/decide.py": ("tests/dispatch/test_decide.py",),
    "proxy/flows/access.py": ("tests/flows/test_doc.py", "tests/flows/test_gateway.py"),
    "proxy/flows/once.py": ("tests/flows/test_new_case_once.py",),
    "proxy/store/erasing.py": ("tests/store/test_erase.py",),
    "proxy/store/homes.py": ("tests/store/test_homes.py",),
    "proxy/store/journal.py": ("tests/store/test_journal.py", "tests/flows/test_new_case_once.py"),
    "proxy/store/resealing.py": ("tests/store/test_rotate.py",),
    "proxy/store/retention.py": ("tests/store/test_retention.py",),
    "proxy/store/fernet.py": ("tests/store/test_upgrade.py",),
    "proxy/store/keyring.py": ("tests/store/test_sealer.py", "tests/store/test_contexts.py"),
    "proxy/store/sealer.py": ("tests/store/test_sealer.py", "tests/store/test_rotate.py"),
    "proxy/web/guards.py": ("tests/web/test_guards.py",),
    "proxy/web/webhooks.py": ("tests/flows/test_webhooks.py", "tests/web/test_tee.py"),
}
