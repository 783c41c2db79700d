"""The composition root of the outputs: those of each door, those of the house, and who may ask.

A door has loudspeakers, a relay and a device of home automation of its own; pictures, notices, the
control socket and the log are the house's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial

from doorbell.config import Config, known_as
from doorbell.control.requests.talk import TALK_RATE
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.replies import RepliesRequests
from doorbell.daemon.control.service import DoorOutputs, control_service
from doorbell.daemon.control.talk import TalkRequests
from doorbell.domain import AnyCommand, Command, ReplyCommand, Ring
from doorbell.errors import ConfigError, UnknownDoorError
from doorbell.gallery.gallery import Gallery
from doorbell.gpio.lines import Chips
from doorbell.household.doors import doors_by_visit, stored_doors
from doorbell.household.replies import Replies
from doorbell.household.sound_worker import SoundWorker
from doorbell.household.visit_files import is_kept
from doorbell.household.visit_pictures import faces_now
from doorbell.outputs import Publish, Sink, publish_nowhere
from doorbell.outputs.mqtt.gallery_view import GalleryView
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.outputs.notices.output import Notices, drop_waiting
from doorbell.outputs.of_door import OfDoor
from doorbell.outputs.pictures import Pictures
from doorbell.outputs.relay import Relay
from doorbell.outputs.sound.announcements import Announcements
from doorbell.outputs.sound.chime import Chime, Choice
from doorbell.outputs.sound.door_voice import DoorVoice
from doorbell.outputs.sound.loudspeakers import Loudspeakers, open_loudspeakers
from doorbell.outputs.sound.microphone import Microphone
from doorbell.outputs.sound.reply_library import ReplyLibrary
from doorbell.outputs.sound.speech import require_speech, speak
from doorbell.outputs.sound.synthesis import Sound, chime_wav
from doorbell.pipeline.latency import Latency, Stage
from doorbell.status import KnownVisitors, State
from doorbell.storage.encryption import open_cipher


@dataclass(slots=True)
class DoorSounds:
    """The outputs of one door that sound, and its relay.

    Attributes:
        config: of the door, in force.
        chime: plays chimes inside.
        voice: speaks at the door.
        announcements: says inside who is at the door.
        relay: switched at each ring; None without.
    """

    config: Config
    chime: Chime
    voice: DoorVoice
    announcements: Announcements
    relay: Relay | None = field(default=None)

    @property
    def sinks(self) -> list[Sink]:
        """Each of them, in the order in which they hear of things."""
        relay = [] if self.relay is None else [self.relay]
        return [self.announcements, self.chime, self.voice, *relay]

    def reconfigure(self, config: Config) -> None:
        """Go by another configuration from now on.

        Raises:
            ConfigError: a chime cannot be played; nothing changes.
        """
        self.chime.reconfigure(config.chime)
        self.announcements.reconfigure(config)
        self.voice.reconfigure(config)
        if self.relay is not None:
            self.relay.reconfigure(config.relay, config.chime)
        self.config = config


def reconfigure_sounds(doors: list[DoorSounds], config: Config) -> None:
    """Have all doors go by another configuration, or none.

    Raises:
        ConfigError: a chime of one of them cannot be played; nothing changes.
    """
    done: list[tuple[DoorSounds, Config]] = []
    try:
        for door, of_door in zip(doors, config.doors, strict=True):
            before = door.config
            door.reconfigure(of_door)
            done.append((door, before))
    except ConfigError:
        for door, before in done:
            door.reconfigure(before)
        raise


def open_sounds(
    config: Config,
    speakers: Loudspeakers,
    library: ReplyLibrary,
    publish: Publish,
    *,
    is_one_of_several: bool,
    on_choice: Callable[[Ring, Choice], None] | None,
    chips: Chips | None,
) -> DoorSounds:
    """Open what sounds at one door.

    Args:
        config: of the door.
        speakers: of the door.
        library: the quick replies of the house.
        publish: takes states, on any thread.
        is_one_of_several: whether the door is named where somebody is announced.
        on_choice: told which chime sounds for a ring, or why none does.
        chips: the GPIO chips; None for this machine's.

    Raises:
        ConfigError, GpioError: the configuration cannot be met.
    """
    announcements = Announcements(config, speakers.inside, names_door=is_one_of_several)

    def chosen(ring: Ring, choice: Choice) -> None:
        announcements.follow(ring, choice)
        if on_choice is not None:
            on_choice(ring, choice)

    sounds = DoorSounds(
        config,
        Chime(config.chime, speakers.inside, on_choice=chosen),
        DoorVoice(config, speakers.door, library, publish=publish),
        announcements,
    )
    if config.relay.line is not None:
        try:
            sounds.relay = Relay(config.relay, config.chime, chips)
        except BaseException:
            for sink in sounds.sinks:
                sink.close()
            raise
    return sounds


def open_talk(
    config: Config, voice: DoorVoice, publish: Publish
) -> tuple[TalkRequests, Microphone]:
    """What answers of talking and listening at one door, and the microphone to be closed."""
    microphone = Microphone(
        config.talk.microphone_device,
        door_id=config.device.id,
        publish=publish,
        is_sounding=lambda: voice.is_sounding,
    )
    return TalkRequests(config, partial(_talk, voice), microphone, publish), microphone


def _talk(voice: DoorVoice, pcm: bytes) -> str:
    """Have somebody's words said at the door, on any thread."""
    return voice.talk(Sound.of_pcm(pcm, TALK_RATE))


