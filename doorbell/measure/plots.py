"""One look for all plots, drawn with matplotlib, which is an extra: nothing else imports it.

A plot is black on white, so that it can be read on a dark page too, and the same data make the same
file: no date and no random identifiers are in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doorbell.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches; text has the size of a page's text where a plot is 640 pixels wide.
WIDTH, HEIGHT = 6.4, 3.8
PNG_DOTS_PER_INCH = 150
FAST_PNG = {"compress_level": 2}  # an eighth larger than by default, and written sooner
# Of the palette by M. Okabe and K. Ito (2008), which colour-blind people can tell apart.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#D55E00", "#009E73", "#B2182B"
LOOK: dict[Any, Any] = {
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "font.family": "sans-serif",
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "lines.linewidth": 2.0,
    "lines.markersize": 5.0,
    "legend.frameon": False,
    "legend.fontsize": 10.0,
    "savefig.dpi": PNG_DOTS_PER_INCH,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "doorbell",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Where figures are made and written: they have the look inside.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError as exc:
        raise UsageError("plots take matplotlib: `pip install '.[plots]'` in the checkout") from exc
    with mpl.rc_context(LOOK):
        yield


def new_figure(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure of a size in inches; it belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def new_axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; the labels name the units."""
    figure = new_figure()
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.set_axisbelow(True)
    return figure, axes


def write_figures(figures: Mapping[str, Figure], folder: Path) -> list[Path]:
    """Write figures under their names, which end with the format, into a folder made if needed.

    Returns:
        The files written.

    Raises:
        UsageError: the folder cannot be written.
    """
    written = []
    for name, figure in figures.items():
        path = folder / name
        # Nothing of when and by what it was drawn: the same figures make the same file.
        if path.suffix == ".svg":
            options: dict[str, Any] = {"metadata": {"Date": None, "Creator": None}}
        else:
            options = {"metadata": {"Software": None}, "pil_kwargs": FAST_PNG}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, **options)
        except OSError as exc:
            raise UsageError(f"cannot write {path}: {exc.strerror}; give another folder") from exc
        written.append(path)
    return written
