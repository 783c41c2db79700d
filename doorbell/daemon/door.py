"""One door as the main loop knows it: its camera, what is seen there, and how both do."""

from __future__ import annotations

import math
import time

from doorbell.camera.latest import LatestFrame
from doorbell.config import Config
from doorbell.domain import Frame
from doorbell.pipeline.latency import Latency, Stage, describe
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import CameraCondition, CameraState, StageLatency, Statistics

# A door where somebody is looked for or followed gets so many frames for one of an empty door,
# where the machine cannot take those of all.
FRAMES_BESIDE_EMPTY = 4.0


class Door:
    """A camera and the pipeline that its frames go through; used by the main thread.

    Args:
        config: of this door.
        camera: the newest frame.
        pipeline: what makes events of frames.
        latency: what the stages took.

    Attributes:
        config: of this door, in force.
        door_id, name: as configured.
        camera, pipeline, latency: as given.
        stream_seconds: of the last frame.
        frame_seconds: when the last frame was done, by a clock that nobody sets.
        asked_seconds: when the camera was asked last, by the same clock.
        has_ended: whether its camera gives no more frames, ever; the bell is still there.
    """

    def __init__(
        self, config: Config, *, camera: LatestFrame, pipeline: Pipeline, latency: Latency
    ) -> None:
        self.config = config
        self.door_id, self.name = config.device.id, config.device.name
        self.camera = camera
        self.pipeline = pipeline
        self.latency = latency
        self.stream_seconds = 0.0
        self.frame_seconds = self._began = self._reported = time.monotonic()
        self.asked_seconds = -math.inf
        self.has_ended = False
        self._is_watching = False
        self._state: CameraState | None = None
        self._failed: CameraState | None = None
        self._dropped_before = 0

    @property
    def gives_frames(self) -> bool:
        """Whether the door is being looked at."""
        return not self.has_ended and self.camera.state.gives_frames

    @property
    def now_seconds(self) -> float:
        """Stream time of this moment, as if there were a frame."""
        return self.stream_seconds + time.monotonic() - self.frame_seconds

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on, as far as that can be changed under way."""
        self.config = config
        self.pipeline.reconfigure(config)

    def urgency(self, now: float) -> float:
        """How much its frame is wanted next: the longer none was taken, and where somebody is."""
        return (now - self.asked_seconds) * (FRAMES_BESIDE_EMPTY if self.pipeline.follows else 1.0)

    def take_frame(self, now: float) -> Frame:
        """Take the newest frame, without waiting.

        Raises:
            CameraError: as ``LatestFrame.get``.
        """
        self.asked_seconds = now
        return self.camera.get(0.0)

    def note_done(self, taken: float, waited: float) -> bool:
        """A frame went through the pipeline; whether it was the first.

        Args:
            taken: when it was taken, by a clock that nobody sets.
            waited: seconds from its capture to that.
        """
        self.frame_seconds = time.monotonic()
        self.latency.add(Stage.CAPTURE, waited)
        self.latency.add(Stage.FRAME, waited + self.frame_seconds - taken)
        is_first, self._is_watching = not self._is_watching, True
        return is_first

    def fail(self, reason: str) -> None:
        """Its camera cannot be used, and is not waited for."""
        self.has_ended = True
        self._failed = CameraState(CameraCondition.LOST, reason, time.time())

    def changed_state(self) -> CameraState | None:
        """How it stands with the camera, where that has changed since this was asked last."""
        state = self._failed or self.camera.state
        if state is self._state:
            return None
        self._state = state
        return state

    def report(self, people: int, strangers: int) -> tuple[Statistics, str]:
        """Sum up what was done since the last time.

        Args:
            people: in the gallery.
            strangers: likewise.

        Returns:
            The figures, and a line of them for people.
        """
        stages = self.latency.take()
        frame = stages.get(Stage.FRAME, StageLatency(0.0, 0.0, 0.0, 0))
        dropped, now = self.camera.dropped, time.monotonic()
        statistics = Statistics(
            uptime_seconds=now - self._began,
            frames_per_second=frame.count / max(now - self._reported, 1e-3),
            frames_dropped=dropped - self._dropped_before,
            latency_ms_p50=frame.p50_ms,
            latency_ms_p99=frame.p99_ms,
            visits_open=len(self.pipeline.open_visits),
            people=people,
            strangers=strangers,
            camera_online=self.gives_frames,
            stages={stage.value: took for stage, took in stages.items()},
            door_id=self.door_id,
        )
        self._reported, self._dropped_before = now, dropped
        summary = (
            f"{statistics.frames_per_second:.1f} frames/s, {statistics.frames_dropped} dropped, "
            f"p50 {statistics.latency_ms_p50:.1f} ms, p99 {statistics.latency_ms_p99:.1f} ms, "
            f"{statistics.visits_open} at the door; {describe(stages)}"
        )
        return statistics, summary