def open_home_automation(
    config: Config,
    gallery: Gallery,
    stored_as: Collection[str] | None,
    *,
    on_command: Callable[[AnyCommand], None],
    on_published: Callable[[float], None],
) -> Mqtt | None:
    """The output to the broker, with what it is told of the gallery at the start.

    Args:
        config: of the door, which is a device of its own there.
        gallery: who is known.
        stored_as: what visits at the door are stored with; None for every visit.
        on_command: takes what is commanded there, on any thread.
        on_published: takes what publishing took, in seconds, on any thread.
    """
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
            open_visits=tuple(gallery.visits.open_visits(stored_as)),
            last_visits=tuple(gallery.visits.last_of_people(stored_as)),
        ),
        gallery=GalleryView(partial(is_kept, gallery), partial(faces_now, gallery, config.storage)),
        on_command=on_command,
        on_published=on_published,
    )


class Outputs:
    """The outputs of all doors, closed with the stack.

    Args:
        config: of the house.
        gallery: who is known.
        put: hands commands, states and what else the main thread does to it, on any thread.
        stack: what is to be closed.
        sinks: what hears of every event and state before all others.
        followers: of a configuration that is read anew.

    Attributes:
        sinks: what hears of every event and state, in this order.
    """

    def __init__(
        self,
        config: Config,
        gallery: Gallery,
        put: Callable[[Command | State], None],
        stack: ExitStack,
        *,
        sinks: list[Sink],
        followers: list[Callable[[Config], None]],
    ) -> None:
        self.sinks = sinks
        self._config = config
        self._gallery = gallery
        self._put = put
        self._stack = stack
        self._followers = followers
        can_talk = any(door.talk.enabled for door in config.doors)
        self._library = ReplyLibrary(
            config.storage.replies_directory,
            config.device.language,
            speak=speak,
            require_speech=require_speech,
            publish=put if can_talk else publish_nowhere,
        )
        self._sounds: dict[str, DoorSounds] = {}
        self._notices: Notices | None = None
        self._asked: list[DoorOutputs] = []

    def add(self, sink: Sink, door_id: str | None = None) -> None:
        """Let an output hear of everything, or of one door and of the house."""
        self._stack.enter_context(closing(sink))
        self.sinks.append(sink if door_id is None else OfDoor(door_id, sink))

    def open(
        self,
        latencies: Mapping[str, Latency],
        *,
        on_choice: Callable[[Ring, Choice], None] | None,
        chips: Chips | None,
    ) -> None:
        """Open those that tell of what happens.

        Args:
            latencies: take in how long publishing took, by door.
            on_choice: told which chime sounds for a ring, or why none does.
            chips: the GPIO chips; None for this machine's.

        Raises:
            DoorbellError: one cannot do what is configured.
        """
        doors = self._config.doors
        speakers = open_loudspeakers(doors, self._put)
        for each in speakers.values():
            self._stack.callback(each.inside.close)
            self._stack.callback(each.door.close)
        for door in doors:
            door_id = door.device.id
            sounds = open_sounds(
                door,
                speakers[door_id],
                self._library,
                self._put,
                is_one_of_several=len(doors) > 1,
                on_choice=on_choice,
                chips=chips,
            )
            self._sounds[door_id] = sounds
            for sink in sounds.sinks:
                self.add(sink, door_id)
        # First of the followers: it may refuse.
        self._followers.append(partial(reconfigure_sounds, list(self._sounds.values())))
        # Before anybody elsewhere can have heard of what it keeps.
        self._open_notices()
        for door in doors:
            door_id = door.device.id
            published = partial(latencies[door_id].add, Stage.PUBLISH)
            broker = open_home_automation(
                door,
                self._gallery,
                stored_doors(self._config, door_id),
                on_command=self._take,
                on_published=published,
            )
            if broker is not None:
                self.add(broker, door_id)
            # Also where nobody may listen any more: a broker keeps what an earlier run told.
            talk, microphone = open_talk(door, self._sounds[door_id].voice, self._put)
            self._stack.enter_context(closing(microphone))
            chimes = self._sounds[door_id].chime
            self._asked.append(DoorOutputs(door, chimes, broker, talk))
        self._open_pictures()

    def answer(self, reload: Callable[[], None]) -> None:
        """Answer whoever asks on the control socket.

        Args:
            reload: has the configuration read anew, soon.
        """
        output = ControlOutput(self._config.recognition.min_face_pixels, list(self._sounds))
        self.add(output)
        replies = self._stack.enter_context(closing(Replies(self._library, SoundWorker())))
        self._stack.enter_context(
            control_service(
                self._config,
                output,
                put=self._take,
                doors=self._asked,
                notices=self._notices,
                chime_wav=chime_wav,
                replies=RepliesRequests(replies),
                reload=reload,
            )
        )

    def _open_pictures(self) -> None:
        config, doors = self._config, self._config.doors
        days = {door.device.id: door.storage.pictures_days for door in doors}
        pictures = Pictures(
            config.storage,
            publish=self._put,
            days_by_door=days if config.door else None,
            doors_by_visit=doors_by_visit(config),
        )
        self.add(pictures)

    def _open_notices(self) -> None:
        """The output for the notifier, where anybody is told."""
        config = self._config
        path, cipher = config.storage.notices_path, open_cipher(config.storage.key_file)
        if not config.notifications.enabled:
            drop_waiting(path, cipher)
            return
        self._notices = notices = Notices(
            path,
            cipher,
            targets=config.notifications.targets,
            language=config.device.language,
            doors={door.device.id: door.device.name for door in config.doors},
            publish=self._put,
        )
        self.add(notices)
        self._followers.append(lambda new: notices.reconfigure(new.notifications.targets))

    def _take(self, command: AnyCommand) -> None:
        """Have a command carried out, on any thread: a reply does not wait for the main thread."""
        if not isinstance(command, ReplyCommand):
            self._put(command)
        elif command.door_id in self._sounds:
            self._sounds[command.door_id].voice.carry_out(command)
        else:
            command.answer(str(UnknownDoorError(command.door_id, self._sounds)), done=False)
