"""The discovery document of Home Assistant: pure data.

Person ids, never names, are part of ids; a name is only ever a plain text value, which Home
Assistant renders no template in. Source:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Person
from doorbell.outputs.mqtt.messages import (
    EVENT_TYPES,
    LATE_EVENT_TYPES,
    OFF,
    ON,
    PRESS,
    Document,
    trigger_payload,
)
from doorbell.outputs.mqtt.topics import Topics
from doorbell.status import CameraCondition

ONLINE, OFFLINE = "online", "offline"


def discovery_topic(prefix: str, device_id: str) -> str:
    """Where Home Assistant looks for the document."""
    return f"{prefix}/device/doorbell_{device_id}/config"


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says that it has come back."""
    return f"{prefix}/status"


def discovery_document(
    device: DeviceSection,
    mqtt: MqttSection,
    people: Sequence[Person],
    gone_person_ids: Iterable[int] = (),
) -> Document:
    """Describe the doorbell.

    Args:
        device: ``[device]``.
        mqtt: ``[mqtt]``.
        people: everybody enrolled; each is a trigger.
        gone_person_ids: whose triggers are to be deleted: a component with only its platform. A
            document without them follows.
    """
    topics = Topics(device.id)
    components = _entities(device.id, topics, images=mqtt.publish_images)
    for person in people:
        components[_trigger_key(person.person_id)] = {
            "platform": "device_automation",
            "automation_type": "trigger",
            # Shown as "<subtype> <type>": "Anna recognized".
            "type": "recognized",
            "subtype": person.name,
            "topic": topics.trigger,
            "payload": trigger_payload(person.person_id),
        }
    for person_id in gone_person_ids:
        components[_trigger_key(person_id)] = {"platform": "device_automation"}
    return {
        "device": {
            "identifiers": [f"doorbell_{device.id}"],
            "name": device.name,
            "model": "Doorbell",
            "sw_version": version("doorbell"),
        },
        "origin": {"name": "doorbell", "sw_version": version("doorbell")},
        # A list, as some components have one of their own and a topic beside it is refused.
        "availability": _availability(topics.availability),
        "qos": 1,
        "components": components,
    }


def person_ids_of(payload: bytes) -> set[int]:
    """Find whose triggers a document holds; none where it is not one of ours."""
    try:
        components = json.loads(payload)["components"]
        matches = (re.fullmatch(r"person_(\d{1,18})", key) for key in components)
        return {int(match[1]) for match in matches if match}
    except (ValueError, KeyError, TypeError, RecursionError):
        return set()


def _trigger_key(person_id: int) -> str:
    return f"person_{person_id}"


def _availability(*needed: str) -> list[dict[str, str]]:
    return [
        {"topic": topic, "payload_available": ONLINE, "payload_not_available": OFFLINE}
        for topic in needed
    ]


def _entities(device_id: str, topics: Topics, *, images: bool) -> dict[str, dict[str, Any]]:
    entities: dict[str, dict[str, Any]] = {
        "bell": {
            "platform": "event",
            "name": "Bell",
            "device_class": "doorbell",
            "state_topic": topics.event,
            "event_types": [*EVENT_TYPES, *LATE_EVENT_TYPES],
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
        "mute": {
            "platform": "switch",
            "name": "Mute",
            "icon": "mdi:bell-off",
            "command_topic": topics.mute,
            "state_topic": topics.mute_state,
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
    # The bell and its switches work without a camera; these would be stale.
    for key in {"presence", "picture"} & entities.keys():
        entities[key]["availability"] = _availability(
            topics.availability, topics.camera_availability
        )
        entities[key]["availability_mode"] = "all"
    for key, entity in entities.items():
        entity["unique_id"] = f"doorbell_{device_id}_{key}"
    return entities
