"""A report drawn: how often members pass where strangers do, both distributions, worst mistakes.

Enters: a ``Report``. Leaves: PNG files in a folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from doorbell.domain import UInt8Array
from doorbell.errors import UsageError
from doorbell.evaluation.figures import Floats
from doorbell.evaluation.report import Mistake, Report, Scores, View
from doorbell.evaluation.stills import read_picture

WIDTH, HEIGHT, MARGIN = 640, 480, 56
INK, GRID = (40, 40, 40), (220, 220, 220)  # colours are RGB
GENUINE, IMPOSTOR = (46, 125, 50), (198, 40, 40)
BINS = 60

# A sheet of mistakes: so many, the worst first, in so many columns of squares.
SHEET_MISTAKES, SHEET_COLUMNS, THUMBNAIL = 48, 6, 168
CAPTION = 20
# A face is shown with this part of its size around it.
SURROUNDINGS = 0.75


def draw_report(report: Report, folder: Path, name: str) -> list[Path]:
    """Draw what a report holds into a folder, which is made if needed.

    Args:
        report: of one measurement.
        folder: where the pictures go.
        name: their names begin with it.

    Returns:
        The pictures written.

    Raises:
        UsageError: the folder cannot be written.
    """
    pictures = {}
    if report.scores is not None and min(report.scores.genuine.size, report.scores.impostors.size):
        pictures["roc"] = draw_roc(report.scores)
        pictures["scores"] = draw_histogram(report.scores)
    for sheet, mistakes in report.mistakes.items():
        if mistakes:
            pictures[re.sub(r"\W+", "-", sheet)] = draw_sheet(mistakes)
    written = []
    for kind, picture in pictures.items():
        path = folder / f"{name}-{kind}.png"
        png = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png.tobytes())
        except OSError as exc:
            raise UsageError(f"cannot write {path}: {exc.strerror}; give another folder") from exc
        written.append(path)
    return written


def draw_roc(scores: Scores) -> UInt8Array:
    """The part of the genuine accepted over the part of the impostors accepted, on a log scale."""
    impostors = np.sort(scores.impostors)[::-1]
    genuine = np.sort(scores.genuine)
    rates = np.arange(1, len(impostors) + 1) / len(impostors)
    accepted = 1 - np.searchsorted(genuine, impostors, side="left") / len(genuine)
    decades = max(int(np.ceil(np.log10(len(impostors)))), 1)
    lowest = min(np.floor(float(accepted.min()) * 20) / 20, 0.95)
    canvas = _axes(
        "accepted by mistake",
        "accepted rightly",
        [(d / decades, f"{10.0 ** (d - decades):g}") for d in range(decades + 1)],
        [(i / 5, f"{lowest + (1 - lowest) * i / 5:.3f}") for i in range(6)],
    )
    x = 1 + np.log10(rates) / decades
    y = (accepted - lowest) / (1 - lowest)
    _line(canvas, np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1], GENUINE)
    return canvas


def draw_histogram(scores: Scores) -> UInt8Array:
    """How the scores of both kinds are spread, each with its own height."""
    both = np.concatenate([scores.genuine, scores.impostors])
    edges = np.linspace(float(both.min()), float(both.max()) + 1e-6, BINS + 1)
    canvas = _axes(
        "similarity (green: to be accepted, red: to be refused)",
        "share of its kind",
        [(i / 5, f"{edges[0] + (edges[-1] - edges[0]) * i / 5:.2f}") for i in range(6)],
        [],
    )
    shares = [np.histogram(s, edges)[0] / len(s) for s in (scores.impostors, scores.genuine)]
    highest = max(float(share.max()) for share in shares)
    for share, colour in zip(shares, (IMPOSTOR, GENUINE), strict=True):
        _line(
            canvas,
            np.repeat(np.arange(BINS + 1) / BINS, 2)[1:-1],
            np.repeat(share / highest, 2),
            colour,
        )
    return canvas


def draw_sheet(mistakes: Sequence[Mistake]) -> UInt8Array:
    """The worst mistakes side by side, each with its caption."""
    shown = mistakes[:SHEET_MISTAKES]
    cells = [_cell(mistake, max(len(m.views) for m in shown)) for mistake in shown]
    columns = min(max(SHEET_COLUMNS // max(len(m.views) for m in shown), 1), len(cells))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % columns)
    rows = [np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)]
    return np.vstack(rows)


def _cell(mistake: Mistake, views: int) -> UInt8Array:
    cell = np.full((THUMBNAIL + CAPTION, THUMBNAIL * views, 3), 255, np.uint8)
    for i, view in enumerate(mistake.views):
        left = i * THUMBNAIL
        cell[CAPTION : CAPTION + THUMBNAIL - 4, left : left + THUMBNAIL - 4] = _thumbnail(view)
    _write(cell, mistake.caption[: 24 * views], (2, 14))
    return cell


def _thumbnail(view: View) -> UInt8Array:
    """A square around the box, which is drawn; (THUMBNAIL - 4, THUMBNAIL - 4, 3)."""
    pixels = read_picture(view.path)
    height, width = pixels.shape[:2]
    side = float(max(height, width))
    centre = np.array([width / 2, height / 2])
    if view.box_xyxy is not None:
        size = view.box_xyxy[2:] - view.box_xyxy[:2]
        side = max(float(size.max()) * (1 + 2 * SURROUNDINGS), 1.0)
        centre = (view.box_xyxy[:2] + view.box_xyxy[2:]) / 2
    pixels_across = THUMBNAIL - 4
    scale = pixels_across / side
    shift = pixels_across / 2 - scale * centre
    # Shrunk by area first: one interpolation over a large picture would skip most of its pixels.
    if scale < 0.5:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # the stubs lose uint8
    inner = 1.0 if scale < 0.5 else scale
    matrix = np.array([[inner, 0, shift[0]], [0, inner, shift[1]]], np.float32)
    square = cv2.warpAffine(
        pixels, matrix, (pixels_across, pixels_across), borderValue=(255, 255, 255)
    )
    if view.box_xyxy is not None:
        corners = (view.box_xyxy.reshape(2, 2) * scale + shift).round().astype(int)
        cv2.rectangle(square, corners[0].tolist(), corners[1].tolist(), IMPOSTOR, 1)
    return np.asarray(square, np.uint8)


def _axes(
    below: str,
    beside: str,
    ticks_x: Sequence[tuple[float, str]],
    ticks_y: Sequence[tuple[float, str]],
) -> UInt8Array:
    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    for place, label in ticks_x:
        x, bottom = _point(place, 0)
        cv2.line(canvas, (x, bottom), _point(place, 1), GRID, 1)
        _write(canvas, label, (x - 16, bottom + 16))
    for place, label in ticks_y:
        left, y = _point(0, place)
        cv2.line(canvas, (left, y), _point(1, place), GRID, 1)
        _write(canvas, label, (left - 46, y + 4))
    cv2.rectangle(canvas, _point(0, 0), _point(1, 1), INK, 1)
    _write(canvas, below, (MARGIN, HEIGHT - 12))
    _write(canvas, beside, (MARGIN, MARGIN - 24))
    return canvas


def _line(canvas: UInt8Array, x: Floats, y: Floats, colour: tuple[int, int, int]) -> None:
    points = np.array([_point(float(a), float(b)) for a, b in zip(x, y, strict=True)], np.int32)
    cv2.polylines(canvas, [points], isClosed=False, color=colour, thickness=2, lineType=cv2.LINE_AA)


def _point(x: float, y: float) -> tuple[int, int]:
    """From fractions of the axes to pixels of the canvas."""
    return (
        round(MARGIN + x * (WIDTH - 2 * MARGIN)),
        round(HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)),
    )


def _write(canvas: UInt8Array, text: str, place: tuple[int, int]) -> None:
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
