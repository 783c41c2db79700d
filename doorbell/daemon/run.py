"""The composition root: builds everything from the configuration, and runs it until told to stop.

Threads: capture fills a one-slot mailbox, this (the main) thread takes every newest frame through
the pipeline, every slow output has a worker of its own. Everything is started through one
``ExitStack``, so shutdown is the same list backwards.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from functools import partial

from doorbell.camera import frames_reach_gpu
from doorbell.camera.latest import LatestFrame, open_latest
from doorbell.camera.uri import is_live
from doorbell.config import Config, GallerySection, InferenceSection, StorageSection, known_as
from doorbell.control.requests.talk import TALK_RATE
from doorbell.daemon.control.handlers import VoiceRequests
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.daemon.control.service import AskedOutputs, control_service
from doorbell.daemon.control.talk import TalkRequests
from doorbell.daemon.loop import MainLoop
from doorbell.daemon.reloading import Reload, Reloader
from doorbell.daemon.signals import (
    StoppedEarlyError,
    following_signals,
    raise_if_stopping,
    stopping_on_thread_faults,
)
from doorbell.daemon.systemd import ServiceNotifier
from doorbell.domain import (
    AnyCommand,
    Command,
    ReplyCommand,
    Ring,
    RingCommand,
)
from doorbell.gallery.gallery import Gallery
from doorbell.gallery.lock import only_daemon
from doorbell.gallery.vector_place import delete_left_behind
from doorbell.gpio.button import Button
from doorbell.gpio.lines import Chips
from doorbell.household.replies import Replies
from doorbell.household.sound_worker import SoundWorker
from doorbell.household.visit_files import is_kept
from doorbell.household.visit_pictures import faces_now
from doorbell.inference import NetworkFiles, Runner, keeps_frames_on_gpu, open_runner
from doorbell.models.store import models_directory
from doorbell.outputs import Publish, Sink, publish_nowhere
from doorbell.outputs.event_log import EventLog
from doorbell.outputs.mqtt.gallery_view import GalleryView
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.outputs.notices.output import Notices, drop_waiting
from doorbell.outputs.pictures import Pictures, make_room
from doorbell.outputs.relay import Relay
from doorbell.outputs.sound.announcements import Announcements
from doorbell.outputs.sound.chime import Chime, Choice
from doorbell.outputs.sound.door_voice import DoorVoice
from doorbell.outputs.sound.loudspeakers import open_loudspeakers
from doorbell.outputs.sound.microphone import Microphone
from doorbell.outputs.sound.reply_library import ReplyLibrary
from doorbell.outputs.sound.speech import require_speech, speak
from doorbell.outputs.sound.synthesis import Sound, chime_wav
from doorbell.pipeline.latency import Latency, Stage, Stopwatch
from doorbell.pipeline.perception import Perception, open_perception, says_how_computed
from doorbell.pipeline.pipeline import Pipeline
from doorbell.status import KnownVisitors, State
from doorbell.stopping import Stop
from doorbell.storage.encryption import open_cipher
from doorbell.storage.sqlite import ROOM_BYTES

log = logging.getLogger(__name__)

# How long one write of the gallery may keep the bell waiting.
GALLERY_BUSY_SECONDS = 0.5


def open_gallery(storage: StorageSection, section: GallerySection | None = None) -> Gallery:
    """Open the gallery, on a full disk in place of the oldest pictures: the bell is worth more.

    Raises:
        GalleryError, EncryptionError: it cannot be opened.
    """
    make_room(storage.pictures_directory, ROOM_BYTES)
    delete_left_behind(storage.directory)
    most = None if section is None else section.vectors_in_memory
    return Gallery.of(storage, look_through=True, vectors_in_memory=most)


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
    door_id = config.device.id
    inbox: queue.SimpleQueue[Command | State | Reload] = queue.SimpleQueue()
    followers: list[Callable[[Config], None]] = []  # of a configuration that is read anew
    reloader = Reloader(config, load or (lambda: config), followers)
    latency = Latency()

    with suppress(StoppedEarlyError), ExitStack() as stack:
        stack.enter_context(following_signals(stop, lambda: inbox.put(Reload(reloader.reload))))
        stack.enter_context(stopping_on_thread_faults(stop))
        notifier = stack.enter_context(closing(ServiceNotifier()))
        stack.enter_context(only_daemon(config.storage.directory))
        gallery = stack.enter_context(open_gallery(config.storage, config.gallery))
        gallery.wait_at_most(GALLERY_BUSY_SECONDS)
        faces = models_directory(config.inference) / "faces"

        def open_camera() -> LatestFrame:
            return stack.enter_context(
                closing(open_latest(config.camera, faces, may_be_missing=True))
            )

        # A live camera takes as long to give a frame as networks to load; a recording would begin
        # while nobody looks.
        live_camera = open_camera() if is_live(config.camera) else None
        perception = stack.enter_context(closing(_open_perception(config, stop)))
        perception.warm_up()
        raise_if_stopping(stop)
        built = list(sinks)

        def add(sink: Sink) -> None:
            built.append(stack.enter_context(closing(sink)))

        library = ReplyLibrary(
            config.storage.replies_directory,
            config.device.language,
            speak=speak,
            require_speech=require_speech,
            publish=inbox.put if config.talk.enabled else publish_nowhere,
        )
        chime, voice = _open_sounds(
            config,
            inbox.put,
            library,
            on_choice=on_choice,
            chips=chips,
            add=add,
            followers=followers,
        )
        # Before anybody elsewhere can have heard of what it keeps.
        notices = _notices(config, inbox.put, add, followers)
        take = partial(_take, voice, inbox.put)
        broker = _home_automation(config, gallery, take, partial(latency.add, Stage.PUBLISH))
        if broker is not None:
            add(broker)
        add(Pictures(config.storage, publish=inbox.put))
        # Also where nobody may listen any more: a broker keeps what an earlier run told.
        microphone = Microphone(
            config.talk.microphone_device,
            door_id=door_id,
            publish=inbox.put,
            is_sounding=lambda: voice.is_sounding,
        )
        stack.enter_context(closing(microphone))
        if config.control.enabled:
            asked = ControlOutput(config.recognition.min_face_pixels)
            add(asked)
            replies = stack.enter_context(closing(Replies(library, SoundWorker())))
            stack.enter_context(
                control_service(
                    config,
                    asked,
                    put=take,
                    outputs=AskedOutputs(chime, broker, notices),
                    chime_wav=chime_wav,
                    voice=VoiceRequests(
                        TalkRequests(config, partial(_talk, voice), microphone, inbox.put),
                        RepliesRequests(replies),
                    ),
                    reload=partial(inbox.put, Reload(reloader.reload)),
                )
            )
        # Last: an event in the log survives a kill, since the outbox has taken it before.
        add(EventLog())
        if config.button.line is not None:
            stack.enter_context(
                closing(
                    Button(config.button, lambda: inbox.put(RingCommand(door_id=door_id)), chips)
                )
            )
        raise_if_stopping(stop)
        loop = MainLoop(
            camera=live_camera or open_camera(),
            pipeline=Pipeline(perception, gallery, config, Stopwatch(latency, time.perf_counter)),
            gallery=gallery,
            sinks=built,
            notifier=notifier,
            inbox=inbox,
            latency=latency,
            config=config,
        )
        followers.append(loop.reconfigure)
        if logging.getLogger().level == logging.getLevelName(config.log.level.upper()):
            followers.append(_set_log_level)  # else the command line has set another
        loop.run(stop)


def _open_perception(config: Config, stop: Stop) -> Perception:
    """Load the networks, as long as nobody stops the daemon, and say what computes them."""

    def open_network(files: NetworkFiles, section: InferenceSection) -> Runner:
        # Compiling takes seconds on a slow machine, building engines minutes.
        raise_if_stopping(stop)
        return open_runner(files, section)

    log.info("%s", says_how_computed(config.inference))
    # Frames that are on the GPU already are looked at there.
    frames_on_gpu = frames_reach_gpu(config.camera) and keeps_frames_on_gpu(config.inference)
    return open_perception(config, open_network=open_network, frames_on_gpu=frames_on_gpu)


def _open_sounds(
    config: Config,
    publish: Publish,
    library: ReplyLibrary,
    *,
    on_choice: Callable[[Ring, Choice], None] | None,
    chips: Chips | None,
    add: Callable[[Sink], None],
    followers: list[Callable[[Config], None]],
) -> tuple[Chime, DoorVoice]:
    """The outputs that sound: the chimes, what is said at the door, and the relay of a bell."""
    speakers = open_loudspeakers(config, publish)
    announcements = Announcements(config, speakers.inside)

    def chosen(ring: Ring, choice: Choice) -> None:
        announcements.follow(ring, choice)
        if on_choice is not None:
            on_choice(ring, choice)

    chime = Chime(config.chime, speakers.inside, on_choice=chosen)
    add(announcements)
    add(chime)
    followers.append(lambda new: chime.reconfigure(new.chime))  # first: it may refuse
    followers.append(announcements.reconfigure)
    voice = DoorVoice(config, speakers.door, library, publish=publish)
    add(voice)
    followers.append(voice.reconfigure)
    if config.relay.line is not None:
        relay = Relay(config.relay, config.chime, chips)
        add(relay)
        followers.append(lambda new: relay.reconfigure(new.relay, new.chime))
    return chime, voice


def _talk(voice: DoorVoice, pcm: bytes) -> str:
    """Have somebody's words said at the door, on any thread."""
    return voice.talk(Sound.of_pcm(pcm, TALK_RATE))


