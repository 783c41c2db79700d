from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from doorbell.domain import Face, UInt8Array, Verdict
from doorbell.imaging.annotation import FaceNote, annotate, encode_jpeg

GREEN, AMBER, GREY = (64, 200, 140), (245, 170, 20), (205, 205, 205)


def face(left: float, top: float, size: float) -> Face:
    keypoints = np.array(
        [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.5, 0.8), (0.1, 0.5), (0.9, 0.5)], np.float32
    )
    return Face(
        np.array([left, top, left + size, top + size], np.float32),
        (keypoints * size + (left, top)).astype(np.float32),
        0.9,
    )


def picture(value: int = 90, width: int = 640, height: int = 360) -> UInt8Array:
    return np.full((height, width, 3), value, np.uint8)


def pixels_of(canvas: UInt8Array, colour: tuple[int, int, int]) -> UInt8Array:
    matching = (canvas == np.array(colour, np.uint8)).all(axis=2)
    return np.asarray(matching, np.uint8)


@pytest.mark.parametrize(
    ("verdict", "colour"),
    [(Verdict.KNOWN, GREEN), (Verdict.UNKNOWN, AMBER), (Verdict.UNDECIDED, GREY)],
)
def test_box_and_six_keypoints_have_the_colour_of_the_verdict(
    verdict: Verdict, colour: tuple[int, int, int]
) -> None:
    before = picture()
    shown = face(200, 120, 120)
    canvas = annotate(before, [FaceNote(shown, verdict)])
    assert (before == 90).all()
    for x, y in shown.keypoints_xy.round().astype(int):
        assert tuple(canvas[y, x]) == colour
    for x, y in ((200, 180), (320, 180), (260, 120), (260, 240)):
        assert tuple(canvas[y, x]) == colour
    assert tuple(canvas[200, 250]) == (90, 90, 90)
    assert tuple(canvas[20, 20]) == (90, 90, 90)


@pytest.mark.parametrize("background", [0, 128, 255])
def test_a_label_stands_out_from_any_background(background: int) -> None:
    canvas = annotate(
        picture(background), [FaceNote(face(200, 120, 120), Verdict.KNOWN, "Anna", 0.8)]
    )
    plate = canvas[95:115, 204:250]
    assert plate.mean(axis=2).min() < 60
    assert pixels_of(plate, GREEN).mean() > 0.4


@pytest.mark.parametrize("corner", [(0, 0), (560, 0), (0, 280), (560, 280), (-30, -30), (620, 340)])
def test_a_label_stays_inside_the_picture(corner: tuple[int, int]) -> None:
    bare = annotate(picture(), [FaceNote(face(*corner, 80), Verdict.UNKNOWN)])
    labelled = annotate(
        picture(), [FaceNote(face(*corner, 80), Verdict.UNKNOWN, "stranger-12", 0.4)]
    )
    plate = (bare != labelled).any(axis=2)
    rows, columns = np.flatnonzero(plate.any(axis=1)), np.flatnonzero(plate.any(axis=0))
    assert rows.size > 10
    assert columns.size > 60


def test_a_long_name_is_shortened_to_the_picture() -> None:
    note = FaceNote(
        face(20, 60, 60), Verdict.KNOWN, "Wolfeschlegelsteinhausenbergerdorff " * 6, 0.9
    )
    canvas = annotate(picture(width=200, height=150), [note])
    assert canvas.shape == (150, 200, 3)
    assert pixels_of(canvas, GREEN)[:, 2].any()
    assert pixels_of(canvas, GREEN)[:, -3].any()


@pytest.mark.parametrize(
    "name", ["Zoë", "Łukasz", "Дмитрий", "Ελένη", "鈴木さん", "김민수", "李小龍"]
)
def test_names_of_other_scripts_are_drawn_letter_by_letter(name: str) -> None:
    if not hasattr(cv2, "FontFace"):
        pytest.skip("OpenCV 4 draws ASCII only")

    def draw(text: str) -> UInt8Array:
        return annotate(picture(), [FaceNote(face(200, 120, 120), Verdict.KNOWN, text)])

    assert not np.array_equal(draw(name), draw("?" * len(name)))
    assert not np.array_equal(draw(name), draw(name[:-1] + "?"))


def test_lines_grow_with_the_picture() -> None:
    def line_pixels(scale: int) -> int:
        canvas = annotate(
            picture(width=640 * scale, height=360 * scale),
            [FaceNote(face(200 * scale, 120 * scale, 120 * scale), Verdict.KNOWN)],
        )
        return int(pixels_of(canvas, GREEN)[180 * scale, : 210 * scale].sum())

    assert line_pixels(1) >= 1
    assert line_pixels(4) >= 2 * line_pixels(1)


def test_jpeg_keeps_red_red() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., 0] = 220
    data = encode_jpeg(pixels, quality=80)
    assert data[:3] == b"\xff\xd8\xff"
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    blue, green, red = decoded.mean(axis=(0, 1))
    assert red > 200
    assert max(blue, green) < 20
    assert len(encode_jpeg(picture(), 30)) <= len(encode_jpeg(picture(), 95))


FROM_MANY_THREADS = """
import sys, threading
import numpy as np
from doorbell.domain import Face
from doorbell.imaging.annotation import FaceNote, annotate
from doorbell.measure.speed.memory import resident_megabytes

face = Face(np.array([60, 60, 160, 160], np.float32), np.full((6, 2), 100, np.float32), 0.9)
pixels = np.zeros((240, 320, 3), np.uint8)

def draw():
    assert annotate(pixels, [FaceNote(face, label="Zoë")]).any()
    drawn.release()
    forever.wait()

drawn, forever = threading.Semaphore(0), threading.Event()
grown = []
for count in range(8):
    threading.Thread(target=draw, daemon=True).start()
    assert drawn.acquire(timeout=30)
    grown.append(resident_megabytes())
print(grown[-1] - grown[0])
"""


def test_threads_that_draw_labels_share_the_font() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FROM_MANY_THREADS], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) < 10  # one of each thread's own took 40
