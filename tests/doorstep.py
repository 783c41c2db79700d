"""A pipeline with the real models, and portraits held before it."""

from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np

from doorbell.config import Config, load_config
from doorbell.domain import Event, Frame, UInt8Array
from doorbell.gallery.gallery import EnrollmentOutcome, Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.pipeline import Pipeline

NOW = 1_700_000_000.0
PERIOD = 0.1


class Door:
    """A pipeline before which somebody stands still, in a changing light.

    They are photographs with their edges, so nobody is asked whether they are alive.
    """

    def __init__(
        self,
        perception: Perception,
        gallery: Gallery,
        config: Config,
        earlier_of: Collection[str] | None = None,
    ) -> None:
        anybody = config.recognition.model_copy(update={"min_live": 0.0})
        config = config.model_copy(update={"recognition": anybody})
        self._gallery = gallery
        self.pipeline = Pipeline(perception, gallery, config, earlier_of=earlier_of)
        self.time_seconds = 0.0
        self._index = 0

    def see(
        self,
        *visitors: UInt8Array,
        seconds: float = 1.5,
        period: float = PERIOD,
        scale: float = 1.0,
    ) -> list[Event]:
        pixels = np.full((360, 640, 3), 120, np.uint8)
        for place, face in enumerate(visitors):
            left = 20 + 320 * place
            pixels[-face.shape[0] :, left : left + face.shape[1]] = face
        events: list[Event] = []
        for _ in range(round(seconds / period)):
            light = 6 * np.sin(self._index)
            lit = cv2.convertScaleAbs(pixels, alpha=1.0, beta=light)
            lit = cv2.resize(lit, None, fx=scale, fy=scale)
            frame = Frame(
                np.asarray(lit, np.uint8), self.time_seconds, NOW + self.time_seconds, self._index
            )
            events += self.pipeline.step(frame)
            self.time_seconds += period
            self._index += 1
        return events

    def enroll_visible(self, name: str) -> EnrollmentOutcome:
        return self._gallery.people.enroll(name, self.pipeline.visible_samples(name))


def at_the_door(name: str, models_directory: Path) -> UInt8Array:
    """A portrait, small enough for the frame."""
    pixels = decode_photo(read_photo(face_path(name, models_directory)), name)
    factor = 340 / pixels.shape[0] if name != "biden" else 300 / 970
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small[:340, :300], np.uint8)


def kinds(events: Sequence[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def enroll(perception: Perception, gallery: Gallery, photo: Path, name: str) -> None:
    report = Enroller(perception, gallery, load_config(None)).enroll_photos(name, [photo])
    assert report.added == 1, report.results
