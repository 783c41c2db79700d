"""Events and states to an MQTT broker, and commands from it.

A broker that is down stops nobody: ``retained`` keeps states as they last were, and events wait
in the ``outbox`` until the broker has acknowledged them. Calls go one way: this stands on the
sender of events (``outbox_sender``), the sender on the retained messages, and those on the
``connection``, which owns the lock. On every connection what is retained goes out first, then what
waits, then newer events.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import AnyCommand, CommandResult, Event, ReplyCommand
from doorbell.outputs.mqtt.commands import CommandGate
from doorbell.outputs.mqtt.connection import BrokerConnection, Received
from doorbell.outputs.mqtt.discovery import birth_topic
from doorbell.outputs.mqtt.gallery_view import NO_GALLERY, GalleryView
from doorbell.outputs.mqtt.image import RetainedImage
from doorbell.outputs.mqtt.image_record import ImageRecord
from doorbell.outputs.mqtt.look import most_packet_bytes, read_retained, stays_connected
from doorbell.outputs.mqtt.messages import (
    OFF,
    OFFLINE,
    ON,
    ONLINE,
    EventSubject,
    camera_document,
    encode,
    reply_document,
    settings_document,
    sound_document,
    statistics_document,
    storage_document,
)
from doorbell.outputs.mqtt.outbox import Outbox
from doorbell.outputs.mqtt.outbox_sender import OutboxSender
from doorbell.outputs.mqtt.pauses import LASTING_SECONDS
from doorbell.outputs.mqtt.reply_choice import ReplyChoice
from doorbell.outputs.mqtt.retained import RetainedMessages
from doorbell.outputs.mqtt.session import Mark, Session, is_taken, note_mark
from doorbell.outputs.mqtt.topics import ANSWERED_VERBS, Topics
from doorbell.status import (
    CameraState,
    ClockState,
    ClockStep,
    DoorSpeakerState,
    KnownVisitors,
    Message,
    MicrophoneState,
    MuteState,
    RepliesState,
    SettingsState,
    SoundState,
    Statistics,
    StorageState,
    VisitCorrected,
    VisitsForgotten,
)
from doorbell.storage.encryption import NO_CIPHER, Cipher

# Between two looks whether another doorbell with our id is still there.
REST_SECONDS = 600.0
# The broker is asked how much it takes with a new connection, but no more often.
ASKING_SECONDS = 60.0

log = logging.getLogger(__name__)


class Mqtt:
    """The output that speaks to a broker.

    Args:
        device: ``[device]``.
        section: ``[mqtt]``.
        outbox_path: of the file where events wait, made if missing.
        cipher: how they are kept there.
        known: who is known now; an earlier run's triggers of anybody else are deleted.
        gallery: whose events and faces are now. Asked here and in ``handle``, never under a lock.
        on_command: takes each well-formed command, on paho's thread; hands off and never waits.
        on_published: takes the seconds from handing a message to the client to its acknowledgement
            by the broker (QoS 1) or its being written (QoS 0), on any thread; never waits.

    Raises:
        ConfigError: the password file, a TLS file or the host cannot be used.
        EncryptionError: what waits was encrypted with another key, or is and there is none; it
            stays.
    """

    def __init__(
        self,
        device: DeviceSection,
        section: MqttSection,
        *,
        outbox_path: Path,
        cipher: Cipher = NO_CIPHER,
        known: KnownVisitors,
        gallery: GalleryView = NO_GALLERY,
        on_command: Callable[[AnyCommand], None],
        on_published: Callable[[float], None] | None = None,
    ) -> None:
        self._gallery = gallery
        self._on_command = on_command
        self._topics = Topics(device.id)
        self._birth_topic = birth_topic(section.discovery_prefix)
        self._replies = ReplyChoice()
        self._gate = CommandGate(device.id, section, time.monotonic())
        self._problems: dict[str, str | None] = {}  # by what is stored
        client_id = f"doorbell-{device.id}"
        self._session = Session(client_id, Mark.new())
        note_mark(outbox_path, self._session.mark)
        self._asked_at = -math.inf  # how much the broker takes
        self._other_id = f"doorbell-look-{self._session.mark.token}"
        self._section = section
        self._connection = BrokerConnection(
            section,
            client_id,
            self._topics.availability,
            on_published=on_published,
        )
        self._retained = RetainedMessages(
            device,
            section,
            self._topics,
            self._connection,
            known=known,
        )
        outbox = Outbox(outbox_path, section, cipher)
        record = ImageRecord.beside(outbox_path, cipher)
        self._image = RetainedImage(section, self._connection, self._retained, record)
        self._sender = OutboxSender(
            section, self._topics, outbox, self._connection, self._retained, image=self._image
        )
        self._drop_forgotten(self._sender.subjects(), anybody_gone=True)  # for all we know
        # Whoever cannot be told in a picture was looked after by who forgot somebody meanwhile.
        self._follow_gallery(anybody_gone=False)
        self._connection.open(
            on_connected=self._announce,
            on_received=self._receive,
            on_acknowledged=self._acknowledge,
            on_endings=self._suspect_twin,
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us and has not been lost since."""
        return self._connection.connected

    @property
    def problem(self) -> str | None:
        """What the broker does not take, or who else speaks for us; None where all is well."""
        problems = (self._connection.problem, self._session.problem(time.monotonic()))
        return "; ".join(each for each in problems if each) or None

    def handle(self, message: Message) -> None:
        """Publish an event and the states that it changes, or a state."""
        if self._connection.closed:
            return
        if self._retained.take_learned():  # of an earlier run, whose visitors may be forgotten
            self._drop_forgotten({}, anybody_gone=False)
        match message:
            case CameraState():
                self._publish_camera(message)
            case SoundState() | DoorSpeakerState() | MicrophoneState() | RepliesState():
                self._publish_sound(message)
            case StorageState():
                self._publish_storage(message)
            case MuteState() | SettingsState():
                self._publish_setting(message)
            case Statistics():
                self._publish_statistics(message)
            case KnownVisitors():
                anybody_gone = self._retained.set_known_visitors(message)
                self._drop_forgotten(self._sender.subjects(), anybody_gone=anybody_gone)
                self._follow_gallery(anybody_gone=anybody_gone)
            case VisitsForgotten():
                self._image.forget(message)
                self._retained.forget_visits(message.visit_ids)
                self._sender.forget_visits(message)
            case VisitCorrected():
                self._retained.correct(message.visit)
            case ClockState() | ClockStep():
                self._retained.look_after_picture()
            case _ if isinstance(message, Event):
                self._sender.add(message)

    def close(self) -> None:
        """Say offline and disconnect, within two seconds; idempotent.

        What the broker has not acknowledged stays in the outbox, for the next run.
        """
        self._image.close()
        self._connection.leave()
        self._sender.close()
        self._connection.close()

    def _publish_camera(self, camera: CameraState) -> None:
        """Publish how the camera is, and whether what it tells is available."""
        available = ONLINE if camera.gives_frames else OFFLINE
        with self._connection.lock:
            self._retained.set(self._topics.camera_availability, available)
            self._retained.set(self._topics.camera, encode(camera_document(camera)))

    def _publish_setting(self, setting: MuteState | SettingsState) -> None:
        match setting:
            case MuteState(muted=muted):
                self._retained.set(self._topics.mute_state, ON if muted else OFF)
            case SettingsState():
                self._retained.set(self._topics.settings, encode(settings_document(setting)))
                self._retained.set_private(setting.privacy)

    def _publish_sound(
        self, state: SoundState | DoorSpeakerState | MicrophoneState | RepliesState
    ) -> None:
        match state:
            case SoundState():
                self._retained.set(self._topics.sound, encode(sound_document(state)))
            case DoorSpeakerState():
                self._retained.set(self._topics.door_speaker, encode(sound_document(state)))
            case MicrophoneState(is_open=is_open):
                self._retained.set(self._topics.microphone, ON if is_open else OFF)
            case RepliesState(replies=replies):
                self._replies.know(replies)
                self._publish_replies()

    def _publish_replies(self) -> None:
        """Publish what can be said at the door, and which of it is chosen."""
        with self._connection.lock:
            self._retained.set_replies(self._replies.labels)
            self._retained.set(self._topics.replies, encode(self._replies.document()))

    def _publish_storage(self, storage: StorageState) -> None:
        """Publish what cannot be kept, of all that is stored."""
        self._problems[storage.part] = storage.problem
        problem = "; ".join(each for _, each in sorted(self._problems.items()) if each) or None
        self._retained.set(self._topics.storage, encode(storage_document(problem)))

    def _publish_statistics(self, statistics: Statistics) -> None:
        self._gate.say_refused(time.monotonic())
        document = {
            **statistics_document(statistics),
            **self._sender.figures,
            "broker_problem": self.problem,
        }
        self._retained.set(self._topics.status, encode(document))

    def _drop_forgotten(self, waiting: Mapping[int, EventSubject], *, anybody_gone: bool) -> None:
        """Show no longer who was forgotten, and drop what waits about them.

        Args:
            waiting: whom each queued event is about, by number.
            anybody_gone: whether the disk may still hold what was sent of somebody who is gone;
                overwriting that waits for the disk.
        """
        told_of = {*self._retained.subjects, *waiting.values()}
        gone = {each for each in told_of if not self._retained.knows(each)}
        forgotten = {each for each in gone if not self._gallery.is_kept(each)}
        visit_ids = {each.visit_id for each in forgotten} - {None}
        self._retained.hide(forgotten)
        numbers = [
            number
            for number, subject in waiting.items()
            if subject in forgotten or subject.visit_id in visit_ids
        ]
        if numbers or anybody_gone:
            self._sender.forget(numbers)

    def _follow_gallery(self, *, anybody_gone: bool) -> None:
        """Show in pictures who everybody is now, and nobody who was forgotten."""
        self._image.follow(self._gallery.faces_now, anybody_gone=anybody_gone)
        self._sender.follow(self._gallery.faces_now, anybody_gone=anybody_gone)

    def _acknowledge(self, message_id: int) -> None:
        self._retained.acknowledge(message_id)
        self._sender.acknowledge(message_id)

    def _announce(self) -> None:
        """There is a new connection: say that we are here, show everything, send what waits."""
        self._connection.subscribe([*self._topics.commands, self._birth_topic])
        # What we left there before names people who may have gone since.
        left_there = self._retained.asked_topics
        self._connection.subscribe([*left_there, self._topics.session])
        self._retained.ask()
        self._retained.announce()
        # Behind the subscription: what lay there comes first, then this.
        mark = self._session.mark.encode()
        self._connection.publish(self._topics.session, mark, qos=1, retain=True)
        self._connection.unsubscribe(left_there)
        self._sender.begin()
        now = time.monotonic()
        if now - self._asked_at > ASKING_SECONDS:
            self._asked_at = now
            threading.Thread(target=self._ask_for_limit, name="mqtt-look", daemon=True).start()

    def _ask_for_limit(self) -> None:
        """Learn how much the broker takes, where it says so, before a picture is too large."""
        most = most_packet_bytes(self._section, self._other_id)
        if most is not None:
            self._connection.limit(most)

    def _receive(self, message: Received) -> None:
        if message.topic in self._retained.asked_topics:
            if message.retained:
                self._retained.learn(message.topic, message.payload)
        elif message.topic == self._topics.session:
            self._learn_session(message)
        elif message.retained or message.repeated:
            # A retained ring would ring at every connection; a retained birth came before ours.
            # What is delivered again was carried out already, or is old.
            log.debug("ignored a retained or repeated message on %s", message.topic)
        elif message.topic == self._birth_topic:
            self._take_status(message.payload)
        elif message.topic in self._topics.commands:
            self._take_command(self._topics.commands[message.topic], message.payload)

    def _learn_session(self, message: Received) -> None:
        """Give way to another doorbell with this id that was here before."""
        now = time.monotonic()
        with self._connection.lock:
            gives_way = self._session.learn(message.payload, retained=message.retained, now=now)
        if gives_way:
            log.warning(
                "MQTT is given up until it has gone, looked for every %d minutes; the doorbell "
                "goes on without, and events wait",
                REST_SECONDS // 60,
            )
            self._connection.rest(REST_SECONDS, self._is_free)

    def _is_free(self) -> bool:
        """Whether nobody else is connected as this doorbell; takes seconds."""
        topics = [self._topics.availability, self._topics.session]
        lies = read_retained(self._section, self._other_id, topics)
        return lies is not None and not is_taken(lies, self._topics, self._session.mark)

    def _suspect_twin(self) -> None:
        """Connections end one after the other: find out whether it is for our id."""

        def look() -> None:
            if stays_connected(self._section, self._other_id, LASTING_SECONDS):
                self._session.say(time.monotonic())

        threading.Thread(target=look, name="mqtt-look", daemon=True).start()

    def _take_status(self, payload: bytes) -> None:
        """Home automation has come, or gone."""
        if payload == ONLINE:
            with self._connection.lock:
                self._retained.announce()
                self._sender.home_automation_came()
        elif payload == OFFLINE:
            self._sender.home_automation_went()

    def _take_command(self, verb: str, payload: bytes) -> None:
        match self._gate.take(verb, payload, time.monotonic()):
            case None:
                pass
            case CommandResult() as refusal:
                self._reply(refusal)
            case ReplyCommand() as command if verb == "choose_reply":
                self._choose_reply(command)
            case ReplyCommand() as command:
                self._on_command(replace(self._replies.taken(command), reply=self._reply))
            case command:
                self._on_command(replace(command, reply=self._reply))

    def _choose_reply(self, command: ReplyCommand) -> None:
        if self._replies.choose(command):
            self._publish_replies()
        else:
            summary = f"there is no reply {command.reply_id!r}"
            self._reply(CommandResult("choose_reply", False, summary, command.door_id, None))

    def _reply(self, result: CommandResult) -> None:
        """Answer; an answer that nobody can hear now is lost, as whoever asked has gone too."""
        if result.command in ANSWERED_VERBS or not result.done:
            self._connection.publish(self._topics.reply, encode(reply_document(result)), qos=1)
