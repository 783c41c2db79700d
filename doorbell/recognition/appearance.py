"""What somebody looks like from the waist up: a few colours, no face.

Tells one person from the next in the same place, from one moment to another, where a face is too
poor to be compared or too dear to be embedded in every frame.
"""

from __future__ import annotations

import cv2
import numpy as np

from doorbell.domain import Face, Float32Array, UInt8Array

# A square of so many face widths, with so much of it above the middle of the face: head, shoulders
# and chest, and little of what is behind.
SIDE_FACES = 3.2
ABOVE = 0.25

SAMPLED = 48  # pixels a side are read, whatever the size of the face
CELLS = 12  # and averaged to so many: noise and small movements do not count


def measure_appearance(pixels: UInt8Array, face: Face) -> Float32Array:
    """Measure what surrounds a face.

    Args:
        pixels: (height, width, 3) uint8, RGB; what lies beyond its border is taken to be as there.
        face: in pixels of it.

    Returns:
        (432,) float32 of unit length, or zeros where all is of one colour; the product of two is
        their correlation, which a change of exposure leaves as it is.
    """
    height, width = pixels.shape[:2]
    left, top, right, bottom = (float(edge) for edge in face.box_xyxy)
    side = SIDE_FACES * max(face.width_pixels, 1.0)
    steps = (np.arange(SAMPLED) + 0.5) / SAMPLED
    columns = (left + right) / 2 + side * (steps - 0.5)
    rows = (top + bottom) / 2 + side * (steps - ABOVE)
    sampled = pixels[
        np.clip(rows.astype(np.intp), 0, height - 1)[:, None],
        np.clip(columns.astype(np.intp), 0, width - 1),
    ]
    cells = cv2.resize(sampled, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    values = cells.astype(np.float32).reshape(-1)
    values -= values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)
