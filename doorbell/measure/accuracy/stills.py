"""The main face of each of many photos, as a vector.

Whose method finds and embeds is behind ``Recognizer``: the product's own, or the one it is compared
with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from doorbell.domain import Face, FaceSample, Float32Array, UInt8Array
from doorbell.household.examination import SURE_SCORE
from doorbell.imaging.photos import decode_photo, read_photo
from doorbell.models.fetch import Progress
from doorbell.pipeline.perception import FaceCrop, Perception

# Pictures whose faces are embedded in one batch.
BATCH = 16


class Recognizer(Protocol):
    """What finds and embeds the faces of single pictures."""

    def look(self, pixels: UInt8Array) -> list[FaceCrop]:
        """Find and cut out the faces of a picture, (height, width, 3) uint8 RGB."""

    def embed(self, portraits: Sequence[FaceCrop]) -> list[FaceSample | None]:
        """Embed faces; None for what turns out to be none."""


class ProductRecognizer:
    """The networks of the product, used as by an enrollment."""

    def __init__(self, perception: Perception) -> None:
        self._perception = perception

    def look(self, pixels: UInt8Array) -> list[FaceCrop]:
        """Look everywhere in the picture."""
        perception = self._perception
        return [perception.crop_face(pixels, face) for face in perception.detect_still(pixels)]

    def embed(self, portraits: Sequence[FaceCrop]) -> list[FaceSample | None]:
        """Embed in one batch."""
        return self._perception.embed(portraits, mirrored=True)


@dataclass(frozen=True, eq=False, slots=True)
class Subject:
    """The main face of a photo.

    Attributes:
        path: the photo.
        face: as detected.
        sample: its embedding.
    """

    path: Path
    face: Face
    sample: FaceSample


@dataclass(frozen=True, eq=False, slots=True)
class Seen:
    """All faces of a photo.

    Attributes:
        path: the photo.
        middle_xy: (2,) float32, of the photo.
        faces: each with its embedding.
    """

    path: Path
    middle_xy: Float32Array
    faces: tuple[tuple[Face, FaceSample], ...]

    @property
    def subject(self) -> Subject | None:
        """The face that enrollment takes; where it would ask, the one that is large and central."""
        faces = [pair for pair in self.faces if pair[0].score >= SURE_SCORE] or self.faces
        if not faces:
            return None
        face, sample = max(faces, key=lambda pair: _prominence(pair[0], self.middle_xy))
        return Subject(self.path, face, sample)


def read_picture(path: Path) -> UInt8Array:
    """Read a picture as an enrollment does: (height, width, 3) uint8, RGB, upright."""
    return decode_photo(read_photo(path), str(path))


def find_subjects(
    recognizer: Recognizer, paths: Sequence[Path], progress: Progress
) -> Mapping[Path, Subject | None]:
    """Find and embed the main face of each photo; None where there is no face.

    Raises:
        PictureError: a file is no picture.
    """
    seen = find_faces(recognizer, paths, progress)
    return {path: faces.subject for path, faces in seen.items()}


def find_faces(
    recognizer: Recognizer, paths: Sequence[Path], progress: Progress
) -> Mapping[Path, Seen]:
    """Find and embed the faces of each photo.

    Raises:
        PictureError: a file is no picture.
    """
    seen: dict[Path, Seen] = {}
    remaining = iter(paths := list(dict.fromkeys(paths)))
    while batch := list(islice(remaining, BATCH)):
        portraits: list[FaceCrop] = []
        found: list[tuple[Path, Float32Array, int]] = []
        for path in batch:
            pixels = read_picture(path)
            middle = np.array([pixels.shape[1] / 2, pixels.shape[0] / 2], np.float32)
            looked = recognizer.look(pixels)
            portraits += looked
            found.append((path, middle, len(looked)))
        pairs = iter(zip(portraits, recognizer.embed(portraits), strict=True))
        for path, middle, count in found:
            faces = [(portrait.face, sample) for portrait, sample in islice(pairs, count) if sample]
            seen[path] = Seen(path, middle, tuple(faces))
        progress("faces", len(seen), len(paths))
    return seen


def _prominence(face: Face, middle: Float32Array) -> float:
    """Area less twice the squared distance to the middle: FaceNet's choice (Sandberg, 2017)."""
    centre = (face.box_xyxy[:2] + face.box_xyxy[2:]) / 2
    offset = float(((centre - middle) ** 2).sum())
    return face.width_pixels * face.height_pixels - 2 * offset
