"""The newest frame of a camera, captured by a thread of its own.

A camera that is lost, frozen or hangs is opened again, for as long as it takes.

Where a driver hangs, its thread is left behind, and another one opens the camera anew. Their number
is bounded; beyond it only a new process helps, which the reader sees by ``needs_restart``.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from doorbell.camera import Camera
from doorbell.camera.capture_thread import AbandonedThreads, CaptureThread
from doorbell.camera.exposed import FaceMeter
from doorbell.camera.frame_health import FrameHealth, refuse_malformed
from doorbell.camera.patience import Patience
from doorbell.camera.states import CameraStates
from doorbell.domain import Frame
from doorbell.errors import CameraError, CameraSetupError, CameraStuckError, EndOfStreamError
from doorbell.status import CameraCondition, CameraState

log = logging.getLogger(__name__)

_REOPEN_FIRST_SECONDS = 0.5
# A camera that gives frames for less than this after each opening is opened ever more seldom.
_STEADY_SECONDS = 10.0
# A read that hangs in a driver may outlive the camera; the process does not wait for it longer.
_CLOSE_SECONDS = 2.0
# A frozen camera that is still frozen after it was opened anew is tried ever more seldom, up to
# this many times as long: perhaps it is one that sends the same picture where nothing moves.
_FROZEN_FACTOR_MOST = 32.0
# Between the last frame before a reopening and the first after it, where its clock starts at zero.
_GAP_SECONDS = 1.0


class LatestFrame:
    """A one-slot mailbox between the capture thread and one reader.

    Args:
        open_again: opens the camera, on the capture thread.
        reopen_max_seconds: the longest wait between two attempts to reopen a lost camera.
        lossless: the capture thread waits until the slot was taken, so that no frame is dropped:
            for recordings read as fast as possible, never for a camera that goes on without us.
        patience: how long the camera may take.
        sight: tells darkness and a frozen picture; None to look for neither.
        may_be_missing: a camera that cannot be opened at first is waited for like a lost one;
            else the constructor waits for it and raises.
        meter: what the reader tells of the faces in the frames; None where nobody asks.
        changed: notified of every frame, shared by the cameras of one reader who waits for all of
            them; None for one of its own.

    Attributes:
        meter: as given.
        changed: as given; held for moments only.

    Raises:
        CameraError: the camera cannot be opened.
    """

    def __init__(
        self,
        open_again: Callable[[], Camera],
        *,
        reopen_max_seconds: float,
        lossless: bool,
        patience: Patience = Patience(),  # noqa: B008 - frozen
        sight: FrameHealth | None = None,
        may_be_missing: bool = False,
        meter: FaceMeter | None = None,
        changed: threading.Condition | None = None,
    ) -> None:
        self.meter = meter
        self._open_again = open_again
        self._reopen_max_seconds = reopen_max_seconds
        self._lossless = lossless
        self._patience = patience
        self._sight = sight
        self._may_be_missing = may_be_missing
        self.changed = changed or threading.Condition()
        self._frame: Frame | None = None
        self._dropped = 0
        self._states = CameraStates(patience)
        self._last_seconds = 0.0
        self._opened = False
        self._closed = False
        self._close_until = 0.0  # by a clock that nobody sets
        self._ending: Exception | None = None
        self._reopen_seconds = _REOPEN_FIRST_SECONDS
        self._frozen_factor = 1.0
        self._left_behind = AbandonedThreads()
        self._given_up = False
        self._capture = CaptureThread(self._run)
        self._capture.thread.start()
        if not may_be_missing:
            self._wait_for_opening()

    @property
    def dropped(self) -> int:
        """Frames overwritten before they were taken, since the start."""
        with self.changed:
            return self._dropped

    @property
    def state(self) -> CameraState:
        """How it stands with the camera; another object when that changes."""
        with self.changed:
            return self._states.state

    @property
    def slow_reason(self) -> str:
        """Why the camera is too slow to recognize anybody by; empty where it is not."""
        state = self.state
        return state.reason if state.condition is CameraCondition.SLOW else ""

    @property
    def waits_for_key_frame(self) -> bool:
        """Whether the camera sends what cannot be decoded before its next key frame."""
        with self.changed:
            return self._states.waits_for_key_frame

    @property
    def needs_restart(self) -> bool:
        """Whether only a new process can bring the camera back."""
        with self.changed:
            return self._given_up

    @property
    def has_news(self) -> bool:
        """Whether ``get`` has an answer now: a frame, or that there are no more."""
        with self.changed:
            return self._has_news()

    def get(self, timeout_seconds: float) -> Frame:
        """Take the newest frame that was not taken yet.

        Raises:
            CameraError: none came in time, or this is closed; call again, the camera is being
                reopened.
            CameraSetupError: it is not worth calling again.
            EndOfStreamError: the last frame of a file, folder or scene was taken.
        """
        with self.changed:
            ready = self.changed.wait_for(self._has_news, timeout_seconds)
            frame, self._frame = self._frame, None
            self.changed.notify_all()
            if frame is not None:
                return frame
            if self._closed:
                raise CameraError("the camera is closed; open it again")
            if ready and self._ending is not None:
                raise self._ending
            self._states.note_waiting()
            self._replace_stuck_thread(time.monotonic())
            away = "; the camera is lost and being reopened" if self._states.is_away else ""
            raise CameraError(f"no frame within {timeout_seconds:g} s{away}")

    def stop(self) -> None:
        """Stop capturing and have the camera released, without waiting for it; idempotent."""
        with self.changed:
            if not self._closed:
                self._closed = True
                self._close_until = time.monotonic() + _CLOSE_SECONDS
            self._frame = None
            self.changed.notify_all()

    def close(self) -> None:
        """Stop capturing and release the camera, within two seconds; idempotent."""
        self.stop()
        self._capture.thread.join(max(self._close_until - time.monotonic(), 0.0))
        if self._capture.thread.is_alive():
            log.warning("the camera did not answer within %g s; left behind", _CLOSE_SECONDS)

    def _wait_for_opening(self) -> None:
        seconds = self._patience.opening_seconds
        with self.changed:
            answered = self.changed.wait_for(lambda: self._opened or self._ending, seconds)
            ending = None if self._opened else self._ending
        if answered and ending is None:
            return
        self.close()
        raise ending or CameraError(
            f"the camera has not answered for {seconds:g} s; unplug it and plug it in again"
        )

    def _has_news(self) -> bool:
        return self._frame is not None or self._closed or self._ending is not None

    def _run(self, capture: CaptureThread) -> None:
        try:
            while self._is_wanted(capture):
                self._pass_frames(capture)
                self._wait_to_reopen(capture)
        except Exception as exc:  # noqa: BLE001 - the top of a thread: the reader raises it
            with self.changed:
                if capture is self._capture:
                    self._ending = exc
                    self.changed.notify_all()

    def _pass_frames(self, capture: CaptureThread) -> None:
        """Open the camera and read until it is lost or nobody reads any more."""
        try:
            patience = self._patience
            with capture.asking(patience.opening_seconds + patience.first_frame_seconds):
                camera = self._open_again()
            try:
                self._note_opened(capture)
                self._read(camera, capture)
            finally:
                self._note_answer(capture)
                with capture.asking(patience.stuck_seconds):
                    camera.close()
        except EndOfStreamError:
            raise
        except CameraError as exc:
            final = not self._may_be_missing or isinstance(exc, CameraSetupError)
            if final and not self._opened:
                raise
            self._note_lost(exc, capture)

    def _read(self, camera: Camera, capture: CaptureThread) -> None:
        opened_seconds = time.monotonic()
        if self._sight is not None and self.state.condition is not CameraCondition.FROZEN:
            self._sight.begin(opened_seconds)
        behind: float | None = None
        more = self._patience.first_frame_seconds
        while self._is_wanted(capture):
            with capture.asking(self._patience.stuck_seconds + more):
                frame = camera.read()
            if more:
                self._note_answer(capture)
                more = 0.0
            refuse_malformed(frame)
            if behind is None:  # a clock that starts at zero goes on where the last one stood
                ahead = self._last_seconds + _GAP_SECONDS - frame.time_seconds
                behind = ahead if frame.time_seconds < self._last_seconds else 0.0
            if behind:
                frame = replace(frame, time_seconds=frame.time_seconds + behind)
            now = time.monotonic()
            if self._sight is None:
                condition = CameraCondition.LIVE
            else:
                condition = self._sight.look(frame.pixels, now, intra=frame.intra)
            if condition is not CameraCondition.FROZEN:
                self._put(frame, condition, capture, steady=now - opened_seconds > _STEADY_SECONDS)
            elif self._is_frozen_for_good(now - opened_seconds, capture):
                return

    def _is_wanted(self, capture: CaptureThread) -> bool:
        with self.changed:
            return capture is self._capture and not self._closed

    def _note_opened(self, capture: CaptureThread) -> None:
        with self.changed:
            if capture is self._capture:
                self._opened = True
                self._states.note_opened()
            self.changed.notify_all()

    def _note_answer(self, capture: CaptureThread) -> None:
        with self.changed:
            if capture is self._capture:
                self._states.note_answer()

    def _note_lost(self, error: CameraError, capture: CaptureThread) -> None:
        with self.changed:
            if capture is not self._capture or self._closed:
                return
            if isinstance(error, CameraStuckError):
                self._states.note_ended(str(error))
            else:
                self._states.note_lost(str(error))

    def _is_frozen_for_good(self, open_seconds: float, capture: CaptureThread) -> bool:
        """Say that the picture is frozen, and whether to open the camera anew by now."""
        seconds = 0.0 if self._sight is None else self._sight.frozen_seconds
        with self.changed:
            if capture is not self._capture or self._closed:
                return False
            first = self._states.state.condition is not CameraCondition.FROZEN
            self._states.note_frozen(seconds)
            if first:
                return True
            if open_seconds < seconds * self._frozen_factor:
                return False
            self._frozen_factor = min(2 * self._frozen_factor, _FROZEN_FACTOR_MOST)
            return True

    def _replace_stuck_thread(self, now: float) -> None:
        """Leave a thread behind whose driver does not answer, and capture with another one.

        With ``changed`` held.
        """
        capture = self._capture
        stuck = capture.is_stuck(now)
        many = self._left_behind.are_too_many
        held = (
            self._left_behind.may_hold_camera
            and self._states.away_seconds > self._patience.held_seconds
        )
        if stuck and not many:
            self._states.note_stuck(capture.patience_seconds)
            self._left_behind.add(capture.thread)
            self._capture = CaptureThread(self._run)
            self._capture.thread.start()
        needs_restart = (stuck and many) or held
        if needs_restart and not self._given_up:
            log.error(
                "the camera's driver hangs in %d threads; only a new start of the doorbell, by "
                "systemd's watchdog or by hand, or of the camera can help",
                len(self._left_behind),
            )
        self._given_up = needs_restart

    def _wait_to_reopen(self, capture: CaptureThread) -> None:
        """Wait longer each time, by chance a little more or less."""
        with self.changed:
            delay = min(self._reopen_seconds, self._reopen_max_seconds)
            self._reopen_seconds = 2 * delay
            jittered = delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it
            self.changed.wait_for(lambda: self._closed or capture is not self._capture, jittered)

    def _put(
        self, frame: Frame, condition: CameraCondition, capture: CaptureThread, *, steady: bool
    ) -> None:
        """Leave a frame for the reader."""
        with self.changed:
            if self._lossless:
                self.changed.wait_for(lambda: self._frame is None or self._closed)
            if capture is not self._capture or self._closed:
                return
            if self._frame is not None:
                self._dropped += 1
            if self._states.is_away:
                self._given_up = False
            self._states.note_frame(frame, dark=condition is CameraCondition.DARK)
            self._left_behind.clear()
            self._frozen_factor = 1.0
            if steady:
                self._reopen_seconds = _REOPEN_FIRST_SECONDS
            self._last_seconds = frame.time_seconds
            self._frame = frame
            self.changed.notify_all()