def _notices(
    config: Config,
    publish: Publish,
    add: Callable[[Sink], None],
    followers: list[Callable[[Config], None]],
) -> Notices | None:
    """The output for the notifier, where anybody is told."""
    path, cipher = config.storage.notices_path, open_cipher(config.storage.key_file)
    if not config.notifications.enabled:
        drop_waiting(path, cipher)
        return None
    notices = Notices(
        path,
        cipher,
        targets=config.notifications.targets,
        language=config.device.language,
        door=config.device.name,
        publish=publish,
    )
    add(notices)
    followers.append(lambda new: notices.reconfigure(new.notifications.targets))
    return notices


def _take(voice: DoorVoice, put: Callable[[Command], None], command: AnyCommand) -> None:
    """Have a command carried out, on any thread: a reply does not wait for the main thread."""
    if isinstance(command, ReplyCommand):
        voice.carry_out(command)
    else:
        put(command)


def _home_automation(
    config: Config,
    gallery: Gallery,
    on_command: Callable[[AnyCommand], None],
    on_published: Callable[[float], None],
) -> Mqtt | None:
    """The output to the broker, with what it is told of the gallery at the start."""
    if not config.mqtt.enabled:
        return None
    return Mqtt(
        known_as(config),
        config.mqtt,
        outbox_path=config.storage.outbox_path,
        cipher=open_cipher(config.storage.key_file),
        known=KnownVisitors(
            tuple(gallery.people.all()),
            {each.stranger_id for each in gallery.strangers.all()},
            open_visits=tuple(gallery.visits.open_visits()),
            last_visits=tuple(gallery.visits.last_of_people()),
        ),
        gallery=GalleryView(partial(is_kept, gallery), partial(faces_now, gallery, config.storage)),
        on_command=on_command,
        on_published=on_published,
    )


def _set_log_level(config: Config) -> None:
    logging.getLogger().setLevel(config.log.level.upper())
