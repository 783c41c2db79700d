"""Makes the README's pictures: the demo's timeline, and a visit with silhouettes for people.

Run from the checkout, where it takes as long as the demo: .venv/bin/python tools/readme_pictures.py
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.text import Text

from doorbell.camera.simulated.background import draw_porch
from doorbell.domain import Face, UInt8Array, Verdict
from doorbell.imaging.annotation import FaceNote, annotate, encode_jpeg
from doorbell.testbed.daemon_process import DOORBELL

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


def record_timeline() -> str:
    """Run the demo and return the timeline it prints, as SVG."""
    command = [*DOORBELL, "demo", "--output"]
    with tempfile.TemporaryDirectory() as directory:
        printed = subprocess.run(
            [*command, directory],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": "126"},
        ).stdout
    console = Console(record=True, width=126, file=StringIO(), highlight=False, force_terminal=True)
    console.print("$ ./tools/demo", style="bold")
    for line in map(Text.from_ansi, printed.splitlines()):
        if re.match(r"\d\d:\d\d\.\d", line.plain):
            console.print(line)
    svg = console.export_svg(title="doorbell demo", unique_id="timeline")
    # Nothing is to be fetched for looking at a picture: the reader's own font does.
    return re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def draw_visit() -> UInt8Array:
    """Draw two visitors, (height, width, 3) uint8, RGB; their similarities are made up."""
    canvas = draw_porch(WIDTH, HEIGHT, seed=7)
    anna = draw_silhouette(canvas, 330, 150, 120)
    stranger = draw_silhouette(canvas, 640, 190, 96)
    return annotate(
        np.asarray(cv2.GaussianBlur(canvas, (0, 0), 0.8), np.uint8),
        [
            FaceNote(anna, Verdict.KNOWN, "Anna", 0.81),
            FaceNote(stranger, Verdict.UNKNOWN, "stranger-7", 0.74),
        ],
    )


def main() -> None:
    """Write docs/visit.jpg and docs/timeline.svg."""
    DOCS.mkdir(exist_ok=True)
    (DOCS / "visit.jpg").write_bytes(encode_jpeg(draw_visit()))
    (DOCS / "timeline.svg").write_text(record_timeline(), encoding="utf-8")


if __name__ == "__main__":
    main()
