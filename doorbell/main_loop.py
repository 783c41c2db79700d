"""The loop of the main thread: frames and commands in, events and states to everybody who listens.

Enters: the parts that the daemon has built. Leaves: nothing; it runs until it is told to stop or a
recording has ended. Knows no configuration but retention and visits, and opens nothing.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence

from typing_extensions import assert_never

from doorbell.camera.latest import LatestFrame
from doorbell.clock import is_synchronized, read_clocks
from doorbell.config import Config
from doorbell.domain import (
    Command,
    EnrollCommand,
    Event,
    ForgetCommand,
    MuteCommand,
    RingCommand,
)
from doorbell.errors import (
    CameraError,
    CameraSetupError,
    DoorbellError,
    EndOfStreamError,
)
from doorbell.household.forgetting import forget_person
from doorbell.latency import Latency, Stage, describe
from doorbell.memory import give_back_memory
from doorbell.outputs import Output
from doorbell.outputs.chime import Chime
from doorbell.outputs.mqtt import Mqtt
from doorbell.outputs.pictures import Pictures
from doorbell.outputs.relay import Relay
from doorbell.pipeline import Pipeline
from doorbell.recognition.gallery import Gallery
from doorbell.service import ServiceNotifier
from doorbell.states import CameraCondition, CameraState, SoundState, StageLatency, Statistics
from doorbell.turns import Turn
from doorbell.upkeep import Upkeep

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 60.0
HOUSEHOLD_SECONDS = 2.0
STORAGE_SECONDS = 5.0
# How long one turn of the loop waits for a frame, and so for a command or the end.
TURN_SECONDS = 0.25


class MainLoop:
    """The loop of the main thread.

    Args:
        camera: the newest frame.
        pipeline: what makes events of frames.
        gallery: who is known.
        outputs: what hears of events.
        chime: can be muted.
        relay: can be muted as well; None if there is none.
        mqtt: what hears of states and sends commands; None if home automation is off.
        notifier: the service manager.
        commands: what was asked for, from any thread.
        pictures: the output among them that keeps some.
        latency: what the stages took.
        config: retention.
    """

    def __init__(
        self,
        *,
        camera: LatestFrame,
        pipeline: Pipeline,
        gallery: Gallery,
        outputs: Sequence[Output],
        chime: Chime,
        relay: Relay | None,
        mqtt: Mqtt | None,
        pictures: Pictures,
        notifier: ServiceNotifier,
        commands: queue.SimpleQueue[Command],
        latency: Latency,
        config: Config,
    ) -> None:
        self._camera = camera
        self._pipeline = pipeline
        self._gallery = gallery
        self._outputs = outputs
        self._chime = chime
        self._relay = relay
        self._mqtt = mqtt
        self._pictures = pictures
        self._notifier = notifier
        self._commands = commands
        self._latency = latency
        self._config = config
        wall_time, time_seconds = read_clocks()
        self._upkeep = Upkeep(
            pipeline,
            gallery,
            pictures,
            config.storage,
            wall_time=wall_time,
            time_seconds=time_seconds,
        )
        self._storage_problem: str | None = "not told yet"
        self._started = time.monotonic()
        self._dropped_before = 0
        self._reported = self._started
        self._stream_seconds = 0.0
        self._frame_seconds = self._started
        self._camera_state: CameraState | None = None
        self._sound: SoundState | None = None
        self._ready = False
        self._watching = False

    def run(self, stop: threading.Event) -> None:
        """Process frames until ``stop`` is set or the camera's recording has ended."""
        turns = [
            Turn(STATISTICS_SECONDS, self._report, self._started + STATISTICS_SECONDS),
            Turn(HOUSEHOLD_SECONDS, self._publish_household, self._started),
            Turn(STORAGE_SECONDS, self._look_after_storage, self._started),
        ]
        try:
            while not stop.is_set():
                self._upkeep.follow_clock(*read_clocks())
                self._take_frame()
                self._tell_of_devices()
                self._obey()
                for turn in turns:
                    turn.poll(time.monotonic())
        except EndOfStreamError as exc:
            log.info("%s", exc)
        finally:
            self._notifier.stopping()
            self._dispatch(self._pipeline.finish(time.time()))
            self._report()

    def _take_frame(self) -> None:
        try:
            frame = self._camera.get(TURN_SECONDS)
        except (EndOfStreamError, CameraSetupError):
            raise
        except CameraError:
            self._do_without_frame(time.monotonic())
            return
        waited = max(time.time() - frame.captured_at, 0.0)
        started = time.monotonic()
        self._stream_seconds = frame.time_seconds
        self._dispatch(self._pipeline.step(frame))
        ended = time.monotonic()
        self._latency.add(Stage.CAPTURE, waited)
        self._latency.add(Stage.FRAME, waited + ended - started)
        self._say_ready()
        if not self._watching:
            self._watching = True
            log.info("watching the door, %d x %d pixels", frame.width, frame.height)
            give_back_memory()  # now that every network has run
        self._frame_seconds = ended
        self._notifier.feed_watchdog(ended)

    def _do_without_frame(self, now: float) -> None:
        """Go on as a bell: a camera that is reopened is no reason for a restart."""
        state = self._camera.state
        if state.condition is not CameraCondition.STARTING and not state.gives_frames:
            self._say_ready()
            if now - self._frame_seconds > self._config.visits.absence_seconds:
                # Whoever stood there is not taken for whoever presses now.
                self._dispatch(self._pipeline.finish(time.time()))
        # Only a new process gets rid of a driver that hangs: then the watchdog goes hungry.
        if self._ready and not self._camera.beyond_help:
            self._notifier.feed_watchdog(now)

    def _say_ready(self) -> None:
        self._ready = self._ready or self._notifier.ready()

    def _tell_of_devices(self) -> None:
        """Tell of the camera, the sound and the storage where something has changed."""
        camera, sound, storage = self._camera.state, self._chime.sound, self._upkeep.problem
        if camera is not self._camera_state and self._ready and camera.reason:
            self._notifier.status(f"camera {camera.condition.value}: {camera.reason}")
        if self._mqtt is not None and camera is not self._camera_state:
            self._mqtt.set_camera(camera)
        if self._mqtt is not None and sound != self._sound:
            self._mqtt.set_sound(sound)
        if self._mqtt is not None and storage != self._storage_problem:
            self._mqtt.set_storage(storage)
        self._camera_state, self._sound, self._storage_problem = camera, sound, storage

    def _dispatch(self, events: Sequence[Event]) -> None:
        for event in events:
            for output in self._outputs:
                output.handle(event)

    def _obey(self) -> None:
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            match command:
                case RingCommand():
                    self._dispatch(self._pipeline.press(self._stream_seconds, time.time()))
                case MuteCommand(muted=muted):
                    log.info("chimes are %s", "muted" if muted else "on")
                    self._chime.mute(muted)
                    if self._relay is not None:
                        self._relay.mute(muted)
                    if self._mqtt is not None:
                        self._mqtt.set_muted(muted)
                case EnrollCommand(name=name):
                    self._enroll(name)
                case ForgetCommand(name=name):
                    self._forget(name)
                case _:
                    assert_never(command)

    def _enroll(self, name: str) -> None:
        try:
            outcome = self._pipeline.enroll_visible(name)
        except DoorbellError as exc:
            log.warning("%s", exc)
        else:
            log.info("enrolled %d pictures of %s", outcome.added, outcome.person.name)

    def _forget(self, name: str) -> None:
        try:
            outcome = forget_person(
                self._gallery, name, self._config.storage, self._pictures.forget
            )
        except DoorbellError as exc:
            log.warning("%s", exc)
        else:
            log.info("forgot %s, as a command asked", outcome.visitors[0].label)

    def _publish_household(self) -> None:
        """Tell home automation of whom the command line enrolled, renamed or forgot."""
        if self._mqtt is not None:
            household = self._pipeline.household
            self._mqtt.set_household(household.people, household.strangers)

    def _look_after_storage(self) -> None:
        self._upkeep.turn(*read_clocks(), synchronized=is_synchronized())

    def _report(self) -> None:
        stages = self._latency.take()
        frame = stages.get(Stage.FRAME, StageLatency(0.0, 0.0, 0.0, 0))
        dropped = self._camera.dropped
        now = time.monotonic()
        statistics = Statistics(
            uptime_seconds=now - self._started,
            frames_per_second=frame.count / max(now - self._reported, 1e-3),
            frames_dropped=dropped - self._dropped_before,
            latency_ms_p50=frame.p50_ms,
            latency_ms_p99=frame.p99_ms,
            visits_open=len(self._pipeline.open_visits),
            people=len(self._pipeline.household.people),
            strangers=len(self._pipeline.household.strangers),
            camera_online=self._camera.state.gives_frames,
            stages={stage.value: took for stage, took in stages.items()},
        )
        self._reported = now
        self._dropped_before = dropped
        summary = (
            f"{statistics.frames_per_second:.1f} frames/s, {statistics.frames_dropped} dropped, "
            f"p50 {statistics.latency_ms_p50:.1f} ms, p99 {statistics.latency_ms_p99:.1f} ms, "
            f"{statistics.visits_open} at the door"
        )
        log.info("%s; %s", summary, describe(stages))
        self._notifier.status(summary)
        if self._mqtt is not None:
            self._mqtt.publish_statistics(statistics)
