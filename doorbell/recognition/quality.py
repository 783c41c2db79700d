"""How far a face can be trusted: an aligned crop and keypoints in, a quality out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Face, Pose, UInt8Array
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
    """

    size_pixels: float
    sharpness: float
    pose: Pose
    brightness: float
    contrast: float
    detection: float

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
        )
        return float(np.prod([0.15 + 0.85 * part for part in parts]))


def _ramp(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)


def measure_quality(face: Face, crop: UInt8Array) -> Quality:
    """Measure one face.

    Args:
        face: as detected, in pixels of its frame.
        crop: (112, 112, 3) uint8, aligned.
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
    )
