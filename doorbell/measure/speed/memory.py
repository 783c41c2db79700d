"""What holds the memory of a doorbell: a fresh process that builds it part by part.

Run as ``python -m doorbell.measure.speed.memory`` with settings as ``--set`` takes them. It prints
a line of JSON for each part, with how long it took and what the process held after it. It is a
process of its own because nothing can be measured that has been loaded already.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from doorbell.errors import DoorbellError
from doorbell.testbed.camera_processes import descendants

FRAMES = 60
PART = "memory: {}"
# What stands for a camera here; a real one holds less.
CAMERA = "simulated camera, 720p"


def resident_megabytes(pid: int | str = "self") -> float:
    """Memory that a process holds now; 0 where the system does not say."""
    return _megabytes(pid, "VmRSS", "status")


def family_megabytes(pid: int) -> float:
    """Memory that a process holds now with all that it has started.

    What they share is counted once: libraries are the first one's, the rest by parts.
    """
    family = sum(_megabytes(each, r"Pss_(?:Anon|Shmem)") for each in (pid, *descendants(pid)))
    return family + _megabytes(pid, r"RssFile", "status")


def _megabytes(pid: int | str, name: str, file: str = "smaps_rollup") -> float:
    """The sum of what the system says of a process by such names; 0 where it says nothing."""
    try:
        said = Path(f"/proc/{pid}/{file}").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return sum(map(int, re.findall(rf"^{name}:\s+(\d+) kB", said, re.MULTILINE))) / 1024


def measure_parts(settings: list[str]) -> list[Mapping[str, float | str]]:
    """Run this module in a fresh process: part, milliseconds, and megabytes it added and left.

    Raises:
        DoorbellError: the process failed.
    """
    command = [sys.executable, "-m", "doorbell.measure.speed.memory", *settings]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-4:])
        raise DoorbellError(f"the memory could not be measured:\n{last}\nrun `doorbell check`")
    return [json.loads(line) for line in done.stdout.splitlines()]


class _Parts:
    """Prints what each part took."""

    def __init__(self) -> None:
        self._megabytes = 0.0
        self._since = time.perf_counter()

    def finish(self, part: str) -> None:
        """End a part; the next begins."""
        now, held = time.perf_counter(), resident_megabytes()
        added, self._megabytes = held - self._megabytes, held
        taken_ms = (now - self._since) * 1000
        line = {"part": part, "ms": taken_ms, "added_mb": added, "resident_mb": held}
        sys.stdout.write(json.dumps(line) + "\n")
        self._since = time.perf_counter()


def main(settings: list[str]) -> None:
    """Build the doorbell in the order of the daemon."""
    parts = _Parts()
    parts.finish("Python")

    # Imported here, where the process is watched.
    import doorbell.outputs.mqtt.output
    import doorbell.outputs.pictures
    import doorbell.outputs.sound.speaker  # noqa: F401 - as the daemon does
    from doorbell.config import InferenceSection, load_config
    from doorbell.daemon.memory import give_back_memory
    from doorbell.gallery.gallery import Gallery
    from doorbell.inference import NetworkFiles, Runner, open_runner
    from doorbell.measure.speed.scene import P720, draw, standing
    from doorbell.models.store import models_directory
    from doorbell.pipeline.perception import open_perception
    from doorbell.pipeline.pipeline import Pipeline

    parts.finish("imports")

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        runner = open_runner(files, section)
        parts.finish(f"network {files.name}")
        return runner

    config = load_config(None, settings)
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as scratch,
        closing(open_perception(config, open_network=open_network)) as perception,
        Gallery.open(Path(scratch) / "gallery.sqlite") as gallery,
    ):
        pipeline = Pipeline(perception, gallery, config)
        parts.finish("gallery and pipeline")
        views = draw(standing(1, models_directory(config.inference) / "faces"), P720)
        next(views)
        parts.finish(CAMERA)
        for _ in range(FRAMES):
            pipeline.step(next(views).frame)
        parts.finish(f"{FRAMES} frames with a visitor")
        give_back_memory()
        for _ in range(FRAMES):
            pipeline.step(next(views).frame)
        parts.finish("given back once running")


if __name__ == "__main__":
    main(sys.argv[1:])
