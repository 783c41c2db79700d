"""Python environments of peers whose requirements are not the doorbell's.

Refuses to touch the environment that the doorbell runs in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from doorbell.errors import UsageError

CACHE_VARIABLE = "XDG_CACHE_HOME"
# Written last, so that an environment that was cut off is made anew.
COMPLETE = "complete"
LAST_LINES = 8


def cache_directory() -> Path:
    """Where environments are kept."""
    root = os.environ.get(CACHE_VARIABLE)
    return (Path(root) if root else Path("~/.cache").expanduser()) / "doorbell" / "bench"


def environment_python(
    requirement: str, size: str, say: Callable[[str], None], directory: Path | None = None
) -> Path:
    """Return a Python in which a package can be imported.

    Args:
        requirement: ``name==version``.
        size: on the disk, for people.
        say: told before anything is fetched.
        directory: where environments are kept; the user's cache unless given.

    Raises:
        UsageError: it cannot be made: there is no network, no such package, or no place.
    """
    home = (directory or cache_directory()) / requirement.replace("==", "-")
    python = home / "bin" / "python"
    if (home / COMPLETE).is_file() and python.exists():
        return python
    say(f"fetching {requirement} into {home} with pip, {size}; this is done once")
    shutil.rmtree(home, ignore_errors=True)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(
            f"cannot make {home}: {exc.strerror}; set {CACHE_VARIABLE} to a place that can be "
            "written"
        ) from exc
    _run([sys.executable, "-m", "venv", str(home)], requirement)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "--quiet", requirement], requirement)
    (home / COMPLETE).touch()
    return python


def _run(command: list[str], requirement: str) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-LAST_LINES:])
        raise UsageError(
            f"{requirement} could not be installed:\n{last}\n"
            "check the network and pip's index, or leave this peer out of --against"
        )
