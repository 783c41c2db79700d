"""The doorbell's MQTT topics, from the device id alone: never from a name.

============  ==============================================  ========  ===
topic         payload                                         retained  QoS
============  ==============================================  ========  ===
availability  online, offline (the will)                      yes       1
event         JSON, see ``doorbell.outputs.mqtt.messages``    never     1
visitor       JSON: the last visitor                          yes       1
presence      ON while somebody is at the door, else OFF      yes       1
image         JPEG of the visit, where images are published   yes       1
status        JSON: statistics, once a minute                 yes       0
trigger       person-<id>, for automations                    no        0
at_door       JSON: who is at the door now                    yes       1
last_ring     JSON: when the bell last rang                   yes       1
person/<id>   JSON: whether at the door, when last seen       yes       1
mute/state    ON, OFF                                         yes       1
settings      JSON: what people have set                      yes       1
camera        JSON: how it stands with the camera, and why    yes       1
camera/...    availability: online, offline                   yes       1
sound         JSON: whether the last chime was played         yes       1
door_speaker  JSON: whether what was last said was heard      yes       1
microphone    ON while somebody listens at the door, else OFF yes       1
replies       JSON: what can be said, and what is chosen      yes       1
storage       JSON: whether visits and pictures can be kept   yes       1
session       JSON: which run of which doorbell is connected  yes       1
check         what ``doorbell check`` tries the broker with   never     1
reply         JSON: what has become of a command              never     1
ring          command: empty, or PRESS                        ignored
mute          command: ON, OFF, {"minutes": 90}               ignored
volume        command: 0 to 1                                 ignored
chime         command: a built-in chime, or configured        ignored
quiet_hours   command: ON, OFF; so are privacy, announcements ignored
say           command: a reply, or PRESS for the chosen one   ignored
choose_reply  command: a reply                                ignored
enroll        command: {"name": "Anna"}, "id" if you like     ignored
forget        command: {"name": "Anna"}, "id" if you like     ignored
name          command: {"stranger": 7, "name": "Anna"}        ignored
correct       command: {"visit": "last", "person": "Anna"}    ignored
ignore        command: {"visit": "last"}                      ignored
============  ==============================================  ========  ===
"""

from __future__ import annotations

ROOT = "doorbell"
# What of the commands is always answered on ``reply``; that it rings, or is muted, is heard and
# seen. A refusal is answered whatever it is of.
ANSWERED_VERBS = (
    *("enroll", "forget", "name", "correct", "ignore"),
    *("volume", "chime", "quiet_hours", "privacy", "announcements"),
    "say",
)
COMMAND_VERBS = ("ring", "mute", "choose_reply", *ANSWERED_VERBS)


class Topics:
    """Topics of one doorbell.

    Args:
        device_id: as configured, of letters, digits, ``_`` and ``-``.
    """

    def __init__(self, device_id: str) -> None:
        base = f"{ROOT}/{device_id}"
        self.availability = f"{base}/availability"
        self.event = f"{base}/event"
        self.visitor = f"{base}/visitor"
        self.presence = f"{base}/presence"
        self.image = f"{base}/image"
        self.status = f"{base}/status"
        self.trigger = f"{base}/trigger"
        self.at_door = f"{base}/at_door"
        self.last_ring = f"{base}/last_ring"
        self.settings = f"{base}/settings"
        self.ring = f"{base}/ring"
        self.mute = f"{base}/mute"
        self.mute_state = f"{base}/mute/state"
        self.camera = f"{base}/camera"
        self.camera_availability = f"{base}/camera/availability"
        self.sound = f"{base}/sound"
        self.door_speaker = f"{base}/door_speaker"
        self.microphone = f"{base}/microphone"
        self.replies = f"{base}/replies"
        self.storage = f"{base}/storage"
        self.session = f"{base}/session"
        self.check = f"{base}/check"
        self.reply = f"{base}/reply"
        self.enroll = f"{base}/enroll"
        self.forget = f"{base}/forget"
        self.name = f"{base}/name"
        self.correct = f"{base}/correct"
        self.ignore = f"{base}/ignore"
        self.volume = f"{base}/volume"
        self.chime = f"{base}/chime"
        self.quiet_hours = f"{base}/quiet_hours"
        self.privacy = f"{base}/privacy"
        self.announcements = f"{base}/announcements"
        self.say = f"{base}/say"
        self.choose_reply = f"{base}/choose_reply"
        self.commands = {f"{base}/{verb}": verb for verb in COMMAND_VERBS}

    def person(self, person_id: int) -> str:
        """Whether a person is at the door, and when they last were."""
        return f"{self.availability.rpartition('/')[0]}/person/{person_id}"
