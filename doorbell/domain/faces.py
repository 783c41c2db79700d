"""What is seen in a frame: faces, how they are turned, figures, and tracks of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32Array: TypeAlias = NDArray[np.float32]
UInt8Array: TypeAlias = NDArray[np.uint8]

# The order of the six keypoints in BlazeFace's output (MediaPipe's face detection).
KEYPOINT_NAMES = (
    "right_eye",
    "left_eye",
    "nose_tip",
    "mouth_centre",
    "right_ear_tragion",
    "left_ear_tragion",
)


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """One picture of a camera.

    Attributes:
        pixels: (height, width, 3) uint8, RGB. The receiver owns it and may not write to it.
        time_seconds: monotonic stream time of the capture.
        captured_at: wall time of the capture, seconds since the epoch.
        index: counts the frames of one camera session, dropped ones included.
        device_address: where a GPU sees the same memory; None where it sees none of it. The memory
            lives as long as ``pixels``.
        intra: whether it was coded without the ones before it, as what no encoder has had is; None
            where nothing tells.
    """

    pixels: UInt8Array
    time_seconds: float
    captured_at: float
    index: int
    device_address: int | None = None
    intra: bool | None = True

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True, eq=False, slots=True)
class Face:
    """A detected face in pixels of its frame.

    Attributes:
        box_xyxy: (4,) float32: left, top, right, bottom.
        keypoints_xy: (6, 2) float32 in the order of ``KEYPOINT_NAMES``; right and left are the
            person's own.
        score: 0 to 1.
    """

    box_xyxy: Float32Array
    keypoints_xy: Float32Array
    score: float

    @property
    def width_pixels(self) -> float:
        """Width of the box."""
        return float(self.box_xyxy[2] - self.box_xyxy[0])

    @property
    def height_pixels(self) -> float:
        """Height of the box."""
        return float(self.box_xyxy[3] - self.box_xyxy[1])

    @property
    def centre_xy(self) -> Float32Array:
        """(2,) float32, the middle of the box."""
        return np.asarray(self.box_xyxy.reshape(2, 2).mean(axis=0), np.float32)


@dataclass(frozen=True, slots=True)
class Pose:
    """How a head is turned away from facing the camera.

    Attributes:
        yaw_degrees: positive where it is turned to the person's own left.
        pitch_degrees: positive where it looks up.
        roll_degrees: positive where it is tilted to the person's own left.
    """

    yaw_degrees: float
    pitch_degrees: float
    roll_degrees: float


@dataclass(frozen=True, slots=True)
class Attention:
    """Whether a visitor looks at the door.

    Attributes:
        looking: when last seen.
        looking_seconds: stream time of the visit spent looking so far.
        pose: when last seen.
    """

    looking: bool
    looking_seconds: float
    pose: Pose


@dataclass(frozen=True, eq=False, slots=True)
class FaceSample:
    """The embedding of one face.

    Attributes:
        embedding: (128,) float32 of unit length. Never logged, never published.
        model_id: which embedder made it; embeddings of different models are never compared.
        quality: 0 to 1, the cosine that is to be expected with the person's own template.
    """

    embedding: Float32Array
    model_id: str
    quality: float


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """A face followed over frames.

    Attributes:
        track_id: unique within one run of the daemon.
        face: where it was last seen, steadied over time; for pictures and regions, while
            recognition takes the face as it was detected.
        first_seen_seconds, last_seen_seconds: stream time.
        hits: frames in which it was found.
    """

    track_id: int
    face: Face
    first_seen_seconds: float
    last_seen_seconds: float
    hits: int


# A face belongs to a body whose box, so much wider, holds its middle in this upper part of the
# height: who sits or bends down has the head low.
HEAD_MARGIN, HEAD_PART = 0.1, 0.6


@dataclass(frozen=True, eq=False, slots=True)
class Body:
    """Somebody's figure in pixels of the frame, whatever can be seen of the face.

    Attributes:
        box_xyxy: (4,) float32: left, top, right, bottom.
        score: 0 to 1.
        is_moving: whether something has just moved within the box.
    """

    box_xyxy: Float32Array
    score: float
    is_moving: bool = False

    @property
    def height_pixels(self) -> float:
        """Height of the box."""
        return float(self.box_xyxy[3] - self.box_xyxy[1])

    @property
    def centre_xy(self) -> Float32Array:
        """(2,) float32, the middle of the box."""
        return np.asarray(self.box_xyxy.reshape(2, 2).mean(axis=0), np.float32)

    def holds(self, face: Face) -> bool:
        """Whether a face is where the head is."""
        left, top, right, bottom = (float(edge) for edge in self.box_xyxy)
        x, y = (float(value) for value in face.centre_xy)
        margin = HEAD_MARGIN * (right - left)
        return left - margin <= x <= right + margin and (
            top - margin <= y <= top + HEAD_PART * (bottom - top)
        )


@dataclass(frozen=True, eq=False, slots=True)
class BodyTrack:
    """A figure followed over the frames in which figures were looked for.

    Attributes:
        track_id: unique within one run of the daemon, among bodies.
        body: where it was last seen.
        first_seen_seconds, last_seen_seconds, last_moved_seconds: stream time.
        hits: looks that found it.
        moves: of these, how often it was moving.
    """

    track_id: int
    body: Body
    first_seen_seconds: float
    last_seen_seconds: float
    last_moved_seconds: float
    hits: int
    moves: int
