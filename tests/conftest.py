"""What many tests share: the real models and sample portraits, built once on this machine."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from doorbell.config import InferenceSection, load_config
from doorbell.models.build import build_models, fetch_faces
from doorbell.models.store import models_directory as configured_directory
from doorbell.perception import Perception, open_perception


def _say_nothing(work: str, done: int, total: int) -> None:
    """Take progress and drop it."""
    del work, done, total


@pytest.fixture(scope="session")
def models_directory() -> Path:
    directory = configured_directory(InferenceSection())
    build_models(directory, progress=_say_nothing)
    fetch_faces(directory, progress=_say_nothing)
    return directory


@pytest.fixture(scope="session")
def perception(models_directory: Path) -> Iterator[Perception]:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    with closing(open_perception(config)) as perception:
        yield perception
