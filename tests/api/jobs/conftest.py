"""A server whose jobs nobody else sees."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from penstock.settings import Settings
from tests.api.conftest import connected
from tests.fakes import FakeEngine, FakeModels


@pytest.fixture
def jobs_client(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a quick server that may post webhooks to this machine."""
    models = FakeModels(lambda: FakeEngine(step_seconds=0.002))
    settings = Settings(data_dir=tmp_path, private_webhooks=True)
    with connected(models, settings) as client:
        yield client
