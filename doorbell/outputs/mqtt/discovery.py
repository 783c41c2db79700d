"""The discovery document of Home Assistant: pure data.

Person ids, never names, are part of ids; a name is only ever a plain text value, which Home
Assistant renders no template in. Source:
https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Person
from doorbell.outputs.mqtt.discovery_entities import (
    Components,
    door_entities,
    event_triggers,
    person_entities,
    person_triggers,
    reply_entities,
    setting_entities,
)
from doorbell.outputs.mqtt.messages import OFFLINE, ONLINE, Document
from doorbell.outputs.mqtt.topics import Topics

# Of all components that this or an earlier version has announced.
PLATFORMS = frozenset(
    (
        *("event", "sensor", "binary_sensor", "image", "switch", "button", "number", "select"),
        "device_automation",
    )
)

MACHINE_ID = Path("/etc/machine-id")


def discovery_topic(prefix: str, device_id: str) -> str:
    """Where Home Assistant looks for the document."""
    return f"{prefix}/device/doorbell_{device_id}/config"


def birth_topic(prefix: str) -> str:
    """Where Home Assistant says that it has come back."""
    return f"{prefix}/status"


def discovery_document(device: DeviceSection, components: Components) -> Document:
    """Describe the doorbell.

    Args:
        device: ``[device]``.
        components: of ``discovery_components``.
    """
    about: dict[str, Any] = {
        "identifiers": [f"doorbell_{device.id}"],
        "name": device.name,
        "manufacturer": "doorbell",
        "model": "Doorbell",
        "sw_version": version("doorbell"),
    }
    serial = serial_number(device.id)
    if serial is not None:
        about["serial_number"] = serial
    if device.configuration_url is not None:
        about["configuration_url"] = device.configuration_url
    if device.area is not None:
        about["suggested_area"] = device.area
    origin = {"name": "doorbell", "sw_version": version("doorbell")}
    if device.support_url is not None:
        origin["support_url"] = device.support_url
    return {
        "device": about,
        "origin": origin,
        # A list, as some components have one of their own and a topic beside it is refused.
        "availability": _availability(Topics(device.id).availability),
        "components": components,
    }


def discovery_components(
    device: DeviceSection,
    mqtt: MqttSection,
    people: Sequence[Person],
    replies: Sequence[str] = (),
) -> Components:
    """Describe its entities and triggers, by the key of each.

    Args:
        device: ``[device]``.
        mqtt: ``[mqtt]``.
        people: everybody enrolled.
        replies: the labels of what can be said at the door.
    """
    topics = Topics(device.id)
    entities = door_entities(topics, images=mqtt.publish_images)
    entities |= reply_entities(topics, replies)
    if mqtt.allow_settings:
        entities |= setting_entities(topics)
    for person in people:
        entities |= person_entities(topics, person)
    # The bell and its switches work without a camera; these would be stale.
    for key, entity in entities.items():
        if key in ("presence", "picture", "at_door") or key.endswith("_at_door"):
            entity["availability"] = _availability(topics.availability, topics.camera_availability)
            entity["availability_mode"] = "all"
        entity["unique_id"] = f"doorbell_{device.id}_{key}"
    components = {**entities, **event_triggers(topics)}
    for person in people:
        components |= person_triggers(topics, person)
    for component in components.values():
        component["qos"] = 1  # of each: that of the whole document is for nothing
    return components


def components_of(payload: bytes) -> dict[str, str]:
    """Find the components that a document of an earlier run holds, by key, with their platforms.

    None where it is not one of ours, and none whose key or platform is not.
    """
    try:
        components = json.loads(payload)["components"]
        return {
            key: component["platform"]
            for key, component in components.items()
            if re.fullmatch(r"[a-z0-9_]{1,64}", key) and component["platform"] in PLATFORMS
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def person_of(key: str) -> int | None:
    """Whose component it is, by its key."""
    found = re.fullmatch(r"person_(\d{1,18})(_[a-z_]+)?", key)
    return int(found[1]) if found else None


def serial_number(device_id: str, machine_id: Path = MACHINE_ID) -> str | None:
    """What tells this doorbell from others of the name; None where the system has no number.

    Made of the machine's own number and not that itself, which is nobody else's business
    (machine-id(5)).
    """
    try:
        key = machine_id.read_bytes().strip()
    except OSError:
        return None
    return hmac.new(key, f"doorbell {device_id}".encode(), "sha256").hexdigest()[:12].upper()


def _availability(*needed: str) -> list[dict[str, str]]:
    return [
        {
            "topic": topic,
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
        }
        for topic in needed
    ]
