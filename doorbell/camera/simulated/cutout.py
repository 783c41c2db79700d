"""A visitor cut out of a portrait, for the simulated camera."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.domain import UInt8Array
from doorbell.errors import CameraSetupError

# A portrait enlarged further looks soft and no longer like its person.
MAX_ENLARGEMENT = 1.3
# What of the portrait is used, in face heights from the middle of the face. The body below is as
# long as the scene needs; where the portrait ends earlier its last row goes on.
BODY_FACES = 1.68
_ABOVE_FACES = 1.4
# So much more body that a lean never lifts its end into the picture.
_SPARE_FACES = 0.25
_ASIDE_FACES = 2.0
# GrabCut works on a copy with a face of this height: finer needs seconds and looks the same.
_MASK_FACE_PIXELS = 72.0


@dataclass(frozen=True, eq=False, slots=True)
class CutOut:
    """A visitor on nothing.

    Attributes:
        premultiplied: (height, width, 4) uint8: RGB times coverage, and coverage.
        face_centre_xy: middle of the face in it, in pixels.
        face_pixels: height of the face in it.
    """

    premultiplied: UInt8Array
    face_centre_xy: tuple[float, float]
    face_pixels: float

    def halved(self) -> CutOut:
        """Return the visitor at half the size, averaged, so that a distant one does not flicker."""
        height, width = self.premultiplied.shape[:2]
        size = (max(1, width // 2), max(1, height // 2))
        x, y = self.face_centre_xy
        return CutOut(
            _bytes(cv2.resize(self.premultiplied, size, interpolation=cv2.INTER_AREA)),
            (x * size[0] / width, y * size[1] / height),
            self.face_pixels * size[1] / height,
        )


def cut_out(
    portrait: Path, face_xyxy: tuple[float, float, float, float], face_pixels: float
) -> CutOut:
    """Cut a person out of a portrait.

    Args:
        portrait: a picture file.
        face_xyxy: the face in pixels of the portrait, from the brow to the chin.
        face_pixels: height the face is to have; the portrait is shrunk to it, or enlarged by at
            most ``MAX_ENLARGEMENT``.

    Raises:
        CameraSetupError: no such picture, or the face is not inside it.
    """
    picture = cv2.imread(str(portrait), cv2.IMREAD_COLOR)
    if picture is None:
        raise CameraSetupError(f"{portrait} is not a picture that can be read; give a JPEG or PNG")
    height, width = picture.shape[:2]
    left, top, right, bottom = face_xyxy
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise CameraSetupError(
            f"face_xyxy = {list(face_xyxy)} is not inside {portrait}, which is {width}x{height}"
        )
    scale = min(face_pixels / (bottom - top), MAX_ENLARGEMENT)
    crop, face = _crop(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.array(face_xyxy), scale)
    coverage = _coverage(crop, face)
    face_height = float(face[3] - face[1])
    centre = (float(face[0] + face[2]) / 2, float(face[1] + face[3]) / 2)
    premultiplied = np.dstack(
        [cv2.multiply(crop, cv2.merge([coverage] * 3), scale=1 / 255), coverage]
    )
    body_end = int(np.ceil(centre[1] + (BODY_FACES + _SPARE_FACES) * face_height))
    missing = body_end - crop.shape[0]
    premultiplied = cv2.copyMakeBorder(premultiplied, 0, missing, 0, 0, cv2.BORDER_REPLICATE)
    return CutOut(_bytes(premultiplied), centre, face_height)


def _crop(
    picture: NDArray[Any], face: NDArray[np.float64], scale: float
) -> tuple[UInt8Array, NDArray[np.float64]]:
    """Take what is used of the portrait, at its final size, and where the face is in that."""
    height, width = picture.shape[:2]
    face_height = face[3] - face[1]
    x, y = (face[0] + face[2]) / 2, (face[1] + face[3]) / 2
    left, right = (
        int(np.clip(x + side * _ASIDE_FACES * face_height, 0, width)) for side in (-1, 1)
    )
    top = int(max(0, y - _ABOVE_FACES * face_height))
    bottom = int(min(height, y + BODY_FACES * face_height))
    crop = picture[top:bottom, left:right]
    size = (round(crop.shape[1] * scale), round(crop.shape[0] * scale))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    moved = (face - np.array([left, top, left, top])) * scale
    return _bytes(cv2.resize(crop, size, interpolation=interpolation)), moved


def _coverage(crop: UInt8Array, face: NDArray[np.float64]) -> UInt8Array:
    """Tell the person from the background: (height, width) uint8, 255 where the person is."""
    height, width = crop.shape[:2]
    scale = min(1.0, _MASK_FACE_PIXELS / float(face[3] - face[1]))
    size = (round(width * scale), round(height * scale))
    small = cv2.cvtColor(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
    mask = _guess(size, face * scale)
    cv2.setRNGSeed(0)  # GrabCut starts from random clusters; the same scene must be the same
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, mask, (0, 0, 1, 1), *models, 6, cv2.GC_INIT_WITH_MASK)
    person = np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    person = _bytes(cv2.morphologyEx(person, cv2.MORPH_OPEN, kernel))
    person = _bytes(cv2.morphologyEx(person, cv2.MORPH_CLOSE, kernel, iterations=2))
    person = _round_shoulders(_largest_piece(person), face * scale)
    soft = cv2.GaussianBlur(person, (0, 0), 1.6, borderType=cv2.BORDER_REPLICATE)
    full = cv2.resize(soft, (width, height), interpolation=cv2.INTER_CUBIC)
    # Only what is surely the person stays whole: a rim of the old background would give it away.
    ramp = np.clip((np.arange(256, dtype=np.float32) - 110) * (255 / 110), 0, 255)
    return _bytes(cv2.LUT(full, ramp.astype(np.uint8)))


def _guess(size: tuple[int, int], face: NDArray[np.float64]) -> UInt8Array:
    """Draw where head and body surely, probably and surely not are, for GrabCut to refine."""
    unit = float(face[3] - face[1])
    x, y = float(face[0] + face[2]) / 2, float(face[1] + face[3]) / 2
    mask = np.full((size[1], size[0]), cv2.GC_BGD, np.uint8)

    def body(neck: float, shoulder: float, drop: float, value: int) -> None:
        half = [(neck, 0.5), (0.55 * (neck + shoulder), 0.5 + 0.55 * drop), (shoulder, 0.5 + drop)]
        outline = [*half, (shoulder, 4.0), (-shoulder, 4.0), *((-a, d) for a, d in half[::-1])]
        points = [(x + aside * unit, y + down * unit) for aside, down in outline]
        cv2.fillPoly(mask, [np.array(points, np.int32)], value)

    def head(wide: float, high: float, value: int) -> None:
        centre = (round(x), round(y - 0.2 * unit))
        axes = (round(wide * unit), round(high * unit))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, value, -1)

    body(0.5, 1.7, 0.9, cv2.GC_PR_BGD)
    head(0.57, 0.78, cv2.GC_PR_BGD)
    body(0.35, 1.1, 0.8, cv2.GC_PR_FGD)
    head(0.48, 0.68, cv2.GC_PR_FGD)
    body(0.2, 0.6, 0.9, cv2.GC_FGD)
    head(0.41, 0.56, cv2.GC_FGD)
    return mask


def _largest_piece(person: UInt8Array) -> UInt8Array:
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(person)
    largest = 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))
    return _bytes(np.where(labels == largest, 255, 0))


def _round_shoulders(person: UInt8Array, face: NDArray[np.float64]) -> UInt8Array:
    """Where the portrait's side cuts a shoulder off, let it fall as a shoulder does."""
    chin = round(float(face[3]))
    wide = max(2, round(0.3 * float(face[3] - face[1])))
    high = 2 * wide
    fall = np.zeros((high, wide), np.uint8)
    cv2.ellipse(fall, (wide, high), (wide, high), 0, 0, 360, 255, -1)
    rounded: UInt8Array = person.copy()
    for side in (rounded, rounded[:, ::-1]):
        if side.shape[1] <= wide or not side[chin:, 0].any():
            continue
        top = chin + int(np.argmax(side[chin:, wide] > 0))
        place = side[top : top + high, :wide]
        np.minimum(place, fall[: place.shape[0]], out=place)
        side[chin:top, :wide] = 0
    return rounded


def _bytes(array: Any) -> UInt8Array:
    pixels: UInt8Array = np.asarray(array, dtype=np.uint8)
    return pixels
