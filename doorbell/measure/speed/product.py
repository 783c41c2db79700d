"""The product, with a stop watch: finding faces alone, or all of what the daemon does with a frame.

Frames of one looker come from one stream, in order.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np

from doorbell.config import Config, InferenceSection
from doorbell.domain import Float32Array, Frame
from doorbell.errors import EnrollmentError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.inference import NetworkFiles, Runner, open_runner
from doorbell.models.store import face_path, models_directory
from doorbell.pipeline.perception import FaceCrop, Perception, open_perception
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.tracking import Tracker

# Enrolled from another picture than the one that comes to the door.
KNOWN_NAME, KNOWN_FACE = "Barack", "obama2"

# What results call this product, where peers stand beside it.
DOORBELL = "doorbell"

OpenNetwork: TypeAlias = Callable[[NetworkFiles, InferenceSection], Runner]


@dataclass(frozen=True, slots=True)
class FrameTiming:
    """What the product made of one frame.

    Attributes:
        milliseconds: that it took.
        boxes_xyxy: (n, 4) float32.
    """

    milliseconds: float
    boxes_xyxy: Float32Array


class FrameConsumer(Protocol):
    """Takes in a stream."""

    def look(self, frame: Frame) -> FrameTiming:
        """Take in the next frame."""


class FaceFinder:
    """Finds and follows faces; finding alone is timed."""

    def __init__(self, perception: Perception, config: Config) -> None:
        self._perception = perception
        self._tracker = Tracker(config.tracking)

    def look(self, frame: Frame) -> FrameTiming:
        """Take in the next frame."""
        tracks = self._tracker.tracks
        started = time.perf_counter()
        faces = self._perception.detect(frame.pixels, tracks)
        taken = time.perf_counter() - started
        self._tracker.update(faces, frame.time_seconds)
        return FrameTiming(taken * 1000, _boxes([face.box_xyxy for face in faces]))


class FullPipeline:
    """Does everything that the daemon does with a frame."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def look(self, frame: Frame) -> FrameTiming:
        """Take in the next frame."""
        started = time.perf_counter()
        self._pipeline.step(frame)
        taken = time.perf_counter() - started
        seen = [
            track.face.box_xyxy
            for track, _ in self._pipeline.in_sight
            if track.last_seen_seconds == frame.time_seconds
        ]
        return FrameTiming(taken * 1000, _boxes(seen))


class SystemUnderTest:
    """Loaded networks and a gallery with one person; every looker begins a stream of its own.

    Only the newest looker may be used: what was seen in the last frames belongs to the networks.
    """

    def __init__(self, perception: Perception, gallery: Gallery, config: Config) -> None:
        self._perception = perception
        self._gallery = gallery
        self._config = config
        self.portrait = enroll_known(perception, gallery, config)
        """Of the enrolled person, aligned."""

    def embed(self) -> Float32Array:
        """Embed the portrait: (128,) float32."""
        [sample] = self._perception.embed([self.portrait])
        if sample is None:
            raise EnrollmentError(f"{KNOWN_FACE} shows no face; run `doorbell models build`")
        return sample.embedding

    def watcher(self) -> FaceFinder:
        """Begin a stream in which faces are found and followed."""
        return FaceFinder(self._perception, self._config)

    def namer(self) -> FullPipeline:
        """Begin a stream in which visitors are named."""
        return FullPipeline(Pipeline(self._perception, self._gallery, self._config))


@contextmanager
def open_system(
    config: Config, open_network: OpenNetwork = open_runner
) -> Iterator[SystemUnderTest]:
    """Load the networks; the gallery is one of its own and is gone afterwards.

    Raises:
        ModelError: the models or the sample portraits have not been built.
        InferenceError: a network cannot be loaded.
    """
    with (
        tempfile.TemporaryDirectory(prefix="doorbell-bench-") as scratch,
        closing(open_perception(config, open_network=open_network)) as perception,
        Gallery.open(Path(scratch) / "gallery.sqlite") as gallery,
    ):
        yield SystemUnderTest(perception, gallery, config)


def enroll_known(perception: Perception, gallery: Gallery, config: Config) -> FaceCrop:
    """Enroll the known visitor of the simulated scene, and return the portrait.

    Raises:
        EnrollmentError: the picture was refused.
    """
    photo = face_path(KNOWN_FACE, models_directory(config.inference))
    pixels = decode_photo(read_photo(photo), photo.name)
    faces = perception.detect_still(pixels)
    report = Enroller(perception, gallery, config).enroll_photos(KNOWN_NAME, [photo])
    if not report.added or not faces:
        raise EnrollmentError(report.results[0].message)
    return perception.crop_face(pixels, faces[0])


def _boxes(boxes: Sequence[Float32Array]) -> Float32Array:
    return np.array(boxes, np.float32).reshape(-1, 4)
