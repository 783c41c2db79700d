"""What an evaluation leaves behind: the figures, and what its plots are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doorbell.domain import Float32Array
from doorbell.measure.accuracy.figures import Floats

# What is said of everything that is measured on photographs.
LIFELESS = "photographs can't prove that somebody is alive: recognition.min_live is left out"


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """A part of a picture to look at; the whole of it where ``box_xyxy`` is None."""

    path: Path
    box_xyxy: Float32Array | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Mistake:
    """Something that went wrong, or nearly, and where it can be seen."""

    caption: str
    views: tuple[View, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """Scores of those to be accepted and of those to be refused: (g,) and (i,)."""

    genuine: Floats
    impostors: Floats


@dataclass(frozen=True, slots=True)
class Table:
    """Figures side by side, as they are printed."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Report:
    """The result of one evaluation.

    Attributes:
        figures: what is printed, in order; the keys are the format of ``--json``.
        tables: what is printed instead, where figures are many.
        scores: None where nothing was compared.
        mistakes: the worst first, by the name of their sheet.
        notes: one line each about what a figure does not show.
    """

    figures: Mapping[str, Any]
    scores: Scores | None = None
    mistakes: Mapping[str, tuple[Mistake, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
