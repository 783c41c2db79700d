"""Frames of a CSI, USB, network, recorded or simulated camera."""

from typing import Protocol

from doorbell.domain import Frame


class Camera(Protocol):
    """An open camera, read by one thread."""

    def read(self) -> Frame:
        """Return the next frame, waiting at most the configured timeout.

        Raises:
            CameraError: no frame in time, or the camera is lost; open it again.
            EndOfStreamError: a file, folder or scene script has come to its end.
        """

    def close(self) -> None:
        """Release the camera; idempotent."""
