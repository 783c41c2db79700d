"""The entities and triggers that Home Assistant is to have: pure data.

A name is only ever a plain text value, which Home Assistant renders no template in. Keys, and with
them what tells entities apart, never change. Source:
https://www.home-assistant.io/integrations/mqtt/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

from doorbell.domain import CHIME_NAMES, Person
from doorbell.outputs.mqtt.messages import (
    CONFIGURED,
    EVENT_TYPES,
    LATE_EVENT_TYPES,
    OFF,
    ON,
    PRESS,
    trigger_payload,
)
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import CameraCondition

# By key.
Components: TypeAlias = dict[str, dict[str, Any]]

# An event that is sent again fires nothing where it, or a later one, was heard already: Home
# Assistant hears for some seconds, and while it starts, before it says that it has come.
FIRST_HEARD = (
    "{{ '' if value_json.repeated and value_json.occurred_at"
    " <= this.attributes.occurred_at | default('', true) else value }}"
)


def door_entities(topics: Topics, *, images: bool) -> Components:
    """What there is whoever comes; with the picture where pictures are published."""
    entities: Components = {
        "bell": {
            "platform": "event",
            "name": "Bell",
            "device_class": "doorbell",
            "state_topic": topics.event,
            "event_types": [*EVENT_TYPES, *LATE_EVENT_TYPES],
            "value_template": FIRST_HEARD,
        },
        "visitor": {
            "platform": "sensor",
            "name": "Last visitor",
            "icon": "mdi:account",
            "state_topic": topics.visitor,
            "value_template": "{{ value_json.visitor }}",
            "json_attributes_topic": topics.visitor,
        },
        "presence": {
            "platform": "binary_sensor",
            "name": "Somebody at the door",
            "device_class": "occupancy",
            "state_topic": topics.presence,
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        "at_door": {
            "platform": "sensor",
            "name": "At the door",
            "icon": "mdi:account-clock",
            "state_topic": topics.at_door,
            "value_template": "{{ value_json.at_door }}",
            "json_attributes_topic": topics.at_door,
        },
        "last_ring": {
            "platform": "sensor",
            "name": "Last ring",
            "device_class": "timestamp",
            "state_topic": topics.last_ring,
            "value_template": "{{ value_json.rang_at }}",
        },
        "last_visit_at": {
            "platform": "sensor",
            "name": "Last visit at",
            "device_class": "timestamp",
            "state_topic": topics.visitor,
            "value_template": "{{ value_json.arrived_at }}",
        },
        "mute": {
            "platform": "switch",
            "name": "Mute",
            "icon": "mdi:bell-off",
            "command_topic": topics.mute,
            "state_topic": topics.mute_state,
            "json_attributes_topic": topics.settings,
            "json_attributes_template": "{{ {'until': value_json.muted_until} | tojson }}",
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        "ring": {
            "platform": "button",
            "name": "Ring",
            "icon": "mdi:bell-ring",
            "command_topic": topics.ring,
            "payload_press": PRESS.decode(),
        },
        "camera": {
            "platform": "sensor",
            "name": "Camera",
            "icon": "mdi:cctv",
            "device_class": "enum",
            "options": [condition.value for condition in CameraCondition],
            "entity_category": "diagnostic",
            "state_topic": topics.camera,
            "value_template": "{{ value_json.condition }}",
            "json_attributes_topic": topics.camera,
        },
        "camera_problem": {
            "platform": "binary_sensor",
            "name": "Camera problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.camera,
            "value_template": "{{ 'ON' if value_json.condition in "
            "['frozen', 'lost', 'stuck', 'slow'] else 'OFF' }}",
            "json_attributes_topic": topics.camera,
        },
        "sound_problem": {
            "platform": "binary_sensor",
            "name": "Sound problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.sound,
            "value_template": "{{ 'ON' if value_json.condition == 'failed' else 'OFF' }}",
            "json_attributes_topic": topics.sound,
        },
        "door_speaker_problem": {
            "platform": "binary_sensor",
            "name": "Door speaker problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.door_speaker,
            "value_template": "{{ 'ON' if value_json.condition == 'failed' else 'OFF' }}",
            "json_attributes_topic": topics.door_speaker,
        },
        "microphone": {
            "platform": "binary_sensor",
            "name": "Microphone open",
            "icon": "mdi:microphone",
            "state_topic": topics.microphone,
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        "storage_problem": {
            "platform": "binary_sensor",
            "name": "Storage problem",
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.storage,
            "value_template": "{{ 'ON' if value_json.condition == 'failed' else 'OFF' }}",
            "json_attributes_topic": topics.storage,
        },
        "last_answer": {
            "platform": "sensor",
            "name": "Last answer",
            "icon": "mdi:message-reply-text",
            "entity_category": "diagnostic",
            "state_topic": topics.reply,
            "value_template": "{{ value_json.command }} "
            "{{ 'done' if value_json.done else 'refused' }}",
            "json_attributes_topic": topics.reply,
        },
        "latency": {
            "platform": "sensor",
            "name": "Latency",
            "icon": "mdi:timer-outline",
            "device_class": "duration",
            "state_class": "measurement",
            "unit_of_measurement": "ms",
            "suggested_display_precision": 1,
            "entity_category": "diagnostic",
            "enabled_by_default": False,
            "state_topic": topics.status,
            "value_template": "{{ value_json.latency_ms_p50 }}",
            "json_attributes_topic": topics.status,
        },
    }
    if images:
        entities["picture"] = {
            "platform": "image",
            "name": "Last visit",
            "image_topic": topics.image,
            "content_type": "image/jpeg",
        }
    return entities


def reply_entities(topics: Topics, labels: Sequence[str]) -> Components:
    """A list of the quick replies, and a button that says the one that is chosen."""
    if not labels:
        return {}
    return {
        "reply": {
            "platform": "select",
            "name": "Reply",
            "icon": "mdi:message-text",
            "command_topic": topics.choose_reply,
            "state_topic": topics.replies,
            "value_template": "{{ value_json.chosen }}",
            "options": list(labels),
        },
        "say_reply": {
            "platform": "button",
            "name": "Say the reply",
            "icon": "mdi:bullhorn",
            "command_topic": topics.say,
            "payload_press": PRESS.decode(),
        },
    }


def person_entities(topics: Topics, person: Person) -> Components:
    """The entities of one person: known by the number, shown by the name.

    Home Assistant may hear the end of the topic before the end of the entity.
    """
    topic = topics.person(person.person_id)
    return {
        f"person_{person.person_id}_at_door": {
            "platform": "binary_sensor",
            "name": f"{person.name} at the door",
            "device_class": "occupancy",
            "state_topic": topic,
            "value_template": "{{ 'ON' if value_json is defined and value_json.at_door "
            "else 'OFF' }}",
        },
        f"person_{person.person_id}_last_seen": {
            "platform": "sensor",
            "name": f"{person.name} last seen",
            "device_class": "timestamp",
            "state_topic": topic,
            "value_template": "{{ value_json.last_seen_at if value_json is defined else None }}",
        },
    }


def person_triggers(topics: Topics, person: Person) -> Components:
    """The triggers of one person.

    Automations keep a trigger's type and subtype, and find nothing any more where these change: so
    it goes by the number. Whoever was enrolled when it went by the name has that trigger too.
    """
    payload = trigger_payload(person.person_id)
    # Shown as "<subtype> <type>": "person-1 recognized".
    triggers = {f"person_{person.person_id}_recognized": payload}
    earlier = person.earlier_subtype
    if earlier is not None and not re.fullmatch(r"person-\d+", earlier):
        triggers[f"person_{person.person_id}"] = earlier
    return {
        key: {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": "recognized",
            "subtype": subtype,
            "topic": topics.trigger,
            "payload": payload,
        }
        for key, subtype in triggers.items()
    }


def event_triggers(topics: Topics) -> Components:
    """The triggers of whoever comes; what is late, or comes again, starts none."""
    return {
        f"trigger_{event}": {
            "platform": "device_automation",
            "automation_type": "trigger",
            "type": event,
            "subtype": subtype,
            "topic": topics.event,
            "value_template": "{{ '' if value_json.repeated else value_json.event_type }}",
            "payload": event,
        }
        for event, subtype in (("ring", "bell"), ("unknown", "somebody"), ("arrived", "somebody"))
    }


def setting_entities(topics: Topics) -> Components:
    """What people may set."""
    entities: Components = {
        "volume": {
            "platform": "number",
            "name": "Volume",
            "icon": "mdi:volume-high",
            "command_topic": topics.volume,
            "command_template": "{{ value / 100 }}",
            "value_template": "{{ (value_json.volume * 100) | round | int }}",
            "min": 0,
            "max": 100,
            "step": 1,
            "unit_of_measurement": "%",
        },
        "default_chime": {
            "platform": "select",
            "name": "Default chime",
            "icon": "mdi:music-note",
            "command_topic": topics.chime,
            "value_template": "{{ value_json.default_chime }}",
            "options": [*CHIME_NAMES, CONFIGURED],
        },
        "quiet_hours": {
            "platform": "switch",
            "name": "Quiet hours",
            "icon": "mdi:sleep",
            "command_topic": topics.quiet_hours,
            "value_template": "{{ 'ON' if value_json.quiet_hours else 'OFF' }}",
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        "privacy": {
            "platform": "switch",
            "name": "Privacy",
            "icon": "mdi:camera-off",
            "command_topic": topics.privacy,
            "value_template": "{{ 'ON' if value_json.privacy else 'OFF' }}",
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
        "announcements": {
            "platform": "switch",
            "name": "Announcements",
            "icon": "mdi:account-voice",
            "command_topic": topics.announcements,
            "value_template": "{{ 'ON' if value_json.announcements else 'OFF' }}",
            "payload_on": ON.decode(),
            "payload_off": OFF.decode(),
        },
    }
    for entity in entities.values():
        entity |= {"state_topic": topics.settings, "entity_category": "config"}
    return entities
