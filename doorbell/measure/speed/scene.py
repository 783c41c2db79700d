"""What the benchmark looks at: a porch drawn by the simulated camera, or a video of one's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from doorbell.camera import open_camera
from doorbell.camera.simulated.camera import SceneRenderer
from doorbell.camera.simulated.script import Appearance, Pose, SceneScript, demo_script
from doorbell.config import CameraSection
from doorbell.domain import Float32Array, Frame, UInt8Array
from doorbell.errors import CameraError, EndOfStreamError
from doorbell.measure.speed.timing import MIN_ROUNDS

WALL_TIME = 1_700_000_000.0
FRAMES_PER_SECOND = 30.0
# A visitor who does not go before the benchmark is over.
FOREVER_SECONDS = 80_000.0
AT_ONCE_SECONDS = 0.001
# Faces of a crowd, of the picture's height: eight of them fit side by side in 4:3.
CROWD_FACE = 0.12


@dataclass(frozen=True, slots=True)
class Size:
    """Of a frame, in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return "4K" if self.height == 2160 else f"{self.height}p"


P480, P720, P1080 = Size(640, 480), Size(1280, 720), Size(1920, 1080)
SIZES = (P480, P720, P1080, Size(2560, 1440), Size(3840, 2160))


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """A frame, and where a face is in it: (4,) float32 xyxy; None where nobody knows."""

    frame: Frame
    face_xyxy: Float32Array | None


def standing(count: int, faces: Path) -> SceneScript:
    """So many visitors who stand at the door from the first frame on; none is an empty porch.

    There are two portraits, which take turns. One visitor stands near, several side by side.
    """
    portraits = demo_script(faces).appearances[:2]
    if count > 1:
        portraits = tuple(
            replace(each, closest_face=CROWD_FACE, farthest_face=CROWD_FACE) for each in portraits
        )
    there = tuple(
        replace(
            portraits[place % 2],
            enters_seconds=0.0,
            approach_seconds=AT_ONCE_SECONDS,
            stays_seconds=FOREVER_SECONDS,
            door_x=(place + 0.5) / count,
        )
        for place in range(count)
    )
    return SceneScript(there, FOREVER_SECONDS)


def face_box(pose: Pose) -> Float32Array:
    """Where a face is: (4,) float32 xyxy."""
    return np.array(pose.face_xyxy, np.float32)


def shows(boxes_xyxy: Float32Array, face_xyxy: Float32Array | None) -> bool:
    """Whether a box lies around the middle of the face; where nobody knows it, any box will do."""
    if face_xyxy is None:
        return len(boxes_xyxy) > 0
    middle = (face_xyxy[:2] + face_xyxy[2:]) / 2
    inside = (boxes_xyxy[:, :2] < middle) & (middle < boxes_xyxy[:, 2:])  # (n, 2)
    return bool(inside.all(axis=1).any())


def draw(
    script: SceneScript, size: Size, frames_per_second: float = FRAMES_PER_SECOND
) -> Iterator[View]:
    """Frames of a scene, without end, as fast as they are taken."""
    renderer = SceneRenderer(script, size.width, size.height, FRAMES_PER_SECOND)
    index = 0
    while True:
        # The frame after the visitor has come up to the door.
        seconds = index / frames_per_second + 2 * AT_ONCE_SECONDS
        visible = script.visible_at(seconds)
        pose = visible[0].pose_at(seconds, size.width, size.height) if visible else None
        frame = Frame(renderer.render(seconds, index), seconds, WALL_TIME + seconds, index)
        yield View(frame, None if pose is None else face_box(pose))
        index += 1


def play(video: Path, size: Size, frames_per_second: float = FRAMES_PER_SECOND) -> Iterator[View]:
    """Frames of a video, again and again, brought to a size with black at the sides.

    Raises:
        CameraError: it cannot be read.
    """
    section = CameraSection(uri=str(video.resolve()), realtime=False)
    index = 0
    while True:
        before = index
        with closing(open_camera(section)) as camera:
            while True:
                try:
                    pixels = camera.read().pixels
                except EndOfStreamError:
                    break
                seconds = index / frames_per_second
                fitted = _fitted(pixels, size)
                yield View(Frame(fitted, seconds, WALL_TIME + seconds, index), None)
                index += 1
        if index == before:
            raise CameraError(f"{video} shows no frame; give another video")


def for_seconds(views: Iterator[View], seconds: float) -> Iterator[View]:
    """Views until the time is over; some in any case."""
    began = time.perf_counter()
    for count, view in enumerate(views):
        if count >= MIN_ROUNDS and time.perf_counter() - began >= seconds:
            return
        yield view


def _fitted(pixels: UInt8Array, size: Size) -> UInt8Array:
    height, width = pixels.shape[:2]
    scale = min(size.width / width, size.height / height)
    inner = round(width * scale), round(height * scale)
    left, top = (size.width - inner[0]) // 2, (size.height - inner[1]) // 2
    fitted = np.zeros((size.height, size.width, 3), np.uint8)
    fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(pixels, inner)
    return fitted


def visits(count: int, faces: Path, *, seed: int, between_seconds: float) -> SceneScript:
    """Known visitors one after the other, from both sides, at their own pace.

    Args:
        count: how many come.
        faces: portraits of the simulated camera.
        seed: decides where each comes from and how fast.
        between_seconds: for which the porch is empty before each.
    """
    known: Appearance = demo_script(faces).appearances[0]
    generator = np.random.default_rng(seed)
    coming: list[Appearance] = []
    free_seconds = 0.0
    for place in range(count):
        coming.append(
            replace(
                known,
                enters_seconds=free_seconds + between_seconds + float(generator.uniform(0, 0.1)),
                approach_seconds=float(generator.uniform(1.4, 2.4)),
                stays_seconds=1.5,
                leave_seconds=1.0,
                from_x=-0.15 if place % 2 else 1.15,
                door_x=float(generator.uniform(0.3, 0.7)),
            )
        )
        free_seconds = coming[-1].gone_seconds
    return SceneScript(tuple(coming), free_seconds + between_seconds, seed)
