"""The recorded session that conformance and its self-check judge."""

import asyncio

import pytest

from tests.contracts.recording import Recorded, record


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return asyncio.run(record(tmp_path_factory.mktemp("contracts")))
