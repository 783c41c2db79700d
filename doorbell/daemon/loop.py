"""The loop of the main thread: frames and commands in, events and states to every sink."""

from __future__ import annotations

import logging
import math
import queue
import time
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import assert_never

from doorbell.camera.latest import LatestFrame
from doorbell.clock import is_synchronized, read_clocks
from doorbell.config import Config
from doorbell.daemon.forgotten_visits import ForgottenVisits
from doorbell.daemon.identification import identify
from doorbell.daemon.maintenance import Maintenance
from doorbell.daemon.memory import give_back_memory
from doorbell.daemon.periodic import PeriodicTask
from doorbell.daemon.reloading import Reload
from doorbell.daemon.settings import SettingsInForce
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import (
    AnnouncementsCommand,
    ChimeCommand,
    Command,
    CorrectCommand,
    EnrollCommand,
    Event,
    ForgetCommand,
    IgnoreCommand,
    MuteCommand,
    NameCommand,
    NoFaceCommand,
    PrivacyCommand,
    QuietHoursCommand,
    RingCommand,
    SettingsCommand,
    UndoCommand,
    VolumeCommand,
)
from doorbell.errors import (
    CameraError,
    CameraSetupError,
    DoorbellError,
    EndOfStreamError,
)
from doorbell.gallery.gallery import Gallery
from doorbell.household.forgetting import forget_person
from doorbell.household.undoing import newest_change
from doorbell.outputs import FrameSink, Sink
from doorbell.pipeline.latency import Latency, Stage, describe
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import (
    CameraCondition,
    CameraState,
    ClockStep,
    KnownVisitors,
    Message,
    StageLatency,
    State,
    Statistics,
    StorageState,
)
from doorbell.stopping import Stop

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 60.0
KNOWN_SECONDS = 2.0
MAINTENANCE_SECONDS = 5.0
# Between two steps of what tidies the gallery, where each waits for the disk.
TIDYING_SECONDS = 0.5
TIDYING_SECONDS_BESIDE_VISITOR = 5.0
# How long one turn of the loop waits for a frame, and so for a command or the end.
WAIT_SECONDS = 0.25


