"""An empty porch as a doorbell sees it, drawn from a seed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from doorbell.domain import UInt8Array

# Drawn at this size and brought to the camera's: what lies behind a visitor is out of focus anyway.
_WIDTH, _HEIGHT = 1280, 720
_HORIZON = 330


def draw_porch(width: int, height: int, seed: int) -> UInt8Array:
    """Draw the porch: (height, width, 3) uint8, RGB."""
    rng = np.random.default_rng(seed)
    canvas = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    _sky(canvas, rng)
    _trees(canvas, rng)
    _garden(canvas, rng)
    canvas = _defocus(canvas, 3.5)
    _railing(canvas)
    _plant(canvas, rng, 1010, 640)
    canvas = _defocus(canvas, 1.2)
    _wall(canvas, rng)
    _door_frame(canvas)
    _plant(canvas, rng, 262, 690)
    canvas = _defocus(canvas, 0.8)
    interpolation = cv2.INTER_AREA if width < _WIDTH else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=interpolation), np.uint8)


def _defocus(canvas: NDArray[Any], sigma: float) -> UInt8Array:
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), np.uint8)


def _varied(colour: tuple[int, int, int], spread: float, rng: np.random.Generator) -> list[int]:
    """Vary a colour as nature does: mostly in brightness, a little in hue."""
    shade = rng.normal(0, spread) + rng.normal(0, spread / 4, 3)
    return [int(part + change) for part, change in zip(colour, shade, strict=True)]


def _sky(canvas: UInt8Array, rng: np.random.Generator) -> None:
    down = np.linspace(0.0, 1.0, _HORIZON)[:, None, None]
    canvas[:_HORIZON] = (1 - down) * np.array([126, 164, 206]) + down * np.array([214, 224, 230])
    clouds = cv2.GaussianBlur(rng.standard_normal((_HORIZON, _WIDTH)), (0, 0), 60, sigmaY=22)
    cover = np.clip(clouds / np.abs(clouds).max() * 1.4, 0, 1)[..., None]
    canvas[:_HORIZON] = canvas[:_HORIZON] * (1 - 0.7 * cover) + 245 * 0.7 * cover


def _trees(canvas: UInt8Array, rng: np.random.Generator) -> None:
    for layer, (base, spread) in enumerate(((270, 40), (310, 30), (345, 22))):
        green = (92 - 16 * layer, 118 - 16 * layer, 86 - 16 * layer)
        for x in range(-40, _WIDTH + 40, 26):
            y = base + spread * np.sin(x / (170 + 60 * layer) + layer * 2) + rng.normal(0, 12)
            colour = _varied(green, 9, rng)
            radius = int(rng.uniform(26, 52))
            cv2.ellipse(canvas, (x, int(y)), (radius, int(radius * 0.8)), 0, 0, 360, colour, -1)
            cv2.rectangle(canvas, (x - radius, int(y)), (x + radius, 380), colour, -1)


def _garden(canvas: UInt8Array, rng: np.random.Generator) -> None:
    down = np.linspace(0.0, 1.0, _HEIGHT - 370)[:, None, None]
    canvas[370:] = (1 - down) * np.array([112, 140, 84]) + down * np.array([82, 116, 62])
    blades = cv2.resize(rng.normal(0, 9, (175, 640)), (_WIDTH, _HEIGHT - 370))
    canvas[370:] = np.clip(canvas[370:] + blades[..., None], 0, 255)
    path = np.array([(600, 372), (680, 372), (930, _HEIGHT), (330, _HEIGHT)], np.int32)
    cv2.fillPoly(canvas, [path], (176, 168, 156))
    for step in range(9):
        y = 372 + int(348 * (step / 9) ** 1.8)
        half = 40 + int(260 * (y - 372) / 348)
        cv2.line(canvas, (635 - half, y), (635 + half, y), (140, 132, 122), 1 + step // 3)


def _railing(canvas: UInt8Array) -> None:
    white, shade = (226, 224, 218), (186, 184, 178)
    for left, right in ((170, 410), (870, 1110)):
        for x in range(left, right, 30):
            cv2.rectangle(canvas, (x, 455), (x + 8, 620), white, -1)
            cv2.rectangle(canvas, (x + 6, 455), (x + 8, 620), shade, -1)
        cv2.rectangle(canvas, (left - 10, 440), (right, 456), white, -1)
        cv2.rectangle(canvas, (left - 10, 453), (right, 457), shade, -1)
        cv2.rectangle(canvas, (left - 10, 612), (right, 624), white, -1)


def _plant(canvas: UInt8Array, rng: np.random.Generator, x: int, y: int) -> None:
    for _ in range(46):
        angle, length = rng.uniform(-1.15, 1.15), rng.uniform(50, 130)
        tip = (int(x + length * np.sin(angle)), int(y - 30 - length * np.cos(angle)))
        green = _varied((58, 104, 52), 18, rng)
        middle = ((x + tip[0]) // 2, (y - 30 + tip[1]) // 2)
        axes = (int(length / 2), int(rng.uniform(5, 10)))
        tilt = float(np.degrees(np.arctan2(tip[1] - (y - 30), tip[0] - x)))
        cv2.ellipse(canvas, middle, axes, tilt, 0, 360, green, -1)
    pot = np.array([(x - 48, y - 40), (x + 48, y - 40), (x + 36, y + 50), (x - 36, y + 50)])
    cv2.fillPoly(canvas, [pot.astype(np.int32)], (158, 92, 66))
    cv2.rectangle(canvas, (x - 54, y - 46), (x + 54, y - 26), (172, 104, 76), -1)


def _wall(canvas: UInt8Array, rng: np.random.Generator) -> None:
    cv2.rectangle(canvas, (1120, 0), (_WIDTH, _HEIGHT), (182, 174, 164), -1)
    for row, y in enumerate(range(-10, _HEIGHT, 34)):
        for x in range(1120 - (row % 2) * 42, _WIDTH, 84):
            brick = _varied((156, 96, 78), 10, rng)
            corner = (min(x + 78, _WIDTH), y + 29)
            cv2.rectangle(canvas, (max(x, 1122), y), corner, brick, -1)
    shade = np.linspace(0.62, 1.0, 60)[None, :, None]
    canvas[:, 1120:1180] = canvas[:, 1120:1180] * shade


def _door_frame(canvas: UInt8Array) -> None:
    across = np.linspace(0.0, 1.0, 120)[None, :, None]
    canvas[:, :120] = (1 - across) * np.array([58, 44, 36]) + across * np.array([112, 88, 70])
    for x, colour in ((34, (44, 33, 27)), (38, (136, 110, 90)), (96, (50, 38, 31))):
        cv2.rectangle(canvas, (x, 0), (x + 3, _HEIGHT), colour, -1)
    lintel = np.linspace(0.0, 1.0, 46)[:, None, None]
    canvas[:46, 120:] = (1 - lintel) * np.array([120, 116, 110]) + lintel * np.array(
        [206, 202, 194]
    )
    cv2.rectangle(canvas, (120, 44), (_WIDTH, 48), (122, 118, 112), -1)
    cv2.ellipse(canvas, (1170, 96), (24, 34), 0, 0, 360, (250, 236, 200), -1)
    cv2.rectangle(canvas, (1146, 48), (1194, 66), (52, 50, 48), -1)
