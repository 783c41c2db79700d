"""Events and states to an MQTT broker, and commands from it.

A broker that is down stops nobody: ``retained`` keeps states as they last were, and events wait
in the ``outbox`` until the broker has acknowledged them. Calls go one way: this stands on the
sender of events (``outbox_sender``), the sender on the retained messages, and those on the
``connection``, which owns the lock. On every connection what is retained goes out first, then what
waits, then newer events.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Command, CommandResult
from doorbell.outputs.mqtt.commands import CommandGate
from doorbell.outputs.mqtt.connection import BrokerConnection, Received
from doorbell.outputs.mqtt.discovery import OFFLINE, ONLINE, birth_topic
from doorbell.outputs.mqtt.messages import (
    OFF,
    ON,
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
from doorbell.outputs.mqtt.retained import RetainedMessages
from doorbell.outputs.mqtt.topics import ANSWERED_VERBS, Topics
from doorbell.status import (
    CameraState,
    ClockState,
    ClockStep,
    KnownVisitors,
    Message,
    MuteState,
    SettingsState,
    SoundState,
    Statistics,
    StorageState,
    VisitCorrected,
    VisitsForgotten,
)
from doorbell.storage.encryption import NO_CIPHER, Cipher

log = logging.getLogger(__name__)


class Mqtt:
    """The output that speaks to a broker.

    Args:
        device: ``[device]``.
        section: ``[mqtt]``.
        outbox_path: of the file where events wait, made if missing.
        cipher: how they are kept there.
        known: who is known now; an earlier run's triggers of anybody else are deleted.
        is_kept: whether an event about somebody who is gone is another's now: then events about it
            wait on. Asked here and in ``handle``, never under a lock.
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
        is_kept: Callable[[EventSubject], bool] = lambda _subject: False,
        on_command: Callable[[Command], None],
        on_published: Callable[[float], None] | None = None,
    ) -> None:
        self._is_kept = is_kept
        self._on_command = on_command
        self._topics = Topics(device.id)
        self._birth_topic = birth_topic(section.discovery_prefix)
        self._gate = CommandGate(device.id, section, time.monotonic())
        self._problems: dict[str, str | None] = {}  # by what is stored
        self._connection = BrokerConnection(
            section,
            f"doorbell-{device.id}",
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
        self._sender = OutboxSender(section, self._topics, outbox, self._connection, self._retained)
        self._drop_forgotten(self._sender.subjects(), anybody_gone=True)  # for all we know
        self._connection.open(
            on_connected=self._announce,
            on_received=self._receive,
            on_acknowledged=self._sender.acknowledge,
        )

    @property
    def connected(self) -> bool:
        """Whether the broker has taken us and has not been lost since."""
        return self._connection.connected

    def handle(self, message: Message) -> None:
        """Publish an event and the states that it changes, or a state."""
        if self._connection.closed:
            return
        if self._retained.take_learned():  # of an earlier run, whose visitors may be forgotten
            self._drop_forgotten({}, anybody_gone=False)
        match message:
            case CameraState():
                self._publish_camera(message)
            case SoundState():
                self._retained.set(self._topics.sound, encode(sound_document(message)))
            case StorageState():
                self._publish_storage(message)
            case MuteState() | SettingsState():
                self._publish_setting(message)
            case Statistics():
                self._publish_statistics(message)
            case KnownVisitors():
                anybody_gone = self._retained.set_known_visitors(message)
                self._drop_forgotten(self._sender.subjects(), anybody_gone=anybody_gone)
            case VisitsForgotten():
                self._retained.forget_visits(message.visit_ids)
                self._sender.forget_visits(message.visit_ids)
            case VisitCorrected():
                self._retained.correct(message.visit)
            case ClockStep() | ClockState():
                pass
            case _:
                self._sender.add(message)

    def close(self) -> None:
        """Say offline and disconnect, within two seconds; idempotent.

        What the broker has not acknowledged stays in the outbox, for the next run.
        """
        self._connection.leave()
        self._sender.close()
        self._connection.close()

    def _publish_camera(self, camera: CameraState) -> None:
        """Publish how the camera is, and whether what it tells is available."""
        available = ONLINE if camera.gives_frames else OFFLINE
        with self._connection.lock:
            self._retained.set(self._topics.camera_availability, available.encode())
            self._retained.set(self._topics.camera, encode(camera_document(camera)))

    def _publish_setting(self, setting: MuteState | SettingsState) -> None:
        match setting:
            case MuteState(muted=muted):
                self._retained.set(self._topics.mute_state, ON if muted else OFF)
            case SettingsState():
                self._retained.set(self._topics.settings, encode(settings_document(setting)))
                self._retained.set_private(setting.privacy)

    def _publish_storage(self, storage: StorageState) -> None:
        """Publish what cannot be kept, of all that is stored."""
        self._problems[storage.part] = storage.problem
        problem = "; ".join(each for _, each in sorted(self._problems.items()) if each) or None
        self._retained.set(self._topics.storage, encode(storage_document(problem)))

    def _publish_statistics(self, statistics: Statistics) -> None:
        self._gate.say_refused(time.monotonic())
        document = {**statistics_document(statistics), **self._sender.figures}
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
        forgotten = {each for each in gone if not self._is_kept(each)}
        visit_ids = {each.visit_id for each in forgotten} - {None}
        self._retained.hide(forgotten)
        numbers = [
            number
            for number, subject in waiting.items()
            if subject in forgotten or subject.visit_id in visit_ids
        ]
        if numbers or anybody_gone:
            self._sender.forget(numbers)

    def _announce(self) -> None:
        """There is a new connection: say that we are here, show everything, send what waits."""
        self._connection.subscribe([*self._topics.commands, self._birth_topic])
        # What we left there before names people who may have gone since.
        left_there = self._retained.naming_topics
        self._connection.subscribe(left_there)
        self._retained.announce()
        self._connection.unsubscribe(left_there)
        self._sender.begin()

    def _receive(self, message: Received) -> None:
        if message.topic in self._retained.naming_topics:
            if message.retained:
                self._retained.learn(message.topic, message.payload)
        elif message.retained or message.repeated:
            # A retained ring would ring at every connection; a retained birth came before ours.
            # What is delivered again was carried out already, or is old.
            log.debug("ignored a retained or repeated message on %s", message.topic)
        elif message.topic == self._birth_topic:
            if message.payload == ONLINE.encode():
                self._retained.announce()
        elif message.topic in self._topics.commands:
            self._take_command(self._topics.commands[message.topic], message.payload)

    def _take_command(self, verb: str, payload: bytes) -> None:
        match self._gate.take(verb, payload, time.monotonic()):
            case None:
                pass
            case CommandResult() as refusal:
                self._reply(refusal)
            case command:
                self._on_command(replace(command, reply=self._reply))

    def _reply(self, result: CommandResult) -> None:
        """Answer; an answer that nobody can hear now is lost, as whoever asked has gone too."""
        if result.command in ANSWERED_VERBS:
            self._connection.publish(self._topics.reply, encode(reply_document(result)), qos=1)
