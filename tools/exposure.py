"""What exposing by the face changes for a visitor in the shade: ``tools/exposure.py``.

A simulated visitor comes and stays for nine seconds, on whom only a part of the porch's light
falls, before the daemon's own pipeline at 15 frames a second; once without ``camera.expose_faces``,
once with it. Another portrait of theirs is enrolled.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import cv2

from doorbell.camera import open_camera
from doorbell.camera.exposed import FaceMeter, open_exposed
from doorbell.config import CameraSection, Config, load_config
from doorbell.domain import Recognized, Unknown
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.light import face_light
from doorbell.models.store import face_path, models_directory
from doorbell.pipeline.perception import Perception, open_perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.testbed.scenes import Visitor, simulated

SHADES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.004, 0.002)
FRAMES_PER_SECOND = 15
SECONDS = 10


@dataclass(frozen=True)
class Outcome:
    """What became of one visit.

    Attributes:
        greys: of the face, when it was found first and three seconds later.
        told: what the visitor was taken for, and how many seconds after the visit began.
    """

    greys: tuple[float, float]
    told: str


def play(perception: Perception, config: Config, shade: float, *, expose: bool) -> Outcome:
    """Let the visitor come."""
    directory = models_directory(config.inference)
    with tempfile.TemporaryDirectory() as name, Gallery.open(Path(name) / "gallery") as gallery:
        Enroller(perception, gallery, config).enroll_photos(
            "Barack", [face_path("obama2", directory)]
        )
        visitor = Visitor(enters=0.2, approach=1.5, stays=9.0)
        section = CameraSection(
            uri=simulated(Path(name), directory / "faces", visitor, shade=shade),
            width=1280,
            height=720,
            frames_per_second=FRAMES_PER_SECOND,
            realtime=False,
        )
        meter = FaceMeter()
        opened = open_exposed(section, None, meter) if expose else open_camera(section)
        pipeline = Pipeline(perception, gallery, config)
        greys: list[tuple[float, float]] = []
        told = "nothing"
        with closing(opened) as camera:
            for _ in range(SECONDS * FRAMES_PER_SECOND):
                frame = camera.read()
                events = pipeline.step(frame)
                faces = pipeline.faces_of_visits(frame)
                meter.look(frame.pixels, faces)
                light = face_light(frame.pixels, faces[0]) if faces else None
                if light is not None:
                    greys.append((frame.time_seconds, light.grey))
                for event in events:
                    if isinstance(event, Recognized | Unknown) and told == "nothing":
                        what = "named" if isinstance(event, Recognized) else "unknown"
                        told = f"{what} after {frame.time_seconds - greys[0][0]:.1f} s"
        begin = greys[0][0]
        later = next(grey for seconds, grey in greys if seconds >= begin + 3.0)
        return Outcome((greys[0][1], later), told)


def main() -> None:
    """Print a table."""
    cv2.setNumThreads(1)
    config = load_config(None)
    with closing(open_perception(config)) as perception:
        print("| light on the face | without | brightness | with | brightness |")  # noqa: T201
        print("|---|---|---|---|---|")  # noqa: T201
        for shade in SHADES:
            cells = [f"{shade:g}"]
            for expose in (False, True):
                outcome = play(perception, config, shade, expose=expose)
                begin, later = outcome.greys
                cells += [outcome.told, f"{begin:.0f}, then {later:.0f}"]
            print("| " + " | ".join(cells) + " |")  # noqa: T201


if __name__ == "__main__":
    main()
