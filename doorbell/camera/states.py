"""How it stands with a camera: what happens to it in, its state and what the log says out.

No camera, no thread and no lock: all of it is called under the lock of whoever captures.
"""

from __future__ import annotations

import logging
import time

from doorbell.camera.frame_rate import FrameRate, describe_slowness
from doorbell.camera.patience import Patience
from doorbell.domain import Frame
from doorbell.status import CameraCondition, CameraState

log = logging.getLogger(__name__)

_OUTAGES = (CameraCondition.LOST, CameraCondition.STUCK, CameraCondition.FROZEN)
_WAITING = "waiting for the camera's first key frame"


class CameraStates:
    """Follows a camera from state to state, and says each change once.

    Args:
        patience: how long the camera may take.

    Attributes:
        state: how it stands; another object when that changes.
    """

    def __init__(self, patience: Patience) -> None:
        self.state = CameraState(CameraCondition.STARTING, "", time.time())
        self._patience = patience
        self._rate = FrameRate()
        self._away_since_seconds = time.monotonic()
        self._opened_seconds: float | None = None  # until the first frame
        self._waiting_was_said = False

    @property
    def is_away(self) -> bool:
        """Whether the camera gives no frames that show anything, and did before."""
        return self.state.condition in _OUTAGES

    @property
    def away_seconds(self) -> float:
        """For how long it has been away; 0 where it is not."""
        return time.monotonic() - self._away_since_seconds if self.is_away else 0.0

    @property
    def waits_for_key_frame(self) -> bool:
        """Whether the camera sends what cannot be decoded before its next key frame."""
        if self._opened_seconds is None or not self._patience.first_frame_seconds:
            return False
        return time.monotonic() - self._opened_seconds > self._patience.silent_seconds

    def note_opened(self) -> None:
        """The camera was opened, and gives its first frame next."""
        self._opened_seconds = time.monotonic()

    def note_answer(self) -> None:
        """The camera gave its first frame, or failed to."""
        self._opened_seconds = None

    def note_waiting(self) -> None:
        """No frame has come; say so where nothing of the stream can be decoded yet."""
        if not self.waits_for_key_frame:
            return
        self._set(self.state.condition, _WAITING)
        if not self._waiting_was_said:
            self._waiting_was_said = True
            log.warning(
                "%s, up to %g s; it comes sooner, after every outage, where key frames (I-frames, "
                "GOP) are 1 or 2 s apart: set that in the camera's own settings",
                *(_WAITING, self._patience.first_frame_seconds),
            )

    def note_lost(self, reason: str) -> None:
        """The camera failed, or cannot be opened."""
        if self.state.condition is CameraCondition.STARTING:
            log.warning("no camera: %s; the doorbell goes on and waits for it", reason)
        elif not self.is_away:
            log.warning("camera lost: %s; reopening it until it answers", reason)
        else:
            log.debug("still no camera: %s", reason)
        self._set(CameraCondition.LOST, reason)

    def note_frozen(self, seconds: float) -> None:
        """It gives one picture, for so long."""
        if not self.is_away:
            log.warning("the camera is frozen: one picture for %g s; reopening it", seconds)
        self._set(CameraCondition.FROZEN, f"one picture for {seconds:g} s")

    def note_stuck(self, seconds: float) -> None:
        """Its driver has not answered for so long, and its thread was left behind."""
        reason = f"its driver has not answered for {seconds:g} s"
        log.warning("the camera hangs: %s; left behind and opened anew", reason)
        self._set(CameraCondition.STUCK, reason)

    def note_ended(self, reason: str) -> None:
        """Its driver has not answered for too long, and its process was ended."""
        if not self.is_away:
            log.warning("the camera hangs: %s; its process is ended, and it is opened anew", reason)
        self._set(CameraCondition.STUCK, reason)

    def note_frame(self, frame: Frame, *, dark: bool) -> None:
        """The camera gave a frame, which shows the door or darkness."""
        self._rate.note(frame)
        before = self.state.condition
        if self.is_away:
            log.info("the camera is back after %.1f s", self.away_seconds)
        if dark:
            if before is not CameraCondition.DARK:
                log.warning("dark: the camera sees nothing; is it covered, or is it night?")
            self._set(CameraCondition.DARK, "it sees nothing: covered, or a night without light")
            return
        if before is CameraCondition.DARK:
            log.info("the camera sees again")
        if self._rate.is_slow:
            if before is not CameraCondition.SLOW:
                reason = describe_slowness(self._rate.per_second)
                log.warning("slow: %s", reason)
                self._set(CameraCondition.SLOW, reason)
            return
        if before is CameraCondition.SLOW:
            log.info("the camera gives enough frames again")
        self._set(CameraCondition.LIVE)

    def _set(self, condition: CameraCondition, reason: str = "") -> None:
        before = self.state
        if (condition, reason) == (before.condition, before.reason):
            return
        if condition in _OUTAGES and before.condition not in _OUTAGES:
            self._away_since_seconds = time.monotonic()
        since = before.since_at if condition is before.condition else time.time()
        self.state = CameraState(condition, reason, since)
