"""A folder to learn from: its pictures, the marks made by hand, and what is held out.

``faces.csv``, if it is there, has a face a line: ``file`` and the centres of the eyes, left and
right as seen in the picture, of nose and mouth, in pixels: ``left_eye_x``, ``left_eye_y`` and so
on. The pictures lie beside it or in ``pictures``.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from doorbell.domain import Float32Array
from doorbell.errors import UsageError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
MARKED = ("left_eye", "right_eye", "nose", "mouth")
MARKS_FILE = "faces.csv"

# One picture in so many is never trained on.
HELD_OUT_OF = 10
# Fewer say nothing about how well a detector does.
MIN_HELD_OUT = 5


@dataclass(frozen=True, eq=False, slots=True)
class Picture:
    """A picture and its faces marked by hand.

    Attributes:
        path: of the file.
        marks_xy: (n, 4, 2) float32 in pixels: eyes (left in the picture first), nose, mouth.
    """

    path: Path
    marks_xy: Float32Array


@dataclass(frozen=True, slots=True)
class Pictures:
    """The two parts of a folder, each by name."""

    trained: tuple[Picture, ...]
    held_out: tuple[Picture, ...]


def read_pictures(folder: Path) -> Pictures:
    """List a folder's pictures; no picture is opened.

    Raises:
        UsageError: there are too few, or ``faces.csv`` is not as it should be.
    """
    within = folder / "pictures"
    paths = sorted(
        path
        for path in (within if within.is_dir() else folder).iterdir()
        if path.suffix.lower() in SUFFIXES
    )
    marks = _read_marks(folder / MARKS_FILE)
    missing = sorted(marks.keys() - {path.name for path in paths})
    if missing:
        raise UsageError(
            f"{folder / MARKS_FILE} names {missing[0]}, which is not among the {len(paths)} "
            f"pictures of {folder}; correct the name or add the picture"
        )
    nothing = np.zeros((0, len(MARKED), 2), np.float32)
    pictures = [Picture(path, marks.get(path.name, nothing)) for path in paths]
    held_out = tuple(picture for picture in pictures if is_held_out(picture.path.name))
    trained = tuple(picture for picture in pictures if not is_held_out(picture.path.name))
    if len(held_out) < MIN_HELD_OUT:
        raise UsageError(
            f"{folder} has {len(paths)} pictures, of which {len(held_out)} would be held out to "
            f"measure on; it takes {MIN_HELD_OUT}: about {MIN_HELD_OUT * HELD_OUT_OF} pictures or "
            "more"
        )
    return Pictures(trained, held_out)


def is_held_out(name: str) -> bool:
    """Whether a picture is for measuring alone, decided by its name so that it stays so."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % HELD_OUT_OF == 0


def fingerprint(pictures: Sequence[Picture]) -> str:
    """Tells one set of pictures and marks from another, by name, size and marks."""
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{picture.path.name} {picture.path.stat().st_size} ".encode())
        digest.update(picture.marks_xy.tobytes())
    return digest.hexdigest()


def _read_marks(path: Path) -> dict[str, Float32Array]:
    if not path.is_file():
        return {}
    columns = [f"{point}_{axis}" for point in MARKED for axis in "xy"]
    rows: dict[str, list[list[float]]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        missing = {"file", *columns} - set(reader.fieldnames or ())
        if missing:
            raise UsageError(
                f"{path} has no column {', '.join(sorted(missing))}; "
                f"its first line must be file,{','.join(columns)}"
            )
        for row in reader:
            try:
                rows[row["file"]].append([float(row[column]) for column in columns])
            except (TypeError, ValueError) as exc:  # noqa: PERF203 - the line is told
                raise UsageError(
                    f"{path}, line {reader.line_num}: {exc}; each place takes two numbers in pixels"
                ) from exc
    return {
        name: np.array(marks, np.float32).reshape(-1, len(MARKED), 2)
        for name, marks in rows.items()
    }
