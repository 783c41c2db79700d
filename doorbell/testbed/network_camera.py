"""A network camera as a process: who stands before it, and what is wrong with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doorbell.testbed.broker import free_port
from doorbell.testbed.camera_server import LEAVES_SECONDS
from doorbell.testbed.scenes import Who

SERVER = "doorbell.testbed.camera_server"


class NetworkCamera:
    """A network camera that sends motion JPEG or H.264 over HTTP once it is plugged in.

    Args:
        folder: for its files.
        faces: the folder of portraits; None for a camera that nobody comes to.
        within: what leads a command to where the camera is, as ``nsenter`` does.

    Attributes:
        key_frames_apart: of H.264, in pictures; 0 for motion JPEG. Set before it is plugged in.
    """

    def __init__(
        self, folder: Path, faces: Path | None = None, *, within: Sequence[str] = ()
    ) -> None:
        self.key_frames_apart = 0
        self._port = free_port()
        self._faces = faces
        self._within = within
        self._stage = folder / "stage.json"
        self._now: dict[str, Any] = {
            "fault": "live",
            "numbered": False,
            "visitor": None,
            "came": 0.0,
            "left": None,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._show()

    @property
    def uri(self) -> str:
        """Where it is read, with a password."""
        return f"http://anna:secret@127.0.0.1:{self._port}/door.mjpg"

    def set(self, fault: str) -> None:
        """Give it a fault that ``camera_server`` knows, or ``live``."""
        self._show(fault=fault)

    def number(self) -> None:
        """Draw the time into each picture from now on; ``camera_server`` says how."""
        self._show(numbered=True)

    def comes(self, visitor: Who) -> None:
        """Somebody comes to the door and stays there."""
        self._show(visitor=visitor, came=time.monotonic(), left=None)

    def goes(self) -> None:
        """Whoever is at the door goes."""
        self._show(left=time.monotonic())

    def empties(self) -> None:
        """Whoever is at the door goes; back once nobody is to be seen any more."""
        self.goes()
        time.sleep(LEAVES_SECONDS)

    def plug(self) -> None:
        """Start it."""
        words = [str(self._port), str(self._stage), str(self.key_frames_apart)]
        words += [str(self._faces)] if self._faces else []
        self._process = subprocess.Popen([*self._within, sys.executable, "-m", SERVER, *words])

    def signal(self, number: signal.Signals) -> None:
        """Stop it or let it go on."""
        if self._process is None:
            raise ProcessLookupError("the camera does not run; plug it in")
        self._process.send_signal(number)

    def unplug(self) -> None:
        """Kill it; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _show(self, **changes: Any) -> None:
        self._now.update(changes)
        part = self._stage.with_suffix(".part")
        part.write_text(json.dumps(self._now), encoding="utf-8")
        part.replace(self._stage)
