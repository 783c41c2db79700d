"""What is thrown at the doorbell from outside, one module a target.

A target has ``seeds()``, inputs made by code from which the fuzzer sets out; ``check(content)``,
which passes one input to the doorbell and returns if it is taken or refused in the doorbell's own
words; and the limits ``MAX_BYTES`` of an input and ``MAX_SECONDS`` of processor time for one.
``tools/fuzz.py`` runs them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

CORPUS = Path(__file__).parent / "corpus"
TARGETS = ("commands", "configuration", "models", "networks", "pictures", "videos")


class Target(Protocol):
    """A module of this package, as its docstring describes it."""

    MAX_BYTES: int
    MAX_SECONDS: float

    def seeds(self) -> Iterable[bytes]:
        """Make the inputs to set out from, the same ones each time."""

    def check(self, content: bytes) -> None:
        """Pass one input to the doorbell; whatever this raises is a finding."""


def load_target(name: str) -> Target:
    """Import a target, and with it the parts of the doorbell that it reaches."""
    return cast("Target", importlib.import_module(f"fuzzing.{name}"))


def saved_inputs(name: str) -> list[Path]:
    """List what is kept of a target's corpus."""
    return sorted(path for path in (CORPUS / name).glob("*") if path.is_file())
