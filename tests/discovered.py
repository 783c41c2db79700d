"""The document by which Home Assistant finds a doorbell, with people whose names are awkward."""

import json
from collections.abc import Sequence
from typing import Any

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import Person
from doorbell.outputs.mqtt.discovery import discovery_components, discovery_document
from doorbell.outputs.mqtt.messages import encode

AWKWARD = ('Anna {{ states("sensor.x") }}', 'O\'Neill "Bo"', "\U0001f98a", "a/b+#", "{% raw %}")
PEOPLE = tuple(Person(number, name) for number, name in enumerate(AWKWARD, start=1))


def document(people: Sequence[Person] = PEOPLE, **section: Any) -> dict[str, Any]:
    device = DeviceSection(id="back_door-2", name="Back door")
    mqtt = MqttSection.model_validate({"allow_settings": True, **section})
    made = discovery_document(device, discovery_components(device, mqtt, people, AWKWARD))
    decoded = json.loads(encode(made))
    assert isinstance(decoded, dict)
    return decoded
