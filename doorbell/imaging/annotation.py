"""Boxes, keypoints and names drawn on a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from doorbell.domain import Face, UInt8Array, Verdict

# RGB, bright enough for the black text on them (Okabe and Ito's palette, told apart by the
# colour-blind too): bluish green, orange, and a light grey.
_COLOURS = {
    Verdict.KNOWN: (64, 200, 140),
    Verdict.UNKNOWN: (245, 170, 20),
    Verdict.UNDECIDED: (205, 205, 205),
}
_INK = (16, 16, 16)
# OpenCV 5 has scalable fonts for most scripts inside; OpenCV 4 (a Jetson's own) only ASCII.
_HAS_SCRIPTS = hasattr(cv2, "FontFace")
_WEIGHT = 550  # between regular and bold
_HERSHEY = cv2.FONT_HERSHEY_SIMPLEX
# Hershey's capitals are 22 pixels high at scale 1; those of a font of 27 pixels are as high.
_HERSHEY_PIXELS = 27.0


@dataclass(frozen=True, eq=False, slots=True)
class FaceNote:
    """A face and what is to be written at it.

    Attributes:
        face: in pixels of the picture.
        verdict: chooses the colour: known green, unknown amber, undecided grey.
        label: a name or a stranger's identifier; may be empty.
        similarity: cosine shown behind the label; None for none.
    """

    face: Face
    verdict: Verdict = Verdict.UNDECIDED
    label: str = ""
    similarity: float | None = None

    @property
    def text(self) -> str:
        """What is written."""
        similarity = "" if self.similarity is None else f"{self.similarity:.2f}"
        return "  ".join(part for part in (self.label, similarity) if part)


def annotate(pixels: UInt8Array, notes: Sequence[FaceNote]) -> UInt8Array:
    """Draw faces on a copy of a picture.

    Args:
        pixels: (height, width, 3) uint8, RGB; left as it is.
        notes: the faces; boxes, then keypoints, then labels, so that no label is covered.

    Returns:
        (height, width, 3) uint8, RGB, owned by the caller.
    """
    canvas: UInt8Array = pixels.copy()
    height, width = canvas.shape[:2]
    line = max(1, round(max(height, width) / 400))
    for note in notes:
        _draw_box(canvas, note, line)
    for note in notes:
        _draw_keypoints(canvas, note, line)
    _draw_labels(canvas, notes, line)
    return canvas


def encode_jpeg(pixels: UInt8Array, quality: int = 90) -> bytes:
    """Encode a picture.

    Args:
        pixels: (height, width, 3) uint8, RGB.
        quality: 1 to 100.
    """
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    encoded, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise ValueError(f"a picture of shape {pixels.shape} cannot be encoded as JPEG")
    return data.tobytes()


def _draw_box(canvas: UInt8Array, note: FaceNote, line: int) -> None:
    left, top, right, bottom = (round(float(edge)) for edge in note.face.box_xyxy)
    # A dark rim outside the coloured line keeps it visible on any background.
    cv2.rectangle(canvas, (left, top), (right, bottom), _INK, line + 2)
    cv2.rectangle(canvas, (left, top), (right, bottom), _COLOURS[note.verdict], line)


def _draw_keypoints(canvas: UInt8Array, note: FaceNote, line: int) -> None:
    radius = max(1, min(round(1.5 * line), round(note.face.width_pixels / 30)))
    for x, y in note.face.keypoints_xy:
        centre = (round(float(x)), round(float(y)))
        cv2.circle(canvas, centre, radius + 1, _INK, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, radius, _COLOURS[note.verdict], -1, cv2.LINE_AA)


def _draw_labels(canvas: UInt8Array, notes: Sequence[FaceNote], line: int) -> None:
    """Draw all labels, in the one thread that has a font."""

    def draw() -> None:
        for note in notes:
            if note.text:
                _draw_label(canvas, note, line)

    try:
        drawn = _labels_thread().submit(draw)
    except RuntimeError:  # this process comes to its end
        draw()
    else:
        drawn.result()


@cache
def _labels_thread() -> ThreadPoolExecutor:
    """OpenCV 5 keeps a font of 6 MB for each thread that draws text, as long as that lives."""
    return ThreadPoolExecutor(1, "labels")


def _draw_label(canvas: UInt8Array, note: FaceNote, line: int) -> None:
    """Write the label on a plate above the box; below or inside it where there is no room."""
    height, width = canvas.shape[:2]
    size = max(11, 8 * line)
    padding = max(2, size // 3)
    text, text_width = _fit(note.text, size, width - 2 * padding)
    plate_width, plate_height = text_width + 2 * padding, size + 2 * padding
    left, top, _, bottom = (round(float(edge)) for edge in note.face.box_xyxy)
    x = int(np.clip(left - line, 0, max(0, width - plate_width)))
    y = top - line - plate_height
    if y < 0:
        y = bottom + line
    y = int(np.clip(y, 0, max(0, height - plate_height)))
    corner = (x + plate_width, y + plate_height)
    cv2.rectangle(canvas, (x - 1, y - 1), (corner[0] + 1, corner[1] + 1), _INK, -1)
    cv2.rectangle(canvas, (x, y), corner, _COLOURS[note.verdict], -1)
    _write(canvas, text, (x + padding, y + padding + round(0.86 * size)), size)


def _fit(text: str, size: int, width: int) -> tuple[str, int]:
    """Shorten a text until it fits, and measure it."""
    text = _drawable(text)
    shortened = text
    while (measured := _measure(shortened, size)) > width and len(text) > 1:
        text = text[:-1]
        shortened = text.rstrip() + "..."
    return shortened, measured


def _drawable(text: str) -> str:
    """Return what the font can draw: without its accents, or as question marks, in OpenCV 4."""
    if _HAS_SCRIPTS:
        return unicodedata.normalize("NFC", text)
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(letter if letter.isascii() else "?" for letter in letters)


@cache
def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def _measure(text: str, size: int) -> int:
    if _HAS_SCRIPTS:
        return int(cv2.getTextSize((0, 0), text, (0, 0), _font(), size, _WEIGHT)[2])
    return int(cv2.getTextSize(text, _HERSHEY, size / _HERSHEY_PIXELS, max(1, size // 10))[0][0])


def _write(canvas: UInt8Array, text: str, start: tuple[int, int], size: int) -> None:
    if _HAS_SCRIPTS:
        cv2.putText(canvas, text, start, _INK, _font(), size, _WEIGHT)
    else:
        scale, thickness = size / _HERSHEY_PIXELS, max(1, size // 10)
        cv2.putText(canvas, text, start, _HERSHEY, scale, _INK, thickness, cv2.LINE_AA)
