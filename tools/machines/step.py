"""A thing that is tried. Imports nothing that is slow in an emulated machine."""

from __future__ import annotations

from dataclasses import dataclass


class StepFailedError(Exception):
    """A step did not show what it is for; says what was seen in its place."""


@dataclass
class Step:
    """One thing that was tried.

    Attributes:
        title: what.
        seconds: how long it took.
        passed: whether it showed what it is for.
        seen: what was seen, or why it failed.
    """

    title: str
    seconds: float = 0.0
    passed: bool = False
    seen: str = ""
