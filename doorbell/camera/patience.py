"""How long a camera may take: to be opened, to its first frame, and from each to the next."""

from __future__ import annotations

from dataclasses import dataclass

from doorbell.camera.uri import Kind, source_of
from doorbell.config import CameraSection

# A stream can be decoded from its next key frame on only; cameras set for few bits send one in half
# a minute.
KEY_FRAME_SECONDS = 60.0
# After so many more than its timeout, a camera that sends nothing would have been lost.
_SILENCE_SECONDS = 0.5
# Opening takes longer than reading: sensors start, names are looked up.
_OPENING_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a camera is waited for.

    Attributes:
        stuck_seconds: after this time without an answer a read hangs; an opening takes longer.
        held_seconds: after this time a camera that hung in an outage is still held by who hangs: a
            device that a hanging thread holds can be opened by nobody else.
        first_frame_seconds: how much longer the first frame may take, each time that the camera was
            opened.
        silent_seconds: after so many without its first frame a camera is not silent: what it sends
            cannot be decoded yet.
    """

    stuck_seconds: float = 10.0
    held_seconds: float = 120.0
    first_frame_seconds: float = 0.0
    silent_seconds: float = 0.0

    @property
    def opening_seconds(self) -> float:
        """After this time without an answer an opening hangs, if no frame is awaited with it."""
        return _OPENING_FACTOR * self.stuck_seconds


def patience_with(section: CameraSection) -> Patience:
    """How long the configured camera is waited for.

    Raises:
        CameraSetupError: the section names no camera.
    """
    timeout = section.timeout_seconds
    if source_of(section).kind is not Kind.NETWORK:
        return Patience(stuck_seconds=timeout + section.stuck_seconds)
    return Patience(
        # A picture that breaks off in the middle takes FFmpeg another timeout to notice.
        stuck_seconds=2 * timeout + section.stuck_seconds,
        first_frame_seconds=KEY_FRAME_SECONDS,
        silent_seconds=timeout + _SILENCE_SECONDS,
    )
