"""A report drawn: how often members pass where strangers do, both distributions, worst mistakes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from doorbell.domain import UInt8Array
from doorbell.measure.accuracy.report import Mistake, Report, Scores, View
from doorbell.measure.accuracy.stills import read_picture
from doorbell.measure.plots import GREEN, RED, drawing, new_axes, new_figure, write_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 60
# A sheet of mistakes: so many, the worst first, in rows of so many pictures.
SHEET_MISTAKES, SHEET_COLUMNS = 48, 6
THUMBNAIL_PIXELS, THUMBNAIL_INCHES = 198, 1.32
CAPTION_PIXELS, CAPTION_CHARACTERS = 30, 24  # above each picture
# A face is shown with this part of its size around it.
SURROUNDINGS = 0.75
BOX_COLOUR = (178, 24, 43)  # RGB


def draw_report(report: Report, folder: Path, name: str) -> list[Path]:
    """Draw what a report holds as PNG into a folder, which is made if needed.

    Args:
        report: of one measurement.
        folder: where the pictures go.
        name: their names begin with it.

    Returns:
        The pictures written.

    Raises:
        UsageError: matplotlib is not installed, or the folder cannot be written.
    """
    with drawing():
        figures = {}
        scores = report.scores
        if scores is not None and min(scores.genuine.size, scores.impostors.size):
            figures["roc"] = draw_roc(scores)
            figures["scores"] = draw_histogram(scores)
        for sheet, mistakes in report.mistakes.items():
            if mistakes:
                figures[re.sub(r"\W+", "-", sheet)] = draw_sheet(mistakes)
        return write_figures(
            {f"{name}-{kind}.png": figure for kind, figure in figures.items()}, folder
        )


def draw_roc(scores: Scores) -> Figure:
    """The part of the genuine accepted over the part of the impostors accepted, on a log scale."""
    impostors = np.sort(scores.impostors)[::-1]
    genuine = np.sort(scores.genuine)
    rates = np.arange(1, len(impostors) + 1) / len(impostors)
    accepted = 1 - np.searchsorted(genuine, impostors, side="left") / len(genuine)
    figure, axes = new_axes(
        "Accepted at each threshold",
        "accepted by mistake (part of the impostors)",
        "accepted rightly (part of the genuine)",
    )
    axes.step(rates, accepted, where="post", color=GREEN)
    axes.set_xscale("log")
    axes.set_xlim(10.0 ** min(np.floor(np.log10(rates[0])), -1), 1)
    axes.set_ylim(min(np.floor(float(accepted.min()) * 20) / 20, 0.95), 1.002)
    return figure


def draw_histogram(scores: Scores) -> Figure:
    """How the scores of both kinds are spread, each as shares of its kind."""
    both = np.concatenate([scores.genuine, scores.impostors])
    edges = np.linspace(float(both.min()), float(both.max()) + 1e-6, BINS + 1)
    figure, axes = new_axes("Scores", "similarity (cosine)", "share of its kind (%)")
    for kind, values, colour in (
        ("to be refused", scores.impostors, RED),
        ("to be accepted", scores.genuine, GREEN),
    ):
        shares = np.histogram(values, edges)[0] / len(values) * 100
        axes.stairs(shares, edges, color=colour, label=kind, fill=True, alpha=0.25)
        axes.stairs(shares, edges, color=colour)
    axes.set_ylim(bottom=0)
    axes.legend(loc="best")
    return figure


def draw_sheet(mistakes: Sequence[Mistake]) -> Figure:
    """The worst mistakes side by side, each with its caption."""
    shown = mistakes[:SHEET_MISTAKES]
    views = max(len(mistake.views) for mistake in shown)
    columns = min(max(SHEET_COLUMNS // views, 1), len(shown))
    rows = -(-len(shown) // columns)
    width, height = views * THUMBNAIL_PIXELS, THUMBNAIL_PIXELS + CAPTION_PIXELS
    canvas = np.full((rows * height, columns * width, 3), 255, np.uint8)
    inches_per_pixel = THUMBNAIL_INCHES / THUMBNAIL_PIXELS
    figure = new_figure(canvas.shape[1] * inches_per_pixel, canvas.shape[0] * inches_per_pixel)
    figure.set_layout_engine("none")  # one picture, up to the border
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    for place, mistake in enumerate(shown):
        top, left = place // columns * height, place % columns * width
        caption = mistake.caption[: CAPTION_CHARACTERS * views]
        axes.text(left + 4, top + CAPTION_PIXELS - 8, caption, fontsize=6.5)
        for number, view in enumerate(mistake.views):
            x, y = left + number * THUMBNAIL_PIXELS, top + CAPTION_PIXELS
            canvas[y : y + THUMBNAIL_PIXELS, x : x + THUMBNAIL_PIXELS] = _thumbnail(view)
    axes.imshow(canvas, interpolation="nearest")  # a pixel of it is one of the file
    axes.set_axis_off()
    return figure


def _thumbnail(view: View) -> UInt8Array:
    """A square around the box, which is drawn; (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS, 3)."""
    pixels = read_picture(view.path)
    height, width = pixels.shape[:2]
    side = float(max(height, width))
    centre = np.array([width / 2, height / 2])
    if view.box_xyxy is not None:
        size = view.box_xyxy[2:] - view.box_xyxy[:2]
        side = max(float(size.max()) * (1 + 2 * SURROUNDINGS), 1.0)
        centre = (view.box_xyxy[:2] + view.box_xyxy[2:]) / 2
    scale = THUMBNAIL_PIXELS / side
    shift = THUMBNAIL_PIXELS / 2 - scale * centre
    # Shrunk by area first: one interpolation over a large picture would skip most of its pixels.
    if scale < 0.5:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]  # the stubs lose uint8
    inner = 1.0 if scale < 0.5 else scale
    matrix = np.array([[inner, 0, shift[0]], [0, inner, shift[1]]], np.float32)
    square = cv2.warpAffine(
        pixels, matrix, (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS), borderValue=(255, 255, 255)
    )
    if view.box_xyxy is not None:
        corners = (view.box_xyxy.reshape(2, 2) * scale + shift).round().astype(int)
        cv2.rectangle(square, corners[0].tolist(), corners[1].tolist(), BOX_COLOUR, 2)
    square[:, -4:] = 255  # a gap to what stands beside it
    return np.asarray(square, np.uint8)