class MainLoop:
    """The loop of the main thread.

    Args:
        camera: the newest frame.
        pipeline: what makes events of frames.
        gallery: who is known.
        sinks: what hears of every event and state, in this order.
        notifier: the service manager.
        inbox: commands, states that outputs report, and that the configuration is to be read anew;
            from any thread.
        latency: what the stages took.
        config: retention.
    """

    def __init__(
        self,
        *,
        camera: LatestFrame,
        pipeline: Pipeline,
        gallery: Gallery,
        sinks: Sequence[Sink],
        notifier: ServiceNotifier,
        inbox: queue.SimpleQueue[Command | State | Reload],
        latency: Latency,
        config: Config,
    ) -> None:
        self._camera = camera
        self._pipeline = pipeline
        self._gallery = gallery
        self._sinks = sinks
        self._frame_sinks = tuple(sink for sink in sinks if isinstance(sink, FrameSink))
        self._notifier = notifier
        self._inbox = inbox
        self._latency = latency
        self._config = config
        self._door_id = config.device.id
        self._forgotten_visits = ForgottenVisits(gallery)
        self._settings = SettingsInForce(config, self._publish)
        wall_time, time_seconds = read_clocks()
        self._maintenance = Maintenance(
            pipeline,
            gallery,
            self._settings.storage,
            config.recognition,
            self._publish,
            wall_time=wall_time,
            time_seconds=time_seconds,
        )
        self._started = time.monotonic()
        self._dropped_before = 0
        self._reported = self._started
        self._stream_seconds = 0.0
        self._frame_seconds = self._started
        self._camera_state: CameraState | None = None
        self._storage: StorageState | None = None
        self._known_revision: int | None = None
        self._tidied_seconds = -math.inf
        self._ready = False
        self._watching = False

    def run(self, stop: Stop) -> None:
        """Process frames until ``stop`` is set or the camera's recording has ended."""
        tasks = [
            PeriodicTask(STATISTICS_SECONDS, self._report, self._started + STATISTICS_SECONDS),
            PeriodicTask(KNOWN_SECONDS, self._publish_known, self._started),
            PeriodicTask(MAINTENANCE_SECONDS, self._maintain, self._started),
        ]
        self._settings.tell(time.time())
        self._pipeline.set_privacy(self._settings.privacy)
        try:
            while not stop.is_set():
                self._maintenance.follow_clock(*read_clocks())
                self._settings.look(time.time())
                self._take_frame()
                self._publish_changes()
                self._read_inbox()
                for task in tasks:
                    task.run_if_due(time.monotonic())
                self._tidy(time.monotonic())
        except EndOfStreamError as exc:
            log.info("%s", exc)
        finally:
            self._notifier.stopping()
            self._tell(self._pipeline.finish(time.time(), stopping=True))
            self._publish_known()  # who was forgotten meanwhile is in nothing that is still written
            self._report()
            self._refuse_the_rest()

    def _tidy(self, now: float) -> None:
        """Let the gallery be tidied by a step between two frames, and seldom beside a visitor."""
        pause = TIDYING_SECONDS_BESIDE_VISITOR if self._pipeline.open_visits else TIDYING_SECONDS
        if now - self._tidied_seconds >= pause and self._maintenance.step():
            self._tidied_seconds = time.monotonic()

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on, as far as that can be changed under way."""
        self._config = config
        self._settings.reconfigure(config)
        self._pipeline.reconfigure(config)
        self._maintenance.reconfigure(self._settings.storage)

    def _take_frame(self) -> None:
        try:
            frame = self._camera.get(WAIT_SECONDS)
        except (EndOfStreamError, CameraSetupError):
            raise
        except CameraError:
            self._do_without_frame(time.monotonic())
            return
        waited = max(time.time() - frame.captured_at, 0.0)
        started = time.monotonic()
        self._stream_seconds = frame.time_seconds
        self._tell(self._pipeline.step(frame))
        for shown in self._frame_sinks:
            shown.show(frame, lambda: self._pipeline.in_sight)
        if self._camera.meter is not None:
            self._camera.meter.look(frame.pixels, self._pipeline.faces_of_visits(frame))
        ended = time.monotonic()
        self._latency.add(Stage.CAPTURE, waited)
        self._latency.add(Stage.FRAME, waited + ended - started)
        self._notify_ready()
        if not self._watching:
            self._watching = True
            log.info("watching the door, %d x %d pixels", frame.width, frame.height)
            give_back_memory()  # now that every network has run
        self._frame_seconds = ended
        self._notifier.feed_watchdog(ended)

    def _do_without_frame(self, now: float) -> None:
        """Go on as a bell: a camera that is reopened is no reason for a restart."""
        state = self._camera.state
        starting = state.condition is CameraCondition.STARTING and not state.reason
        if not starting and not state.gives_frames:
            self._notify_ready()
            if now - self._frame_seconds > self._config.visits.absence_seconds:
                # Whoever stood there is not taken for whoever presses now.
                self._tell(self._pipeline.finish(time.time()))
        # Only a new process gets rid of a driver that hangs: then the watchdog goes hungry.
        if self._ready and not self._camera.needs_restart:
            self._notifier.feed_watchdog(now)

    def _notify_ready(self) -> None:
        self._ready = self._ready or self._notifier.ready()

    def _publish_changes(self) -> None:
        """Tell how the camera and the gallery are where that has changed."""
        camera, storage = self._camera.state, StorageState("gallery", self._pipeline.problem)
        if camera is not self._camera_state:
            self._camera_state = camera
            if self._ready and camera.reason:
                self._notifier.status(f"camera {camera.condition.value}: {camera.reason}")
            self._publish(replace(camera, door_id=self._door_id))
        if storage != self._storage:
            self._storage = storage
            self._publish(storage)

    def _tell(self, events: Sequence[Event]) -> None:
        """Publish what happened, after whatever was told before of a visit that was forgotten."""
        forgotten = self._forgotten_visits.take(self._pipeline.take_forgotten())
        if forgotten is not None:
            self._publish(forgotten)
        self._publish(*events)

    def _publish(self, *messages: Message) -> None:
        for message in messages:
            if isinstance(message, ClockStep):
                self._settings.follow_clock(message)
            self._forgotten_visits.note(message)
            for sink in self._sinks:
                sink.handle(message)

    def _read_inbox(self) -> None:
        """Carry out commands, and publish the states that outputs report."""
        while True:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return
            match item:
                case Reload():
                    item.work()
                case _ if isinstance(item, Command):
                    self._answer(item)
                case _:
                    self._publish(item)

    def _answer(self, command: Command) -> None:
        """Carry a command out and say what has become of it; whatever it is, the loop goes on."""
        try:
            summary, undo = self._carry_out(command)
        except DoorbellError as exc:
            log.warning("%s", exc)
            command.answer(str(exc), done=False)
        except Exception:
            log.exception("a defect in the command %s", command.verb)
            command.answer("something is wrong in the doorbell; its log says more", done=False)
        else:
            log.info("%s", summary)
            command.answer(summary, done=True, undo=undo)

    def _carry_out(self, command: Command) -> tuple[str, int | None]:
        """Do what a command asks for; what was done, and the number to take it back by.

        Raises:
            DoorbellError: it is refused.
        """
        match command:
            case RingCommand():
                self._tell(self._pipeline.press(self._stream_seconds, time.time()))
                return "the bell rings", None
            case (
                MuteCommand()
                | VolumeCommand()
                | ChimeCommand()
                | QuietHoursCommand()
                | PrivacyCommand()
                | AnnouncementsCommand()
                | SettingsCommand()
            ):
                done = self._settings.change(command, time.time())
                self._pipeline.set_privacy(self._settings.privacy)
                if isinstance(command, SettingsCommand):
                    self._maintenance.reconfigure(self._settings.storage)
                return done, None
            case EnrollCommand(name=name):
                enrolled = self._pipeline.enroll_visible(name)
                self._publish_known()
                return f"enrolled {enrolled.person.name} (added samples: {enrolled.added})", None
            case ForgetCommand(name=name):
                outcome = forget_person(self._gallery, name, self._config.storage, self._publish)
                self._publish_known()
                # Without the name: whoever hears or logs it would keep what is to be forgotten.
                deleted = f"samples: {outcome.samples}, visits: {len(outcome.visit_ids)}"
                return f"forgot whom you named (deleted {deleted})", None
            case (
                NameCommand() | CorrectCommand() | IgnoreCommand() | NoFaceCommand() | UndoCommand()
            ):
                done = identify(command, self._gallery, self._config.recognition, self._publish)
                undoable = isinstance(command, NameCommand | CorrectCommand | NoFaceCommand)
                undo = newest_change(self._gallery) if undoable else None
                self._publish_known()
                return done, undo
            case _:
                assert_never(command)

    def _refuse_the_rest(self) -> None:
        """Leave nobody waiting for an answer: no command is carried out any more."""
        while True:
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, Command):
                item.answer("the doorbell stops; ask again when it is back", done=False)

    def _publish_known(self) -> None:
        """Tell who is known where that has changed, also from the command line."""
        known = self._pipeline.known_visitors
        if known.revision != self._known_revision:
            self._known_revision = known.revision
            self._drop_forgotten(known.gone)
            self._publish(KnownVisitors(known.people, known.stranger_ids, known.gone))

    def _drop_forgotten(self, gone: int) -> None:
        """Tell which visits another process has deleted, unless some are not stored yet."""
        if self._pipeline.problem is None:
            forgotten = self._forgotten_visits.find(gone)
            if forgotten is not None:
                self._publish(forgotten)

    def _maintain(self) -> None:
        self._pipeline.note_presence()
        self._maintenance.run(*read_clocks(), synchronized=is_synchronized())

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
            people=len(self._pipeline.known_visitors.people),
            strangers=len(self._pipeline.known_visitors.strangers),
            camera_online=self._camera.state.gives_frames,
            stages={stage.value: took for stage, took in stages.items()},
            door_id=self._door_id,
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
        self._publish(statistics)
