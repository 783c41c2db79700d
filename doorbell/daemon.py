"""The composition root: builds everything from the configuration, and runs it until told to stop.

Threads: capture fills a one-slot mailbox, this (the main) thread takes every newest frame through
the pipeline, every slow output has a worker of its own. Everything is started through one
``ExitStack``, so shutdown is the same list backwards.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial

from typing_extensions import assert_never

from doorbell.button import Button
from doorbell.camera import frames_reach_gpu
from doorbell.camera.latest import LatestFrame, open_latest
from doorbell.camera.uri import is_live
from doorbell.clock import is_synchronized, unset_seconds
from doorbell.config import Config, InferenceSection, StorageSection
from doorbell.domain import (
    CameraCondition,
    CameraState,
    Command,
    EnrollCommand,
    Event,
    ForgetCommand,
    MuteCommand,
    Person,
    Ring,
    RingCommand,
    SoundState,
    StageLatency,
    Statistics,
)
from doorbell.errors import (
    CameraError,
    CameraSetupError,
    DoorbellError,
    EndOfStreamError,
    GalleryError,
    UsageError,
)
from doorbell.gpio import Chips
from doorbell.inference import NetworkFiles, Runner, keeps_frames_on_gpu, open_runner
from doorbell.latency import Latency, Stage, Stopwatch, describe
from doorbell.memory import give_back_memory
from doorbell.models.store import models_directory
from doorbell.outputs import Output
from doorbell.outputs.chime import Chime, Choice
from doorbell.outputs.journal import Journal
from doorbell.outputs.mqtt import Mqtt
from doorbell.outputs.pictures import Pictures, make_room
from doorbell.outputs.relay import Relay
from doorbell.outputs.speaker import Speaker
from doorbell.perception import open_perception
from doorbell.pipeline import Pipeline
from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_file import ROOM_BYTES
from doorbell.recognition.gallery_lock import only_daemon
from doorbell.sealing import open_seal
from doorbell.service import ServiceNotifier
from doorbell.stopping import (
    StoppedEarlyError,
    go_on_unless,
    stopping_on_signals,
    stopping_on_thread_faults,
)
from doorbell.turns import Turn
from doorbell.upkeep import Upkeep

log = logging.getLogger(__name__)

STATISTICS_SECONDS = 60.0
PEOPLE_SECONDS = 2.0
STORAGE_SECONDS = 5.0
# How long one write of the gallery may keep the bell waiting.
GALLERY_BUSY_SECONDS = 0.5
# How long one turn of the loop waits for a frame, and so for a command or the end.
TURN_SECONDS = 0.25


class Daemon:
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
        self._upkeep = Upkeep(
            pipeline,
            gallery,
            pictures,
            config.storage,
            wall_time=time.time(),
            time_seconds=unset_seconds(),
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
            Turn(PEOPLE_SECONDS, self._publish_people, self._started),
            Turn(STORAGE_SECONDS, self._look_after_storage, self._started),
        ]
        try:
            while not stop.is_set():
                self._upkeep.follow_clock(time.time(), unset_seconds())
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
            forgotten = self._gallery.forget(name)
        except DoorbellError as exc:
            log.warning("%s", exc)
            return
        self._pictures.forget(forgotten.visit_ids)
        log.info("forgot %s, as a command asked", forgotten.visitor.label)

    def _publish_people(self) -> None:
        """Tell home automation of people enrolled, renamed or forgotten from the command line."""
        if self._mqtt is not None:
            self._mqtt.set_people(self._pipeline.household.people)

    def _look_after_storage(self) -> None:
        self._upkeep.turn(time.time(), unset_seconds(), synchronized=is_synchronized())

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


def open_gallery(storage: StorageSection) -> Gallery:
    """Open the gallery, if need be in place of the oldest pictures: the bell is worth more.

    Raises:
        GalleryError, SealError: it cannot be opened.
    """
    try:
        return Gallery.of(storage)
    except GalleryError as exc:
        if not make_room(storage.pictures_directory, ROOM_BYTES):
            raise
        log.warning("once more, with room: %s", exc)
    return Gallery.of(storage)


def run_daemon(
    config: Config,
    *,
    outputs: Sequence[Output] = (),
    on_choice: Callable[[Ring, Choice], None] | None = None,
    chips: Chips | None = None,
) -> None:
    """Run the doorbell until SIGTERM, SIGINT or the end of a recording. Main thread only.

    Args:
        config: everything.
        outputs: more that hears of events, before all others; closed by the caller.
        on_choice: told which chime sounds for a ring, or why none does.
        chips: the GPIO chips; None for this machine's.

    Raises:
        DoorbellError: something that the doorbell cannot do without is missing at start.
    """
    stop = threading.Event()
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    latency = Latency()

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        go_on_unless(stop)  # compiling takes seconds on a slow machine, building engines minutes
        return open_runner(files, section)

    with suppress(StoppedEarlyError), ExitStack() as stack:
        stack.enter_context(stopping_on_signals(stop))
        stack.enter_context(stopping_on_thread_faults(stop))
        notifier = stack.enter_context(closing(ServiceNotifier()))
        stack.enter_context(only_daemon(config.storage.directory))
        gallery = stack.enter_context(open_gallery(config.storage))
        gallery.wait_at_most(GALLERY_BUSY_SECONDS)
        try:
            left_open = gallery.close_open_visits()
        except GalleryError as exc:
            log.error("visits that the last run left open stay so: %s", exc)
        else:
            if left_open:
                log.info("%d visits were left open by the last run; ended them", left_open)
        faces = models_directory(config.inference) / "faces"

        def open_camera() -> LatestFrame:
            return stack.enter_context(
                closing(open_latest(config.camera, faces, may_be_missing=True))
            )

        # A live camera takes as long to give a frame as networks to load; a recording would begin
        # while nobody looks.
        live_camera = open_camera() if is_live(config.camera) else None
        # Frames that are on the GPU already are looked at there.
        frames_on_gpu = frames_reach_gpu(config.camera) and keeps_frames_on_gpu(config.inference)
        perception = stack.enter_context(
            closing(open_perception(config, open_network=open_network, frames_on_gpu=frames_on_gpu))
        )
        perception.warm_up()
        go_on_unless(stop)
        chime = stack.enter_context(closing(Chime(config.chime, Speaker(), on_choice=on_choice)))
        built: list[Output] = [Journal(), *outputs, chime]
        relay = None
        if config.relay.line is not None:
            relay = stack.enter_context(closing(Relay(config.relay, config.chime, chips)))
            built.append(relay)
        mqtt = None
        if config.mqtt.enabled:
            mqtt = stack.enter_context(
                closing(
                    Mqtt(
                        config.device,
                        config.mqtt,
                        outbox_path=config.storage.outbox_path,
                        seal=open_seal(config.storage.key_file),
                        people=gallery.people(),
                        is_kept=partial(is_somebodys, gallery),
                        on_command=commands.put,
                        on_published=partial(latency.add, Stage.PUBLISH),
                    )
                )
            )
            built.append(mqtt)
        pictures = stack.enter_context(closing(Pictures(config.storage)))
        built.append(pictures)
        if config.button.line is not None:
            stack.enter_context(
                closing(Button(config.button, lambda: commands.put(RingCommand()), chips))
            )
        go_on_unless(stop)
        Daemon(
            camera=live_camera or open_camera(),
            pipeline=Pipeline(perception, gallery, config, Stopwatch(latency, time.perf_counter)),
            gallery=gallery,
            outputs=built,
            chime=chime,
            relay=relay,
            mqtt=mqtt,
            pictures=pictures,
            notifier=notifier,
            commands=commands,
            latency=latency,
            config=config,
        ).run(stop)


def is_somebodys(gallery: Gallery, visit_id: str) -> bool:
    """Whether a visit that somebody made is theirs under another number: two people became one.

    A visit that was taken for somebody else's is not: it may tell of whom to forget.
    """
    try:
        visit = gallery.visit(visit_id)
    except (UsageError, GalleryError):  # what cannot be looked up is taken as forgotten
        return False
    return isinstance(visit.visitor, Person) and not visit.corrected
