"""The doorbell's MQTT topics, from the device id alone: never from a name.

============  ==============================================  ========  ===
topic         payload                                         retained  QoS
============  ==============================================  ========  ===
availability  online, offline (the will)                      yes       1
event         JSON, see ``doorbell.outputs.mqtt.messages``         never     1
visitor       JSON: the last visitor                          yes       1
presence      ON while somebody is at the door, else OFF      yes       1
image         JPEG of the visit, where images are published   yes       0
status        JSON: statistics, once a minute                 yes       0
trigger       person-<id>, for automations                    no        0
mute/state    ON, OFF                                         yes       1
camera        JSON: how it stands with the camera, and why    yes       1
camera/...    availability: online, offline                   yes       1
sound         JSON: whether the last chime was played         yes       1
storage       JSON: whether visits and pictures can be kept   yes       1
session       JSON: which run of which doorbell is connected    yes       1
check         what ``doorbell check`` tries the broker with     never     1
reply         JSON: what has become of a command              never     1
ring          command: empty, or PRESS                        ignored
mute          command: ON, OFF                                ignored
enroll        command: {"name": "Anna"}, "id" if you like     ignored
forget        command: {"name": "Anna"}, "id" if you like     ignored
============  ==============================================  ========  ===
"""

from __future__ import annotations

ROOT = "doorbell"
COMMAND_VERBS = ("ring", "mute", "enroll", "forget")
# What of these is always answered on ``reply``; that it rings, or is muted, is heard and seen. A
# refusal is answered whatever it is of.
ANSWERED_VERBS = ("enroll", "forget")


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
        self.ring = f"{base}/ring"
        self.mute = f"{base}/mute"
        self.mute_state = f"{base}/mute/state"
        self.camera = f"{base}/camera"
        self.camera_availability = f"{base}/camera/availability"
        self.sound = f"{base}/sound"
        self.storage = f"{base}/storage"
        self.session = f"{base}/session"
        self.check = f"{base}/check"
        self.reply = f"{base}/reply"
        self.enroll = f"{base}/enroll"
        self.forget = f"{base}/forget"
        self.commands = {f"{base}/{verb}": verb for verb in COMMAND_VERBS}
