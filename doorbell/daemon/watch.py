"""Watching the doors: whose frame is taken next, and what is done while a camera gives none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from doorbell.daemon.door import Door
from doorbell.daemon.memory import give_back_memory
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import Event
from doorbell.errors import CameraError, CameraSetupError, EndOfStreamError
from doorbell.outputs import FrameSink
from doorbell.status import CameraCondition

log = logging.getLogger(__name__)

# How long one step waits for a frame.
WAIT_SECONDS = 0.25
RESTART_SECONDS = 3600.0


class Watch:
    """Takes the frames of all doors, one at a time; used by the main thread.

    Args:
        doors: by cameras that share a condition; at least one.
        notifier: the service manager.
        sinks: what is shown every frame.
        tell: takes what happened.
        restart_seconds: between two new starts for one hanging driver, where other doors are
            watched.
    """

    def __init__(
        self,
        doors: Sequence[Door],
        notifier: ServiceNotifier,
        sinks: Sequence[FrameSink],
        *,
        tell: Callable[[Sequence[Event]], None],
        restart_seconds: float = RESTART_SECONDS,
    ) -> None:
        self._doors = doors
        self._changed = doors[0].camera.changed
        self._notifier = notifier
        self._sinks = sinks
        self._tell = tell
        self._restart_seconds = restart_seconds
        self._started = time.monotonic()
        self._ready = False

    @property
    def goes_on(self) -> bool:
        """Whether any camera may still give frames."""
        return bool(self._watched)

    @property
    def is_ready(self) -> bool:
        """Whether the service manager knows that the start is over."""
        return self._ready

    @property
    def is_anybody_there(self) -> bool:
        """Whether a visit goes on at any door."""
        return any(door.pipeline.open_visits for door in self._doors)

    def step(self) -> None:
        """Wait for a frame, take the one that is wanted most, and see which cameras give none.

        Raises:
            CameraSetupError: no camera can be used as it is configured.
        """
        watched = self._watched

        def with_news() -> list[Door]:
            return [door for door in watched if door.camera.has_news]

        with self._changed:
            given = self._changed.wait_for(with_news, WAIT_SECONDS)
        now = time.monotonic()
        chosen = max(given, key=lambda door: door.urgency(now), default=None)
        for door in watched:
            is_late = door not in given and now - door.asked_seconds >= WAIT_SECONDS
            if door is chosen or is_late:
                self._take_frame(door, now)

    def note_elsewhere(self, door: Door) -> None:
        """Whoever rang at a door need not ring at another one on the way."""
        for visitor in door.pipeline.bell.take_newly():
            for other in self._doors:
                if other is not door:
                    other.pipeline.bell.note_elsewhere(visitor, other.now_seconds)

    @property
    def _watched(self) -> list[Door]:
        return [door for door in self._doors if not door.has_ended]

    def _take_frame(self, door: Door, now: float) -> None:
        try:
            frame = door.take_frame(now)
        except EndOfStreamError as exc:
            log.info("%s", exc)
            self._end(door)
            return
        except CameraSetupError as exc:
            if len(self._watched) == 1:
                raise
            log.error("%s is not watched: %s", door.name, exc)
            door.fail(str(exc))
            self._end(door)
            return
        except CameraError:
            self._do_without_frame(door, now)
            return
        waited = max(time.time() - frame.captured_at, 0.0)
        started = time.monotonic()
        door.stream_seconds = frame.time_seconds
        self._tell(door.pipeline.step(frame))
        self.note_elsewhere(door)
        for shown in self._sinks:
            shown.show(frame, lambda: door.pipeline.in_sight, door.door_id)
        if door.camera.meter is not None:
            door.camera.meter.look(frame.pixels, door.pipeline.faces_of_visits(frame))
        is_first = door.note_done(started, waited)
        self._notify_ready()
        if is_first:
            where = "the door" if len(self._doors) == 1 else door.name
            log.info("watching %s, %d x %d pixels", where, frame.width, frame.height)
            give_back_memory()  # now that every network has run
        self._feed_watchdog(door.frame_seconds)

    def _end(self, door: Door) -> None:
        """A camera gives no more frames; the others do, and its bell is still there."""
        door.has_ended = True
        if self._watched:
            self._tell(door.pipeline.finish(time.time()))

    def _do_without_frame(self, door: Door, now: float) -> None:
        """Go on as a bell: a camera that is reopened is no reason for a restart."""
        state = door.camera.state
        starting = state.condition is CameraCondition.STARTING and not state.reason
        if not starting and not state.gives_frames:
            self._notify_ready()
            if now - door.frame_seconds > door.config.visits.absence_seconds:
                # Whoever stood there is not taken for whoever presses now.
                self._tell(door.pipeline.finish(time.time()))
        if self._ready:
            self._feed_watchdog(now)

    def _feed_watchdog(self, now: float) -> None:
        """Let the watchdog go hungry where only a new process gets rid of a driver that hangs.

        Where other doors are watched, that waits for a quiet moment, and is tried once an hour.
        """
        hangs = any(door.camera.needs_restart for door in self._watched)
        others = any(door.gives_frames for door in self._doors)
        is_quiet = now - self._started > self._restart_seconds and not self.is_anybody_there
        if not hangs or (others and not is_quiet):
            self._notifier.feed_watchdog(now)

    def _notify_ready(self) -> None:
        self._ready = self._ready or self._notifier.ready()
