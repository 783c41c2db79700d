"""What goes between the daemon and the process that looks at photos (``pipe_messages``).

What comes back is believed as little as a photo: it is checked for its form and its bounds before
it becomes anything.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from doorbell.control.wire import Document
from doorbell.domain import Face, FaceSample, Float32Array, Pose
from doorbell.errors import EnrollmentError
from doorbell.household.enrollment_strength import POSES
from doorbell.household.enrollment_watch import WatchedFace
from doorbell.household.examination import ExaminedFace, ExaminedPhoto
from doorbell.household.pipe_messages import Message
from doorbell.imaging.portrait import is_portrait
from doorbell.pipeline.turning import MAX_FACES
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.quality import Quality
from doorbell.recognition.templates import EMBEDDING_SIZE
from doorbell.recognition.variants import DRAWINGS

# A frame of the largest camera fits in.
MAX_BLOB_BYTES = 7680 * 4320 * 3
MAX_REPLY_BYTES = 4_000_000
# A photo is shown in one of these widths, or narrower.
PREVIEW_PIXELS = (960, 320)
_STORED_FLOAT = np.dtype("<f4")

_Finite = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
_Pixels = Annotated[int, Field(ge=1, le=30_000)]
_Part = Annotated[float, Field(ge=0.0, le=1.0)]
_AnyText = TypeVar("_AnyText", bound=BaseModel)


@dataclass(frozen=True, eq=False, slots=True)
class SeenPhoto:
    """A photo that was looked at, with what it is shown by.

    Attributes:
        photo: what is in it.
        width, height: of it in pixels, upright.
        previews: JPEGs of it, the widest first.
        portraits: of each face one, a JPEG.
    """

    photo: ExaminedPhoto
    width: int
    height: int
    previews: tuple[bytes, ...]
    portraits: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """Which ways somebody before the camera was seen turned, and which not yet."""

    seen: tuple[str, ...]
    missing: tuple[str, ...]


class _Text(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _SampleText(_Text):
    embedding: Annotated[str, Field(max_length=1000)]
    quality: _Part

    def sample(self) -> FaceSample:
        vector = np.frombuffer(b64decode(self.embedding, validate=True), _STORED_FLOAT)
        length = float(np.linalg.norm(vector))
        if vector.shape != (EMBEDDING_SIZE,) or not abs(length - 1.0) <= 1e-3:
            raise ValueError("that is no embedding")
        return FaceSample(vector.astype(np.float32), SFACE_ID, self.quality)


class _QualityText(_Text):
    size_pixels: _Finite
    sharpness: _Finite
    pose: tuple[_Finite, _Finite, _Finite]
    brightness: _Finite
    in_frame: _Finite
    chroma: _Finite
    veil: _Finite

    def quality(self) -> Quality:
        values = self.model_dump()
        return Quality(**{**values, "pose": Pose(*values["pose"])})


class _FaceText(_Text):
    box: tuple[_Finite, _Finite, _Finite, _Finite]
    keypoints: Annotated[tuple[tuple[_Finite, _Finite], ...], Field(min_length=6, max_length=6)]
    score: _Part
    quality: _QualityText
    sample: _SampleText
    variants: dict[str, _SampleText]
    portrait_bytes: Annotated[int, Field(ge=0)]

    def examined(self) -> ExaminedFace:
        box = np.array(self.box, np.float32)
        keypoints = np.array(self.keypoints, np.float32)
        return ExaminedFace(
            Face(box, keypoints, self.score),
            self.quality.quality(),
            self.sample.sample(),
            {name: text.sample() for name, text in self.variants.items() if name in DRAWINGS},
        )


class _PhotoText(_Text):
    turned_degrees: Annotated[int, Field(ge=0, le=270, multiple_of=90)]
    found: Annotated[int, Field(ge=0, le=100_000)]
    width: _Pixels
    height: _Pixels
    preview_bytes: Annotated[tuple[int, ...], Field(max_length=len(PREVIEW_PIXELS))]
    faces: Annotated[tuple[_FaceText, ...], Field(max_length=MAX_FACES)]


class _WatchedText(_Text):
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    samples: Annotated[tuple[_SampleText, ...], Field(min_length=1, max_length=64)]
    qualities: Annotated[tuple[_QualityText, ...], Field(max_length=1000)]
    usable: Annotated[int, Field(ge=0)]


class _SeenText(_Text):
    seen: Annotated[tuple[str, ...], Field(max_length=len(POSES))]
    missing: Annotated[tuple[str, ...], Field(max_length=len(POSES))]


def photo_message(seen: SeenPhoto) -> Message:
    """A photo that was looked at, to be sent."""
    return {
        "turned_degrees": seen.photo.turned_degrees,
        "found": seen.photo.found,
        "width": seen.width,
        "height": seen.height,
        "preview_bytes": [len(each) for each in seen.previews],
        "faces": [
            {
                "box": face.face.box_xyxy.tolist(),
                "keypoints": face.face.keypoints_xy.tolist(),
                "score": min(max(float(face.face.score), 0.0), 1.0),
                "quality": _quality_text(face.quality),
                "sample": _sample_text(face.sample),
                "variants": {name: _sample_text(each) for name, each in face.variants.items()},
                "portrait_bytes": len(portrait),
            }
            for face, portrait in zip(seen.photo.faces, seen.portraits, strict=True)
        ],
    }, b"".join((*seen.previews, *seen.portraits))


def read_photo_message(document: Mapping[str, Any], blob: bytes) -> SeenPhoto:
    """A photo that was looked at, as it came.

    Raises:
        EnrollmentError: it has not the form.
    """
    text = _checked(_PhotoText, document)
    sizes = [*text.preview_bytes, *(face.portrait_bytes for face in text.faces)]
    if sum(sizes) != len(blob) or min(sizes, default=0) < 0:
        raise EnrollmentError(_NOT_OF_ITS_FORM)
    parts, place = [], 0
    for size in sizes:
        parts.append(blob[place : place + size])
        place += size
    count = len(text.preview_bytes)
    if not all(is_portrait(each) for each in parts[count:]):
        raise EnrollmentError(_NOT_OF_ITS_FORM)
    try:
        faces = tuple(face.examined() for face in text.faces)
    except ValueError as exc:
        raise EnrollmentError(_NOT_OF_ITS_FORM) from exc
    return SeenPhoto(
        ExaminedPhoto(text.turned_degrees, text.found, faces),
        text.width,
        text.height,
        tuple(parts[:count]),
        tuple(parts[count:]),
    )


def watched_message(watched: WatchedFace) -> Message:
    """The main person of some frames, to be sent."""
    return {
        "digest": watched.digest,
        "samples": [_sample_text(each) for each in watched.samples],
        "qualities": [_quality_text(each) for each in watched.qualities],
        "usable": watched.usable,
    }, b""


def read_watched_message(document: Mapping[str, Any]) -> WatchedFace:
    """The main person of some frames, as it came.

    Raises:
        EnrollmentError: it has not the form.
    """
    text = _checked(_WatchedText, document)
    try:
        samples = tuple(each.sample() for each in text.samples)
    except ValueError as exc:
        raise EnrollmentError(_NOT_OF_ITS_FORM) from exc
    qualities = tuple(each.quality() for each in text.qualities)
    return WatchedFace(text.digest, samples, qualities, text.usable)


def read_seen_message(document: Mapping[str, Any]) -> Seen:
    """Which poses were seen, as it came.

    Raises:
        EnrollmentError: it has not the form.
    """
    text = _checked(_SeenText, document)
    if not {*text.seen, *text.missing} <= set(POSES):
        raise EnrollmentError(_NOT_OF_ITS_FORM)
    return Seen(text.seen, text.missing)


_NOT_OF_ITS_FORM = "what looks at photos has answered what it should not; try another photo"


def _checked(form: type[_AnyText], document: Mapping[str, Any]) -> _AnyText:
    try:
        return form.model_validate_json(json.dumps(document))
    except (ValidationError, ValueError) as exc:
        raise EnrollmentError(_NOT_OF_ITS_FORM) from exc


def _sample_text(sample: FaceSample) -> Document:
    vector: Float32Array = sample.embedding
    return {
        "embedding": b64encode(vector.astype(_STORED_FLOAT).tobytes()).decode("ascii"),
        "quality": float(sample.quality),
    }


def _quality_text(quality: Quality) -> Document:
    pose: Sequence[float] = (
        quality.pose.yaw_degrees,
        quality.pose.pitch_degrees,
        quality.pose.roll_degrees,
    )
    return {
        "size_pixels": float(quality.size_pixels),
        "sharpness": float(quality.sharpness),
        "pose": [float(each) for each in pose],
        "brightness": float(quality.brightness),
        "in_frame": float(quality.in_frame),
        "chroma": float(quality.chroma),
        "veil": float(quality.veil),
    }
