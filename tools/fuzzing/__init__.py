"""What is thrown at the doorbell from outside, one module a target.

A target has ``seeds()``, inputs made by code from which the fuzzer sets out; ``check(content)``,
which passes one input to the doorbell and returns if it is taken or refused in the doorbell's own
words; and the limits ``MAX_BYTES`` of an input and ``MAX_SECONDS`` of processor time for one.
``tools/fuzz.py`` runs them.
"""

from __future__ import annotations

import atexit
import importlib
import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Protocol, cast

CORPUS = Path(__file__).parent / "corpus"
TARGETS = (
    "backups",
    "commands",
    "configuration",
    "control",
    "gallery",
    "models",
    "networks",
    "notices",
    "pictures",
    "settings",
    "sounds",
    "telegram",
    "videos",
)


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


@cache
def scratch() -> Path:
    """Return a folder of this process, in memory where there is such a place, gone at its end."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder that is ours alone
    folder = Path(mkdtemp(prefix="doorbell-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def saved_inputs(name: str) -> list[Path]:
    """List what is kept of a target's corpus."""
    return sorted(path for path in (CORPUS / name).glob("*") if path.is_file())
