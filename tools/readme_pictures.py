"""Draws the README's picture of a visit, with plain silhouettes where a camera would show people.

Run from the checkout: .venv/bin/python tools/readme_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from doorbell.annotation import FaceNote, annotate
from doorbell.camera.porch import draw_porch
from doorbell.domain import Face, UInt8Array, Verdict

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH, HEIGHT = 960, 540
SHADE = (78, 86, 102)

# Where BlazeFace puts the six keypoints of a frontal face, in widths of its box from the top left.
KEYPOINTS = ((0.30, 0.40), (0.70, 0.40), (0.50, 0.62), (0.50, 0.80), (0.05, 0.46), (0.95, 0.46))


def draw_silhouette(canvas: UInt8Array, left: int, top: int, size: int) -> Face:
    """Draw a head and shoulders into ``canvas``, and return the face as it would be detected.

    Args:
        canvas: (height, width, 3) uint8, RGB.
        left: of the face's box, in pixels.
        top: of the face's box, in pixels.
        size: of the face's box, in pixels.
    """
    middle, bottom = left + size // 2, canvas.shape[0]
    neck, shoulder = round(0.26 * size), round(1.15 * size)
    chest = top + round(1.9 * size)
    head = (round(0.52 * size), round(0.68 * size))
    cv2.ellipse(canvas, (middle, top + round(0.45 * size)), head, 0, 0, 360, SHADE, -1)
    cv2.rectangle(canvas, (middle - neck, top + size // 2), (middle + neck, chest), SHADE, -1)
    cv2.ellipse(canvas, (middle, chest), (shoulder, round(0.62 * size)), 0, 180, 360, SHADE, -1)
    cv2.rectangle(canvas, (middle - shoulder, chest), (middle + shoulder, bottom), SHADE, -1)
    box = np.array([left, top, left + size, top + size], np.float32)
    keypoints = np.array(KEYPOINTS, np.float32) * size + box[:2]
    return Face(box, np.asarray(keypoints, np.float32), score=0.9)


def main() -> None:
    """Write docs/visit.jpg."""
    canvas = draw_porch(WIDTH, HEIGHT, seed=7)
    anna = draw_silhouette(canvas, 330, 150, 120)
    stranger = draw_silhouette(canvas, 640, 190, 96)
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.uint8)
    picture = annotate(
        canvas,
        [
            FaceNote(anna, Verdict.KNOWN, "Anna", 0.81),
            FaceNote(stranger, Verdict.UNKNOWN, "stranger-7", 0.74),
        ],
    )
    DOCS.mkdir(exist_ok=True)
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(DOCS / "visit.jpg"), bgr, [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise SystemExit(f"cannot write {DOCS / 'visit.jpg'}; check the folder's owner")


if __name__ == "__main__":
    main()
