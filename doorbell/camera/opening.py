"""Opens the cameras of doors behind mailboxes for their newest frames, and closes them together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from doorbell.camera import Camera, open_camera
from doorbell.camera.exposed import FaceMeter, open_exposed
from doorbell.camera.frame_health import FrameHealth
from doorbell.camera.latest import LatestFrame
from doorbell.camera.patience import patience_with
from doorbell.camera.process.camera import CameraProcesses
from doorbell.camera.uri import is_live, loses_no_frame
from doorbell.config import CameraSection

# A process whose driver hangs is ended before the thread that waits for it is given up.
_PROCESS_ENDS_SECONDS = 30.0


def close_all(cameras: Iterable[LatestFrame]) -> None:
    """Close cameras at the same time: one that hangs keeps nobody longer than all of them do."""
    cameras = list(cameras)
    for camera in cameras:
        camera.stop()
    for camera in cameras:
        camera.close()


def open_latest(
    section: CameraSection,
    faces_directory: Path | None = None,
    *,
    may_be_missing: bool = False,
    changed: threading.Condition | None = None,
    processes: CameraProcesses | None = None,
    name: str = "",
) -> LatestFrame:
    """Open the configured camera behind a ``LatestFrame``.

    Args:
        section: where the camera is and how it is to be read.
        faces_directory: portraits for the built-in simulated scene, where the URI names none.
        may_be_missing: a camera that is not there is waited for; one that is configured wrongly is
            told by ``LatestFrame.get``.
        changed: as ``LatestFrame`` takes it.
        processes: opens a live camera in a process of its own; None for this process. A driver that
            hangs there is ended, and no thread is left behind.
        name: of that process.

    Raises:
        CameraError: the camera cannot be opened.
    """
    sight = FrameHealth(dark_seconds=section.dark_seconds, frozen_seconds=section.frozen_seconds)
    meter = FaceMeter() if section.expose_faces else None
    patience = patience_with(section)
    live = is_live(section)
    open_again: Callable[[], Camera]
    if processes is not None and live:
        open_again = partial(processes.open, section, faces_directory, name, patience, meter)
        patience = replace(patience, stuck_seconds=patience.stuck_seconds + _PROCESS_ENDS_SECONDS)
    elif meter is not None:
        open_again = partial(open_exposed, section, faces_directory, meter)
    else:
        open_again = partial(open_camera, section, faces_directory)
    return LatestFrame(
        open_again,
        reopen_max_seconds=section.reopen_max_seconds,
        lossless=loses_no_frame(section),
        patience=patience,
        sight=sight if live else None,
        may_be_missing=may_be_missing,
        meter=meter,
        changed=changed,
    )
