"""What tests/contract/test_runner.py needs of the other tests, where their packages are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbell.config import InferenceSection
from doorbell.models.store import models_directory as configured_directory


@pytest.fixture(scope="session")
def models_directory() -> Path:
    """Where the models are, built before."""
    return configured_directory(InferenceSection())
