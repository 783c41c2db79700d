"""Frames to enroll from: guided before a camera, or all of a video."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from doorbell.domain import Frame, Pose
from doorbell.errors import CameraError, EndOfStreamError
from doorbell.household.enrollment_frames import guided_frames, video_frames
from doorbell.household.enrollment_strength import POSES, Coverage

FRAME = Frame(np.zeros((4, 4, 3), np.uint8), 0.0, 0.0, 0)
# Degrees of yaw and pitch that count as each pose.
TURNED = {"straight": (0, 0), "left": (20, 0), "right": (-20, 0), "up": (0, 12), "down": (0, -12)}


class Camera:
    """Gives what it was given."""

    def __init__(self, *answers: Frame | Exception) -> None:
        self._answers: Iterator[Frame | Exception] = iter(answers)

    def get(self, timeout_seconds: float) -> Frame:
        assert timeout_seconds > 0
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_each_pose_is_asked_for_until_all_were_seen() -> None:
    coverage, asked, taken = Coverage(), [], 0
    frames = guided_frames(
        Camera(*[FRAME] * 20), coverage, lambda told: asked.append(told.missing[0]), seconds=60.0
    )
    for _ in frames:
        taken += 1
        yaw, pitch = TURNED[coverage.missing[0]]
        coverage.add(Pose(yaw, pitch, 0))
    assert asked == list(POSES)
    assert taken == 2 * len(POSES)
    assert coverage.missing == ()


@pytest.mark.parametrize("ending", [EndOfStreamError("the end"), CameraError("lost")])
def test_a_camera_that_gives_no_more_ends_it(ending: CameraError) -> None:
    camera = Camera(FRAME, FRAME, ending)
    frames = guided_frames(camera, Coverage(), lambda _: None, seconds=60.0)
    assert list(frames) == [FRAME, FRAME]


def test_a_camera_that_gives_none_at_all_is_a_fault() -> None:
    frames = guided_frames(Camera(CameraError("lost")), Coverage(), lambda _: None, seconds=60.0)
    with pytest.raises(CameraError, match="lost"):
        next(frames)


def test_the_time_is_up_at_last() -> None:
    assert list(guided_frames(Camera(FRAME), Coverage(), lambda _: None, seconds=0.0)) == []


def test_a_video_is_taken_to_its_end(tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for grey in range(0, 200, 50):
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    shades = [float(frame.pixels.mean()) for frame in video_frames(video)]
    assert shades == pytest.approx([0, 50, 100, 150], abs=3)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    notes = tmp_path / "notes.avi"
    notes.write_text("milk, bread")
    with pytest.raises(CameraError, match=r"notes\.avi"):
        next(video_frames(notes))
