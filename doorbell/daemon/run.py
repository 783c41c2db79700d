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

from doorbell.camera import frames_reach_gpu
from doorbell.camera.latest import LatestFrame
from doorbell.camera.opening import close_all, open_latest
from doorbell.camera.process.camera import CameraProcesses
from doorbell.camera.process.starter import fork_starter
from doorbell.camera.uri import is_live
from doorbell.config import Config, GallerySection, InferenceSection, StorageSection
from doorbell.daemon.door import Door
from doorbell.daemon.door_files import take_over_files
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.main_thread import Call, Inbox
from doorbell.daemon.reloading import Reloader
from doorbell.daemon.run_outputs import Outputs
from doorbell.daemon.shared_gallery import SharedGallery, open_shared
from doorbell.daemon.signals import (
    StoppedEarlyError,
    following_signals,
    raise_if_stopping,
    stopping_on_thread_faults,
)
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import (
    Ring,
    RingCommand,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.link.copy import delete_copy, open_own
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.vector_place import delete_left_behind
from doorbell.gpio.button import Button
from doorbell.gpio.lines import Chips
from doorbell.household.doors import stored_doors
from doorbell.inference import NetworkFiles, Runner, keeps_frames_on_gpu, open_runner
from doorbell.models.store import models_directory
from doorbell.outputs import Sink
from doorbell.outputs.event_log import EventLog
from doorbell.outputs.pictures import make_room
from doorbell.outputs.sound.chime import Choice
from doorbell.pipeline.latency import Latency, Stopwatch
from doorbell.pipeline.perception import Perception, open_perception, says_how_computed
from doorbell.pipeline.pipeline import Pipeline
from doorbell.pipeline.visit_recorder import VisitRecorder
from doorbell.stopping import Stop
from doorbell.storage.sqlite import ROOM_BYTES

log = logging.getLogger(__name__)

# How long one write of the gallery may keep the bell waiting.
GALLERY_BUSY_SECONDS = 0.5


def open_gallery(storage: StorageSection, section: GallerySection | None = None) -> Gallery:
    """Open the gallery, on a full disk in place of the oldest pictures: the bell is worth more.

    Where it is on a server, this machine's copy is opened, by which the door decides.

    Raises:
        GalleryError, EncryptionError: it cannot be opened.
    """
    make_room(storage.pictures_directory, ROOM_BYTES)
    delete_left_behind(storage.directory)
    if section is None or section.url is None:
        delete_copy(storage)
    return open_own(storage, section, look_through=True)


def run_daemon(
    config: Config,
    *,
    load: Callable[[], Config] | None = None,
    sinks: Sequence[Sink] = (),
    on_choice: Callable[[Ring, Choice], None] | None = None,
    chips: Chips | None = None,
) -> None:
    """Run the doorbell until SIGTERM, SIGINT or the end of a recording. Main thread only.

    Args:
        config: everything.
        load: reads the configuration anew, for SIGHUP; None where there is nothing to read.
        sinks: more that hears of events and states, before all others; closed by the caller.
        on_choice: told which chime sounds for a ring, or why none does.
        chips: the GPIO chips; None for this machine's.

    Raises:
        DoorbellError: something that the doorbell cannot do without is missing at start.
    """
    stop = Stop()
    inbox: Inbox = queue.SimpleQueue()
    followers: list[Callable[[Config], None]] = []  # of a configuration that is read anew
    reloader = Reloader(config, load or (lambda: config), followers)
    latencies = {door.device.id: Latency() for door in config.doors}

    with suppress(StoppedEarlyError), ExitStack() as stack:
        processes = _open_processes(config, stack)  # first: there are no threads yet
        stack.enter_context(following_signals(stop, lambda: inbox.put(Call(reloader.reload))))
        stack.enter_context(stopping_on_thread_faults(stop))
        notifier = stack.enter_context(closing(ServiceNotifier()))
        stack.enter_context(only_daemon(config.storage.directory))
        take_over_files(config)
        gallery = stack.enter_context(open_gallery(config.storage, config.gallery))
        gallery.wait_at_most(GALLERY_BUSY_SECONDS)
        shared: SharedGallery | None = None
        if config.gallery.url is not None:
            shared = stack.enter_context(open_shared(config, inbox.put))
        faces = models_directory(config.inference) / "faces"
        changed = threading.Condition()
        opened: list[LatestFrame] = []
        stack.callback(close_all, opened)

        def open_camera(door: Config) -> LatestFrame:
            camera = open_latest(
                door.camera,
                faces,
                may_be_missing=True,
                changed=changed,
                processes=processes,
                name=door.device.id,
            )
            opened.append(camera)
            return camera

        # A live camera takes as long to give a frame as networks to load; a recording would begin
        # while nobody looks.
        cameras = {
            door.device.id: open_camera(door) for door in config.doors if is_live(door.camera)
        }
        perception = stack.enter_context(closing(_open_perception(config, stop)))
        perception.warm_up()
        raise_if_stopping(stop)
        outputs = Outputs(config, gallery, inbox.put, stack, sinks=list(sinks), followers=followers)
        outputs.open(latencies, on_choice=on_choice, chips=chips)
        if config.control.enabled:
            outputs.answer(partial(inbox.put, Call(reloader.reload)))
        # Last: an event in the log survives a kill, since the outbox has taken it before.
        outputs.add(EventLog(names_door=len(config.doors) > 1))
        for door in config.doors:
            if door.button.line is not None:
                press = partial(inbox.put, RingCommand(door_id=door.device.id))
                stack.enter_context(closing(Button(door.button, press, chips)))
        raise_if_stopping(stop)
        if shared is not None:
            shared.catch_up(stop)
        recorder = VisitRecorder(gallery, perception.model_id)
        _end_visits_elsewhere(gallery, config)
        doors = [
            Door(
                door,
                camera=cameras.get(door.device.id) or open_camera(door),
                pipeline=Pipeline(
                    perception if number == 0 else perception.another(),
                    gallery,
                    door,
                    Stopwatch(latencies[door.device.id], time.perf_counter),
                    recorder=recorder,
                    earlier_of=stored_doors(config, door.device.id),
                ),
                latency=latencies[door.device.id],
            )
            for number, door in enumerate(config.doors)
        ]
        loop = MainLoop(
            doors,
            gallery=gallery,
            sinks=outputs.sinks,
            notifier=notifier,
            inbox=inbox,
            config=config,
            shared=shared,
        )
        followers.append(loop.reconfigure)
        if logging.getLogger().level == logging.getLevelName(config.log.level.upper()):
            followers.append(_set_log_level)  # else the command line has set another
        loop.run(stop)


def _open_processes(config: Config, stack: ExitStack) -> CameraProcesses | None:
    """What reads each live camera in a process of its own, where it would cost other doors.

    Frames that stay on the GPU are this process's.
    """
    lives = any(is_live(door.camera) for door in config.doors)
    if len(config.doors) == 1 or not lives or _keeps_frames_on_gpu(config):
        return None
    return stack.enter_context(closing(CameraProcesses(fork_starter())))


def _end_visits_elsewhere(gallery: Gallery, config: Config) -> None:
    """End what a killed daemon left open at doors that are watched no more."""
    watched = {door.device.id for door in config.doors}
    gone = set(gallery.visits.doors()) - watched - {""} if config.door else set()
    if gone:
        gallery.visits.close_open(doors=gone)


def _open_perception(config: Config, stop: Stop) -> Perception:
    """Load the networks, as long as nobody stops the daemon, and say what computes them."""

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        # Compiling takes seconds on a slow machine, building engines minutes.
        raise_if_stopping(stop)
        return open_runner(files, section)

    log.info("%s", says_how_computed(config.inference))
    frames_on_gpu = _keeps_frames_on_gpu(config)
    return open_perception(config, open_network=open_network, frames_on_gpu=frames_on_gpu)


def _keeps_frames_on_gpu(config: Config) -> bool:
    """Whether frames that are on the GPU already are looked at there."""
    reach_gpu = all(frames_reach_gpu(door.camera) for door in config.doors)
    return reach_gpu and keeps_frames_on_gpu(config.inference)


def _set_log_level(config: Config) -> None:
    logging.getLogger().setLevel(config.log.level.upper())
