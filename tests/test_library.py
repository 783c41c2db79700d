"""The names that ``import doorbell`` gives, and the example that the documents show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest

import doorbell
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path

PAGE = Path(__file__).parent.parent / "docs" / "library.md"

# What a process has set for itself, compared before and after parts of the library were used.
UNCHANGED = """
import faulthandler, gc, locale, logging, os, signal, socket, sys, threading, warnings
import cv2, numpy  # what these set when they are imported is theirs

def settings():
    umask = os.umask(0o077)
    os.umask(umask)
    return {
        "environment": dict(os.environ),
        "signal handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "hooks": [sys.excepthook, threading.excepthook, sys.unraisablehook],
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "logging": [logging.root.level, logging.root.handlers[:], logging.root.manager.disable],
        "files": [umask, os.getcwd()],
        "Python": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), sys.path[:],
                   sys.getswitchinterval(), sys.getrecursionlimit(), faulthandler.is_enabled()],
        "modules kept away": [name for name, module in sys.modules.items() if module is None],
        "sockets": socket.getdefaulttimeout(),
        "threads": threading.enumerate(),
        "OpenCV": [cv2.getNumThreads(), cv2.useOptimized()],
        "NumPy": [numpy.geterr(), numpy.get_printoptions(), numpy.random.get_state()[1].tolist()],
    }

before = settings()

from contextlib import closing
from pathlib import Path
import doorbell

config = doorbell.load_config(None, ["storage.directory=state", *sys.argv[2:]])
with closing(doorbell.open_perception(config)) as perception:
    with doorbell.Gallery.of(config.storage) as gallery:
        enroller = doorbell.Enroller(perception, gallery, config)
        assert enroller.enroll_photos("Anna", [Path(sys.argv[1])]).added
        pixels = numpy.zeros((360, 640, 3), numpy.uint8)
        doorbell.Pipeline(perception, gallery, config).step(doorbell.Frame(pixels, 0.0, 0.0, 0))

after = settings()
changed = [what for what in before if before[what] != after[what]]
sys.exit(f"changed: {changed}" if changed else 0)
"""


def python(
    code: str, *arguments: str | Path, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


def play(photo: Path, video: Path) -> None:
    """Film a photograph before a grey wall for three seconds, then the wall for ten."""
    portrait = decode_photo(read_photo(photo), photo.name)
    scale = 300 / portrait.shape[0]
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    wall = np.full((360, 640, 3), 120, np.uint8)
    visited = wall.copy()
    visited[30 : 30 + small.shape[0], 200 : 200 + small.shape[1]] = small
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 360))
    for rgb, seconds in (visited, 3), (wall, 10):
        for _ in range(seconds * 15):
            writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    writer.release()


@pytest.mark.parametrize("name", doorbell.__all__)
def test_every_public_name_can_be_imported_and_is_listed(name: str) -> None:
    assert getattr(doorbell, name) is not None
    assert name in dir(doorbell)
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8").replace("`doorbell.", "`")


def test_other_names_are_refused_as_by_any_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Door'"):
        _ = doorbell.Door  # type: ignore[attr-defined] # that is what is tested


def test_the_version_is_that_of_the_installed_package() -> None:
    assert doorbell.__version__ == version("doorbell")


def test_the_import_alone_loads_nothing_large() -> None:
    ran = python("import sys, doorbell; print(*{'cv2', 'numpy', 'openvino'} & sys.modules.keys())")

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


def test_opening_parts_changes_nothing_in_the_process(
    tmp_path: Path, models_directory: Path
) -> None:
    photo = face_path("obama", models_directory)
    setting = f"inference.models_directory={models_directory}"
    ran = python(UNCHANGED, photo, setting, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr


def test_the_command_line_keeps_opencv_to_one_thread(tmp_path: Path) -> None:
    ran = python(
        "import sys\n"
        "from doorbell.cli import main\n"
        "main(['people', 'list', *sys.argv[1:]], standalone_mode=False)\n"
        "import cv2\n"
        "print(cv2.getNumThreads())",
        *("--set", f"storage.directory={tmp_path}"),
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "1"


def test_the_example_of_the_page_runs_as_it_stands(tmp_path: Path, models_directory: Path) -> None:
    [example] = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    photo = face_path("obama", models_directory)
    (tmp_path / "anna.jpg").write_bytes(photo.read_bytes())
    play(face_path("obama2", models_directory), tmp_path / "door.avi")
    ran = python(example, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    for line in (
        r"anna\.jpg: .+",
        r"Arrived",
        r"recognized: Anna, 0\.\d\d",
        r"the bell rings",
        r"left after [23]\.\d s",
        r"person 1: Anna",
        r"visit \S+ of Anna",
    ):
        assert re.search(f"^{line}$", ran.stdout, re.MULTILINE), ran.stdout
