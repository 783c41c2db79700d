"""The same face as the door may see it: an aligned crop in, crops with something drawn over it out.

Enrolling draws these, because people are seldom photographed in a hood, in sunglasses or by
infrared. Everything has one place and one colour, so that the same photograph always gives the same
variants; what is covered takes the light of the face around it, whatever the skin is like.

Places are in distances of the eyes, from the middle between them, x to the right and y down: the
mouth is at about (0, 1.1), the chin at (0, 1.9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from doorbell.domain import Float32Array, UInt8Array
from doorbell.imaging.light import LINEAR, to_pixels
from doorbell.imaging.shapes import ellipse, soft
from doorbell.recognition.alignment import CROP_PIXELS, TEMPLATE
from doorbell.recognition.candidates import Source

_EYES = TEMPLATE[:2]
_UNIT = float(np.linalg.norm(_EYES[1] - _EYES[0]))  # pixels
_ROWS, _COLUMNS = np.mgrid[:CROP_PIXELS, :CROP_PIXELS].astype(np.float32)
_X: Float32Array = (_COLUMNS - _EYES[:, 0].mean()) / _UNIT
_Y: Float32Array = (_ROWS - _EYES[:, 1].mean()) / _UNIT

# Of red, green and blue: what a camera by infrared sees of each, and what an eye does.
_INFRARED = np.array([0.78, 0.20, 0.02], np.float32)
_LUMINANCE = np.array([0.30, 0.59, 0.11], np.float32)

# What is drawn reflects so much of the light; a face reflects about a third.
FACE = 0.35
DARK_CLOTH, KNITTED, GLASS = 0.1, 0.12, 0.02

# How light the face is by infrared, in linear light, and how far its light spreads there.
INFRARED_LEVEL, INFRARED_BLUR_PIXELS = 0.3, 1.2
PUPILS_LEVEL = 0.6

# The cone of the lamp, and where pupils throw its light back, (112, 112).
_LAMP = np.asarray(1 / (1 + (_X**2 + (_Y - 0.5) ** 2) / 10), np.float32)
_PUPILS = np.asarray(np.exp(-((np.abs(_X) - 0.5) ** 2 + _Y**2) / (2 * 0.06**2)), np.float32)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One kind of variant.

    Attributes:
        draw: makes it of an aligned crop, (112, 112, 3) uint8, which stays as it is.
        source: the template that it belongs to.
    """

    draw: Callable[[UInt8Array], UInt8Array]
    source: Source


def hooded(crop: UInt8Array) -> UInt8Array:
    """A hood tied close: the face alone is seen, its upper part in shade."""
    opening = ellipse(_X, _Y, (0, 0.55), (0.9, 1.2))
    shade = 0.3 + 0.7 * soft(np.minimum(opening, (_Y + 0.3) / 2), 0.5)
    shaded = LINEAR[crop] * np.where(opening > 0, shade, 1)[..., None]
    return _covered(shaded, -opening, DARK_CLOTH)


def in_a_hat(crop: UInt8Array) -> UInt8Array:
    """A knitted hat, drawn down to the brow."""
    rim = -0.42 + 0.08 * _X**2
    hat = np.minimum(ellipse(_X, _Y, (0, -0.35), (1.35, 1.5)), rim - _Y)
    return _covered(LINEAR[crop], hat, KNITTED)


def in_sunglasses(crop: UInt8Array) -> UInt8Array:
    """Dark glasses."""
    side = np.abs(_X)
    lenses = ellipse(side, _Y, (0.5, 0.05), (0.42, 0.33), power=3)
    bridge = np.minimum(0.2 - side, 0.05 - np.abs(_Y + 0.07))
    arms = np.minimum(0.2 - np.abs(side - 1.05), 0.05 - np.abs(_Y + 0.08))
    return _covered(LINEAR[crop], np.maximum(np.maximum(lenses, bridge), arms), GLASS)


def grey(crop: UInt8Array) -> UInt8Array:
    """Without colour, as infrared shows it: skins of every colour are light, lips are pale."""
    return _without_colour(_levelled(_by_infrared(crop)))


def by_infrared(crop: UInt8Array) -> UInt8Array:
    """As by a lamp beside the lens at night: light in the middle, a little soft, pupils shine."""
    lit = _levelled(_blurred(_by_infrared(crop) * _LAMP, INFRARED_BLUR_PIXELS))
    return _without_colour(lit + PUPILS_LEVEL * _PUPILS)


# By the name under which the gallery keeps them. Others were tried and gained nothing, see
# ARCHITECTURE.md: masks and small faces are as like the photograph itself.
DRAWINGS: Mapping[str, Drawing] = {
    "hood": Drawing(hooded, Source.HOODED),
    "hat": Drawing(in_a_hat, Source.HOODED),
    "grey": Drawing(grey, Source.GREY),
    "infrared": Drawing(by_infrared, Source.GREY),
    "sunglasses": Drawing(in_sunglasses, Source.SUNGLASSES),
}


_FACE = soft(ellipse(_X, _Y, (0, 0.7), (0.9, 1.1)), 0.2)


def _level(lit: Float32Array) -> float:
    """The mean of the face, of (112, 112)."""
    return float((lit * _FACE).sum() / _FACE.sum())


def _blurred(lit: Float32Array, pixels: float) -> Float32Array:
    return np.asarray(cv2.GaussianBlur(lit, (0, 0), pixels), np.float32)


def _covered(light: Float32Array, shape: Float32Array, reflectance: float) -> UInt8Array:
    """Cover a shape, above 0 inside, with grey cloth in the light that falls on the face."""
    seen = light @ _LUMINANCE
    lit = (0.5 * _blurred(seen, 0.6 * _UNIT) + 0.5 * _level(seen)) / FACE
    here = soft(shape, 1.5 / _UNIT)  # an edge of one pixel and a half
    cloth = np.clip(reflectance * lit, 0, 1) * here
    return to_pixels(light * (1 - here)[..., None] + cloth[..., None])


def _by_infrared(crop: UInt8Array) -> Float32Array:
    """What a camera by infrared sees of a crop, (112, 112): pigments absorb less there."""
    return np.asarray((LINEAR[crop] @ _INFRARED) ** 0.8, np.float32)


def _levelled(lit: Float32Array) -> Float32Array:
    return np.asarray(lit * (INFRARED_LEVEL / max(_level(lit), 1e-3)), np.float32)


def _without_colour(lit: Float32Array) -> UInt8Array:
    return to_pixels(np.repeat(lit[..., None], 3, axis=2))
