"""The processes that read a daemon's cameras, as Linux lists them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_NAME_BYTES = 15


def descendants(pid: int) -> list[int]:
    """All processes that a process has started, and they in turn."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def starter(daemon: int) -> int | None:
    """Of a daemon, the process that starts them; None where there is none."""
    return _named(daemon, "cameras")


def camera_process(daemon: int, door_id: str) -> int | None:
    """Of a daemon, the process that reads a door's camera; None where there is none now."""
    return _named(daemon, f"camera {door_id}"[:_NAME_BYTES])


def _named(daemon: int, name: str) -> int | None:
    for pid in descendants(daemon):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == name:
                return pid
    return None
