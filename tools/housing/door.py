"""One door of a machine: who stands before it is scripted, and so is what networks would see.

A frame says in its first pixel whose face is in it, which becomes a random picture of that person.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from vector_index import QUALITY, Faces

from doorbell.domain import (
    Body,
    BodyTrack,
    Face,
    FaceSample,
    Float32Array,
    Frame,
    Pose,
    Track,
    UInt8Array,
)
from doorbell.pipeline.perception import FaceCrop, Perception
from doorbell.recognition.embedder import SFACE_ID
from doorbell.recognition.pose import HEAD
from doorbell.recognition.quality import Quality

HEIGHT, WIDTH = 120, 160
BOX = np.array([48, 24, 112, 88], np.float32)
KEYPOINTS = np.asarray(HEAD[:, :2] * 4 + (80, 56), np.float32)
CLEAR = Quality(64.0, 0.5, Pose(0.0, 0.0, 0.0), 120.0, 1.0, 20.0, 0.0)

FRAME_SECONDS = 0.1
# A visitor is there for so many frames: long enough for a stranger to be told, also where somebody
# of ten thousand residents is a little like them, which takes ``decide_within_seconds``.
FRAMES_THERE = 45
# Then nobody, in so few frames that a camera may give: as long as it takes until a visit is over.
FRAMES_GONE, GONE_SECONDS = 10, 0.45
ABSENCE_SECONDS = 3.0
# Where nobody is awaited soon, the porch is looked at so often.
IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Coming:
    """Somebody comes to a door.

    Attributes:
        part: of the script, which begins when it is time.
        at: seconds after that.
        door_id: where.
        face: the place among all faces.
    """

    part: int
    at: float
    door_id: str
    face: int


class ScriptClock:
    """When the parts of a script begin, which is not known at first."""

    def __init__(self) -> None:
        self._begins_at: dict[int, float] = {}  # wall time

    def begin(self, part: int, at: float) -> None:
        """Let a part begin at a wall time."""
        self._begins_at[part] = at

    def seconds_until(self, coming: Coming) -> float:
        """Seconds until somebody comes; infinite while that part has not begun."""
        begins_at = self._begins_at.get(coming.part)
        return np.inf if begins_at is None else begins_at + coming.at - time.time()


class ScriptedCamera:
    """Shows who comes, as fast as frames are taken.

    Args:
        comings: to this door, the first first.
        clock: of all doors.
    """

    def __init__(self, comings: Sequence[Coming], clock: ScriptClock) -> None:
        self._clock = clock
        self._frames = self._shown(comings)
        self._seconds = 0.0
        self._index = 0
        self._closed = False

    def read(self) -> Frame:
        """The next frame."""
        return next(self._frames)

    def close(self) -> None:
        """Nothing to release."""

    def _shown(self, comings: Sequence[Coming]) -> Iterator[Frame]:
        for coming in comings:
            while (left := self._clock.seconds_until(coming)) > 0:
                time.sleep(min(left, IDLE_SECONDS))
                yield self._frame(empty(), FRAME_SECONDS)
            pixels = picture(coming.face)
            for _ in range(FRAMES_THERE):
                yield self._frame(pixels, FRAME_SECONDS)
            for _ in range(FRAMES_GONE):
                yield self._frame(empty(), GONE_SECONDS)
        while True:
            time.sleep(IDLE_SECONDS)
            yield self._frame(empty(), FRAME_SECONDS)

    def _frame(self, pixels: UInt8Array, seconds: float) -> Frame:
        self._seconds += seconds
        self._index += 1
        return Frame(pixels, self._seconds, time.time(), self._index)


class ScriptedPerception(Perception):
    """Finds the one face that a frame says is in it.

    Args:
        faces: (n, 128) float32, everybody's.
        seed: of chance.
    """

    def __init__(self, faces: Float32Array, seed: int) -> None:
        self._faces = faces
        self._drawing = Faces(seed)

    def close(self) -> None:
        """Nothing to release."""

    @property
    def model_id(self) -> str:
        """As the real one."""
        return SFACE_ID

    def detect(
        self,
        pixels: UInt8Array,
        tracks: Sequence[Track],
        *,
        device_address: int | None = None,
        worth: int = 1,
    ) -> list[Face]:
        """The face, if there is one."""
        del tracks, device_address, worth
        return [] if face_in(pixels) is None else [Face(BOX, KEYPOINTS, 0.9)]

    def find_bodies(
        self,
        pixels: UInt8Array,
        time_seconds: float,
        faces: Sequence[Track],
        followed: Sequence[BodyTrack],
        *,
        busy: bool = False,
    ) -> list[Body] | None:
        """Nobody is looked for by their figure."""
        del pixels, time_seconds, faces, followed, busy
        return None

    def is_moving(self, face: Face, frames: int) -> bool:
        """Everybody moves."""
        del face, frames
        return True

    def bodies_in(self, pixels: UInt8Array) -> list[Body]:
        """Nobody is looked for by their figure."""
        del pixels
        return []

    def portray(
        self, pixels: UInt8Array, face: Face, *, device_address: int | None = None
    ) -> FaceCrop:
        """The frame itself, which says whose face it is."""
        del device_address
        return FaceCrop(face, pixels, CLEAR)

    def embed(
        self, portraits: Sequence[FaceCrop], *, mirrored: bool = False
    ) -> list[FaceSample | None]:
        """Another picture of each face."""
        del mirrored
        places = [face_in(each.crop) for each in portraits]
        pictures = self._drawing.pictures(self._faces[[each or 0 for each in places]])
        return [FaceSample(picture, SFACE_ID, QUALITY) for picture in pictures]


def empty() -> UInt8Array:
    """A porch without anybody, (HEIGHT, WIDTH, 3) uint8."""
    return np.full((HEIGHT, WIDTH, 3), 255, np.uint8)


def picture(face: int) -> UInt8Array:
    """Somebody at the door, in clothes of their own, (HEIGHT, WIDTH, 3) uint8."""
    clothes = np.random.default_rng(face).integers(0, 255, (12, 16, 3), np.uint8)
    pixels = np.repeat(np.repeat(clothes, 10, axis=0), 10, axis=1)
    pixels[0, 0] = face >> 16 & 255, face >> 8 & 255, face & 255
    return np.asarray(pixels, np.uint8)


def face_in(pixels: UInt8Array) -> int | None:
    """Whose face a frame says is in it."""
    high, middle, low = pixels[0, 0].tolist()
    place = high << 16 | middle << 8 | low
    return None if place == 0xFFFFFF else place
