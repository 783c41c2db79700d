"""The icon of the console, drawn by code: a bell on a field of the accent colour."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw

FIELD = (14, 102, 85)
BELL = (255, 255, 255)
# Edges are smooth where it is drawn larger and made smaller.
OVERSAMPLING = 4

SIZES = (32, 180, 192, 512)


@lru_cache(maxsize=2 * len(SIZES))
def icon_png(size: int, *, maskable: bool = False) -> bytes:
    """A square PNG.

    Args:
        size: pixels.
        maskable: whether the field reaches to the corners, for systems that cut out a shape.
    """
    side = size * OVERSAMPLING
    image = Image.new("RGBA", (side, side), (*FIELD, 255) if maskable else (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    if not maskable:
        draw.rounded_rectangle((0, 0, side - 1, side - 1), radius=0.22 * side, fill=FIELD)
    _draw_bell(draw, side, 0.8 if maskable else 1.0)
    file = io.BytesIO()
    image.resize((size, size), Image.Resampling.LANCZOS).save(file, "PNG", optimize=True)
    return file.getvalue()


def _draw_bell(draw: ImageDraw.ImageDraw, side: int, scale: float) -> None:
    def place(x: float, y: float) -> tuple[float, float]:
        return side * (0.5 + (x - 0.5) * scale), side * (0.5 + (y - 0.5) * scale)

    def ellipse(left: float, top: float, right: float, bottom: float) -> None:
        draw.ellipse((*place(left, top), *place(right, bottom)), fill=BELL)

    ellipse(0.45, 0.17, 0.55, 0.27)
    ellipse(0.30, 0.21, 0.70, 0.61)
    body = [(0.30, 0.41), (0.70, 0.41), (0.71, 0.55), (0.79, 0.67), (0.21, 0.67), (0.29, 0.55)]
    draw.polygon([place(x, y) for x, y in body], fill=BELL)
    draw.rounded_rectangle(
        (*place(0.19, 0.64), *place(0.81, 0.70)), radius=0.03 * side * scale, fill=BELL
    )
    draw.pieslice((*place(0.41, 0.65), *place(0.59, 0.83)), 0, 180, fill=BELL)
