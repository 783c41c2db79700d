"""What many tests share: the real models and portraits, built once; a gallery, a broker."""

import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from command_line import Cli, sample
from examples import leave_out_long, register_profiles
from remembered import LooksOnce
from scheduling import WaitingApart, give_way, order

from doorbell.cli import main
from doorbell.config import InferenceSection, load_config
from doorbell.domain import Visit
from doorbell.gallery.gallery import EnrolledSample, Gallery
from doorbell.models.build import build_models, fetch_faces
from doorbell.models.store import models_directory as configured_directory
from doorbell.outputs.pictures import picture_path
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.testbed.broker import Mosquitto

pytest_plugins = ["console_browsers", "console_household", "evaluated", "galleries"]
register_profiles()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WaitingApart | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # they are in order
    return WaitingApart(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    leave_out_long(config, items)
    if "PYTEST_XDIST_WORKER" in os.environ:
        order(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        give_way(item)


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
def faces(models_directory: Path) -> Path:
    """The folder of portraits."""
    return models_directory / "faces"


@pytest.fixture(scope="session")
def perception(models_directory: Path) -> Iterator[Perception]:
    config = load_config(None, [f"inference.models_directory={models_directory}"])
    with closing(open_perception(config)) as perception:
        yield LooksOnce(perception)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes a root who may mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A gallery with two people, two strangers and three visits, one with a picture."""
    with Gallery.open(tmp_path / "gallery.sqlite") as gallery:
        anna = gallery.people.enroll("Anna", [EnrolledSample(sample(i)) for i in range(2)]).person
        gallery.people.enroll("李小龍", [EnrolledSample(sample(3))])
        stranger = gallery.strangers.add([sample(4)], 1000.0)
        gallery.strangers.add([sample(5)], 2000.0)
        gallery.visits.save(Visit("v1", 1000.0, 1010.0, 1015.0, stranger, 0.5, 4, 0.75))
        gallery.visits.save(Visit("v2", 2000.0, 2070.0, 2075.0, anna, 0.8125, 6, 0.5))
        gallery.visits.save(Visit("v3", 3000.0, 3001.0))
    picture = picture_path(tmp_path / "pictures", "v2")
    picture.parent.mkdir()
    picture.write_bytes(b"jpeg")
    return tmp_path


@pytest.fixture
def cli(storage: Path) -> Iterator[Cli]:
    """The commands, called in this process, on that gallery."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def call(*words: str, typed: str = "") -> Result:
        result = CliRunner().invoke(
            main, [*words, "--set", f"storage.directory={storage}"], input=typed
        )
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    yield call
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A real mosquitto that takes anybody."""
    with Mosquitto(tmp_path, "allow_anonymous true") as broker:
        yield broker
