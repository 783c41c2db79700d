"""How far a face can be trusted: an aligned crop and keypoints in, a quality out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Face, Float32Array, Pose, UInt8Array
from doorbell.recognition.pose import head_pose


@dataclass(frozen=True, slots=True)
class Quality:
    """What makes one picture of a face good or bad for recognition.

    Attributes:
        size_pixels: the shorter side of the box in the frame.
        sharpness: standard deviation of the Laplacian over that of the grey values, in the crop.
        pose: which way the head is turned.
        brightness: mean grey of the crop, 0 to 255.
        contrast: standard deviation of grey of the crop.
        detection: the detector's score.
        steadiness: how strong edges are across the direction in which they are weakest, over that
            in which they are strongest, 0 to 1: a face in motion is smeared along one direction.
        in_frame: the part of the crop that the frame shows, 0 to 1: the border cuts the rest off.
    """

    size_pixels: float
    sharpness: float
    pose: Pose
    brightness: float
    contrast: float
    detection: float
    steadiness: float
    in_frame: float

    @property
    def value(self) -> float:
        """All in one number, 0 to 1: the product of how good each of them is."""
        parts = (
            _ramp(self.size_pixels, 24, 96),
            _ramp(self.sharpness, 0.04, 0.25),
            1 - _ramp(abs(self.pose.yaw_degrees), 14, 41),
            _ramp(self.brightness, 20, 70),
            _ramp(self.contrast, 8, 30),
            _ramp(self.detection, 0.3, 0.8),
            # Measured 2026-11-22: 98 of 100 press photos and all frames of ten clips are above
            # 0.61; smeared until half of the likeness to their own portrait is lost, faces are at
            # 0.53. Cut to three quarters, they have lost a fifth of it.
            _ramp(self.steadiness, 0.5, 0.66),
            _ramp(self.in_frame, 0.6, 0.95),
        )
        return float(np.prod([0.15 + 0.85 * part for part in parts]))


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def measure_quality(face: Face, crop: UInt8Array, in_frame: float) -> Quality:
    """Measure one face.

    Args:
        face: as detected, in pixels of its frame.
        crop: (112, 112, 3) uint8, aligned.
        in_frame: the part of the crop that the frame shows, 0 to 1.
    """
    # The middle of the crop is face whatever the hair and background are.
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[16:104, 16:96].astype(np.float32)
    contrast = float(grey.std())
    laplacian = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return Quality(
        size_pixels=min(face.width_pixels, face.height_pixels),
        sharpness=laplacian / max(contrast, 1.0),
        pose=head_pose(face.keypoints_xy),
        brightness=float(grey.mean()),
        contrast=contrast,
        detection=face.score,
        steadiness=_steadiness(grey),
        in_frame=in_frame,
    )


def _steadiness(grey: Float32Array) -> float:
    """The root of the ratio of the structure tensor's eigenvalues, over the whole of a picture."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)  # noise is as strong in all directions
    across = smooth[1:-1, 2:] - smooth[1:-1, :-2]
    down = smooth[2:, 1:-1] - smooth[:-2, 1:-1]
    xx, yy, xy = (
        float((a * b).mean()) for a, b in ((across, across), (down, down), (across, down))
    )
    mean, turn = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    return math.sqrt(max(mean - turn, 0.0) / (mean + turn)) if mean else 1.0
