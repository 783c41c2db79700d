"""What a camera's pictures will make of faces at the door, and in plain words what helps.

With a face in sight it is measured itself; without one, the picture has to do. Thresholds were set
on 60 photographs of faces formed as a door camera does (light, noise, lenses) and on 50 street
scenes, 2026-11-28; what each finds of the faces stands in docs/camera.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.domain import Face, UInt8Array
from doorbell.imaging.light import CLIPPED_GREY, CLIPPED_PART, FaceLight, face_light

# A detected box is 2.43 times as wide as the eyes are apart (median of those photographs), and
# adults' eyes are 63 mm apart.
FACE_METRES = 0.153
DISTANCES_METRES = (1, 2, 3)

# Grey values, 0 to 255.
DARK_FACE_GREY = 65.0
BRIGHT_FACE_GREY = 225.0
DARK_PICTURE_GREY = 45.0
BLACK_PICTURE_GREY = 12.0
# Around a face this bright, one no brighter than that stands against the light.
BRIGHT_AROUND_GREY = 225.0
AGAINST_LIGHT_GREY = 150.0
# The part of a picture that is white.
CLIPPED_PICTURE = 0.1
# Standard deviation of a still pixel's grey.
NOISY_GREY = 6.0
# By ``blur_of``.
BLURRED_FACE = 0.56
BLURRED_PICTURE = 0.5
# Both are judged at one size: a face or picture has no more detail than its network sees.
_FACE_WIDTH, _PICTURE_WIDTH = 72, 640
# A smaller face has too few pixels to tell blur from size.
_BLUR_FACE_PIXELS = 40


@dataclass(frozen=True, slots=True)
class FaceView:
    """How a face in sight looks.

    Attributes:
        width_pixels: of its box.
        light: on its skin.
        around_grey: how bright the brighter quarter of what surrounds it is, 0 to 255.
        blur: by ``blur_of``; None where it is too small to tell.
    """

    width_pixels: float
    light: FaceLight
    around_grey: float
    blur: float | None

    @property
    def is_against_light(self) -> bool:
        """Whether it is dark before something bright."""
        grey = self.light.grey
        return self.around_grey >= BRIGHT_AROUND_GREY and grey < AGAINST_LIGHT_GREY

    @property
    def is_too_dark(self) -> bool:
        """Whether too little light falls on it."""
        return self.light.grey < DARK_FACE_GREY

    @property
    def is_too_bright(self) -> bool:
        """Whether too much light falls on it."""
        return self.light.clipped > CLIPPED_PART or self.light.grey > BRIGHT_FACE_GREY

    @property
    def is_ill_exposed(self) -> bool:
        """Whether another exposure would help."""
        return self.is_against_light or self.is_too_dark or self.is_too_bright


@dataclass(frozen=True, slots=True)
class PictureView:
    """How a picture without a face looks.

    Attributes:
        width_pixels: of it.
        grey: the median, 0 to 255, of what is not white.
        clipped: the part of it that is white, 0 to 1.
        noise_grey: standard deviation of a pixel's grey over time; None of a single picture.
        blur: by ``blur_of``.
    """

    width_pixels: int
    grey: float
    clipped: float
    noise_grey: float | None
    blur: float

    @property
    def is_dark(self) -> bool:
        """Whether a face in it would be dark; a black picture shows no porch at all."""
        return BLACK_PICTURE_GREY <= self.grey < DARK_PICTURE_GREY

    @property
    def is_bright(self) -> bool:
        """Whether who stands before what is white would be dark."""
        return self.clipped > CLIPPED_PICTURE

    @property
    def is_ill_exposed(self) -> bool:
        """Whether another exposure would help."""
        return self.is_dark or self.is_bright


def view_face(pixels: UInt8Array, face: Face) -> FaceView | None:
    """Measure a face; None where it is out of the picture.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        face: in pixels of it.
    """
    light = face_light(pixels, face)
    if light is None:
        return None
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    left, top, right, bottom = (round(float(edge)) for edge in face.box_xyxy)
    wide = right - left
    inner = slice(max(top, 0), bottom), slice(max(left, 0), right)
    outer = slice(max(top - wide, 0), bottom + wide), slice(max(left - wide, 0), right + wide)
    ring = np.ones(grey.shape, bool)
    ring[inner] = False
    around = grey[outer][ring[outer]]
    crop = np.ascontiguousarray(grey[inner])
    return FaceView(
        width_pixels=face.width_pixels,
        light=light,
        around_grey=float(np.percentile(around, 75)) if around.size else light.grey,
        blur=blur_of(crop, _FACE_WIDTH) if crop.shape[1] >= _BLUR_FACE_PIXELS else None,
    )


def view_picture(frames: Sequence[UInt8Array]) -> PictureView:
    """Measure what a camera sees.

    Args:
        frames: one or more that follow each other: (height, width, 3) uint8, RGB.
    """
    greys = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in frames]
    last = greys[-1]
    white = last >= CLIPPED_GREY
    rest = last[~white]
    changes = [_spread(a, b) for a, b in pairwise(greys) if a.shape == b.shape]
    return PictureView(
        width_pixels=int(last.shape[1]),
        grey=float(np.median(rest)) if rest.size else 255.0,
        clipped=float(white.mean()),
        noise_grey=float(np.median(changes)) if changes else None,
        blur=blur_of(last, _PICTURE_WIDTH),
    )


def blur_of(grey: NDArray[Any], width_pixels: int) -> float:
    """How blurred a picture is, 0 to 1: how little of its contours another blur takes away.

    F. Crete et al., The blur effect, Human Vision and Electronic Imaging 2007, in the direction in
    which it is more.

    Args:
        grey: (height, width) uint8.
        width_pixels: a larger one is made so small before.
    """
    if grey.shape[1] > width_pixels:
        height = max(round(grey.shape[0] * width_pixels / grey.shape[1]), 1)
        grey = cv2.resize(grey, (width_pixels, height), interpolation=cv2.INTER_AREA)
    sharp = grey.astype(np.float32)
    found = [0.0]
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        contours = np.abs(np.diff(sharp, axis=axis))
        left = np.abs(np.diff(cv2.blur(sharp, kernel), axis=axis))
        total = float(contours.sum())
        if total:
            found.append(1.0 - float(np.maximum(contours - left, 0.0).sum()) / total)
    return max(found)


def face_pixels(width_pixels: int, field_of_view_degrees: float, distance_metres: float) -> float:
    """How wide a face would be in the middle of a picture.

    Args:
        width_pixels: of the picture.
        field_of_view_degrees: of its width, below 180; of a lens that keeps lines straight. A
            fish-eye shows faces larger in its middle.
        distance_metres: from the lens.
    """
    focal_pixels = width_pixels / (2 * math.tan(math.radians(field_of_view_degrees) / 2))
    return focal_pixels * FACE_METRES / distance_metres


def describe_face(view: FaceView) -> str:
    """Say what was measured."""
    return f"a face {view.width_pixels:.0f} pixels wide, brightness {view.light.grey:.0f} of 255"


def advise_on_face(view: FaceView, min_face_pixels: int) -> list[str]:
    """Say what keeps a face from being told, and what helps; empty where nothing does.

    Args:
        view: as measured.
        min_face_pixels: the smallest that is recognized.
    """
    advice = []
    grey = view.light.grey
    if view.is_against_light:
        advice.append(
            f"the face stands against the light ({grey:.0f} before {view.around_grey:.0f}): turn "
            "the camera away from sky and lamps, light faces from the front, or expose by the face"
        )
    elif view.is_too_dark:
        advice.append(
            f"the face is too dark ({grey:.0f}, good from {DARK_FACE_GREY:.0f} on): a lamp beside "
            "or above the camera, a longer exposure, or exposing by the face"
        )
    if view.is_too_bright:
        advice.append(
            f"{view.light.clipped:.0%} of the face is plain white: dim or turn the lamp, or expose "
            "less"
        )
    if view.width_pixels < min_face_pixels:
        advice.append(
            f"the face is {view.width_pixels:.0f} pixels wide, too small to be recognized "
            f"(recognition.min_face_pixels = {min_face_pixels}): a larger picture (camera.width), "
            "a lens that sees less at the sides, or a camera nearer to the visitor"
        )
    if view.blur is not None and view.blur > BLURRED_FACE and not view.is_against_light:
        advice.append(
            "the face is blurred: clean and focus the lens; if only those who move are, more light "
            "lets the camera expose for a shorter time"
        )
    return advice


def advise_on_picture(
    view: PictureView, min_face_pixels: int, field_of_view_degrees: float
) -> list[str]:
    """Say what would keep faces from being told, as far as an empty picture shows it.

    Args:
        view: as measured.
        min_face_pixels: the smallest that is recognized.
        field_of_view_degrees: of the camera's width.
    """
    advice = []
    if view.grey < BLACK_PICTURE_GREY:
        advice.append("the picture is almost black: is the lens covered, or is it night?")
    elif view.is_dark:
        advice.append(
            f"the picture is dark ({view.grey:.0f} of 255): faces need a lamp beside or above the "
            "camera, a longer exposure, or exposing by the face"
        )
    if view.is_bright:
        advice.append(
            f"{view.clipped:.0%} of the picture is plain white: whoever stands before it is dark. "
            "Turn the camera away from sky and lamps, light faces from the front, or expose by the "
            "face"
        )
    advice += advise_on_noise(view)
    if view.blur > BLURRED_PICTURE:
        advice.append("the picture is blurred: clean the lens and what is before it, and focus it")
    sizes = [face_pixels(view.width_pixels, field_of_view_degrees, d) for d in DISTANCES_METRES]
    if sizes[1] < min_face_pixels:
        reach = sizes[0] / min_face_pixels
        advice.append(
            f"faces are recognized up to {reach:.1f} metres away, by their size "
            f"(recognition.min_face_pixels = {min_face_pixels}): a larger picture (camera.width), "
            "a lens that sees less at the sides, or a camera nearer to the visitor"
        )
    return advice


def advise_on_noise(view: PictureView) -> list[str]:
    """Say what helps against noise, which a face in the picture suffers from too."""
    if view.noise_grey is None or view.noise_grey <= NOISY_GREY:
        return []
    return [
        f"the picture is noisy (by {view.noise_grey:.0f} of 255): a lamp, or a stronger one, so "
        "that the camera amplifies less"
    ]


def describe_sizes(width_pixels: int, field_of_view_degrees: float) -> str:
    """Say how wide faces would be at some distances."""
    first, *others = (
        (metres, face_pixels(width_pixels, field_of_view_degrees, metres))
        for metres in DISTANCES_METRES
    )
    text = f"a face would be {first[1]:.0f} pixels wide at {first[0]} m"
    text += "".join(f", {pixels:.0f} at {metres} m" for metres, pixels in others)
    return f"{text} (with {field_of_view_degrees:.0f} degrees of view)"


def _spread(before: NDArray[Any], after: NDArray[Any]) -> float:
    """The standard deviation of a pixel's noise, from two pictures of which most stands still."""
    difference = np.abs(before.astype(np.int16) - after)
    still = difference[difference <= np.percentile(difference, 90)]
    # So much of a standard deviation is the mean of a normal distribution's lower nine tenths.
    return float(still.mean()) / 0.657 / math.sqrt(2)
