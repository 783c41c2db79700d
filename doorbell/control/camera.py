"""The door's camera by way of the running doorbell, which holds it."""

from __future__ import annotations

from pathlib import Path

from doorbell.control.client import Client, FrameStream
from doorbell.domain import Frame
from doorbell.errors import CameraError, ControlError, NotRunningError

# As the camera gives them.
FRAMES_PER_SECOND = 60.0


class DaemonCamera:
    """The newest frame that the running doorbell has seen.

    Args:
        path: of the control socket.
        door_id: of which door; None for the first.

    Raises:
        NotRunningError: no doorbell runs there.
        ControlError: this user may not ask it, or it has no such door.
    """

    def __init__(self, path: Path, door_id: str | None = None) -> None:
        with Client.connect(path) as client:
            camera = client.ask("status", door_id=door_id).document["camera"] or {}
        self.slow_reason = str(camera["reason"]) if camera.get("condition") == "slow" else ""
        self._reason = str(camera.get("reason") or "")
        self._stream: FrameStream = Client.connect(path).frames(
            door_id=door_id, per_second=FRAMES_PER_SECOND
        )

    def get(self, timeout_seconds: float) -> Frame:
        """Take it, as large as the camera gives it.

        Raises:
            CameraError: none came in time, or the doorbell has stopped.
        """
        try:
            frame = self._stream.next(timeout_seconds)
        except ControlError as exc:
            raise CameraError(str(exc)) from exc
        if frame is None:
            why = f": {self._reason}" if self._reason else ""
            raise CameraError(
                f"the running doorbell gave no frame within {timeout_seconds:.0f} s{why}"
            )
        return Frame(frame.pixels, frame.time_seconds, frame.captured_at, frame.sequence)

    def close(self) -> None:
        """Leave the camera to the doorbell; idempotent."""
        self._stream.close()


def open_daemon_camera(path: Path, door_id: str | None = None) -> DaemonCamera | None:
    """The camera of the doorbell that runs; None where none does.

    Args:
        path: of the control socket.
        door_id: of which door; None for the first.

    Raises:
        ControlError: this user may not ask it, or it has no such door.
    """
    try:
        return DaemonCamera(path, door_id)
    except NotRunningError:
        return None
