"""What a photo shows: its faces, how good each is, and what it would teach the gallery.

Pixels in; it knows no gallery, no person and no file, so that it can run in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from doorbell.domain import Face, FaceSample, UInt8Array
from doorbell.errors import EnrollmentError
from doorbell.pipeline.perception import Perception
from doorbell.pipeline.turning import MAX_FACES, find_upright
from doorbell.recognition.quality import Quality

# What the detector is less sure of than this beside a surer face is no second person. Measured
# 2026-11-22 on outdoor photographs: nineteen in twenty mistakes score below 0.72.
SURE_SCORE = 0.75

NO_FACE = (
    "no face found; take a photo of the face from the front, in even light, "
    "that fills at least a tenth of the picture"
)


@dataclass(frozen=True, eq=False, slots=True)
class ExaminedFace:
    """A face of a photo.

    Attributes:
        face: in pixels of the upright photo.
        quality: of this picture of it.
        sample: its embedding.
        variants: the same face with something drawn over it, by the name of the drawing.
    """

    face: Face
    quality: Quality
    sample: FaceSample
    variants: Mapping[str, FaceSample]


@dataclass(frozen=True, eq=False, slots=True)
class ExaminedPhoto:
    """A photo that was looked at.

    Attributes:
        turned_degrees: clockwise, by which it had to be turned to be upright.
        found: how many faces the detector found; of more than ``MAX_FACES`` none is kept.
        faces: those that count, the surest first.
    """

    turned_degrees: int
    found: int
    faces: tuple[ExaminedFace, ...]

    def only_face(self) -> ExaminedFace:
        """The one face of it.

        Raises:
            EnrollmentError: it shows none, or several.
        """
        if self.found > MAX_FACES:
            raise EnrollmentError(f"{self.found} faces found; cut the photo to the one to enroll")
        if not self.faces:
            raise EnrollmentError(NO_FACE)
        if len(self.faces) > 1:
            boxes = ", ".join(box_text(each.face) for each in self.faces)
            raise EnrollmentError(
                f"{len(self.faces)} faces found, at {boxes}; cut the photo to the one to enroll"
            )
        return self.faces[0]


def examine_photo(perception: Perception, pixels: UInt8Array) -> ExaminedPhoto:
    """Find and judge the faces of a photo, (height, width, 3) uint8 RGB."""
    seen = find_upright(perception, pixels)
    sure = [pair for pair in seen.faces if pair[0].face.score >= SURE_SCORE] or seen.faces
    return ExaminedPhoto(
        seen.degrees,
        seen.found,
        tuple(
            ExaminedFace(crop.face, crop.quality, sample, perception.embed_variants(crop))
            for crop, sample in sure
        ),
    )


def box_text(face: Face) -> str:
    """Where a face is, in words."""
    left, top, right, bottom = (round(float(value)) for value in face.box_xyxy)
    return f"({left}, {top})-({right}, {bottom})"
