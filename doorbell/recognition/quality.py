"""How much a picture of a face tells: crop, keypoints and embedding in, a quality out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Face, Pose, UInt8Array
from doorbell.recognition.pose import head_pose
from doorbell.recognition.veil import Unveiled

# The cosine of a face with the person's template of five photographs, by the length of its
# embedding before that is brought to unit length. Fitted 2026-11-28 by least squares on 26,156
# frames of 34 people, their photographs shown as a door's camera would in 25 conditions of that fit
# (far away, dark, infrared, against the light, masked, ...), not the 24 of ``evaluate conditions``.
# Shorter ones are of no face (``FACE_LENGTH``).
LENGTHS = (7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.5)
SIMILARITIES = (0.29, 0.38, 0.47, 0.56, 0.63, 0.67, 0.71)
# What a picture without colour, as a camera's by infrared, is less alike, and what each part of
# veil takes away. By the length alone half of the variance is explained, with these 56 %; by size,
# sharpness, pose, light, noise and the detector's score together one part in a hundred more. Beyond
# ``MOST_VEIL`` faces in ten clips lose no more.
GREY_LOSS, GREY_CHROMA = 0.14, 2.0
VEIL_LOSS, MOST_VEIL = 0.86, 0.15


@dataclass(frozen=True, slots=True)
class Quality:
    """What a picture of a face is like.

    Attributes:
        size_pixels: the shorter side of the box in the frame.
        sharpness: standard deviation of the Laplacian over that of the grey values, in the crop.
        pose: which way the head is turned.
        brightness: mean grey of the crop, 0 to 255.
        in_frame: the part of the crop that the frame shows, 0 to 1: the border cuts the rest off.
        chroma: mean difference between red and blue, 0 to 255: near 0 in a picture without colour.
        veil: how light the darkest part of the face was, as a part of the lightest, 0 to 1.
    """

    size_pixels: float
    sharpness: float
    pose: Pose
    brightness: float
    in_frame: float
    chroma: float
    veil: float


def expected_similarity(quality: Quality, length: float) -> float:
    """The cosine with the person's own template that a face is expected to have, 0 to 1.

    Args:
        quality: of the picture.
        length: of the embedding before it was brought to unit length.
    """
    expected = float(np.interp(length, LENGTHS, SIMILARITIES))
    if quality.chroma < GREY_CHROMA:
        expected -= GREY_LOSS
    expected -= VEIL_LOSS * min(quality.veil, MOST_VEIL)
    return min(max(expected, 0.0), 1.0)


def measure_quality(face: Face, crop: UInt8Array, in_frame: float, clear: Unveiled) -> Quality:
    """Measure one face.

    Args:
        face: as detected, in pixels of its frame.
        crop: (112, 112, 3) uint8, aligned.
        in_frame: the part of the crop that the frame shows, 0 to 1.
        clear: the crop without its veil.
    """
    red, _, blue = cv2.split(clear.crop[16:104, 16:96])
    # The middle of the crop is face whatever the hair and background are.
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)[16:104, 16:96].astype(np.float32)
    contrast = float(grey.std())
    laplacian = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return Quality(
        size_pixels=min(face.width_pixels, face.height_pixels),
        sharpness=laplacian / max(contrast, 1.0),
        pose=head_pose(face.keypoints_xy),
        brightness=float(grey.mean()),
        in_frame=in_frame,
        chroma=cv2.mean(cv2.absdiff(red, blue))[0],
        veil=clear.veil,
    )
