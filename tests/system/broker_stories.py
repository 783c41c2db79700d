"""The MQTT output at a broker, and a visit of Anna and a stranger for it to tell."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from doorbell.config import DeviceSection, MqttSection
from doorbell.domain import (
    AnyCommand,
    Arrived,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unknown,
    Visit,
    Visitor,
)
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.status import KnownVisitors, MuteState
from doorbell.testbed.waiting import eventually

ANNA = Person(1, 'Anna "{{ 1/0 }}" \U0001f98a', preferences={"scene": "evening", "tv": [1, None]})
BEN = Person(2, "Ben", earlier_subtype="Ben")
STRANGER = Stranger(7, 0.0, 0.0, 1)
CONFIG_TOPIC = "homeassistant/device/doorbell_front-door/config"
PICTURE = b"\xff\xd8\xff\xe0 not really \xff\xd9"

# Without a broker the doorbell tries at once, after 1 second and 2 more: after the second attempt
# there is time to start a broker and to subscribe before the doorbell is there.
LONG_PAUSE_SECONDS = 1.2


@contextmanager
def running(
    port: int,
    *,
    people: tuple[Person, ...] = (),
    strangers: tuple[Stranger, ...] = (),
    open_visits: Sequence[Visit] = (),
    on_command: Callable[[AnyCommand], None] = lambda _: None,
    on_published: Callable[[float], None] | None = None,
    expect_connection: bool = True,
    **section: Any,
) -> Iterator[Mqtt]:
    with TemporaryDirectory() as folder:
        mqtt = Mqtt(
            DeviceSection(),
            MqttSection.model_validate({"host": "127.0.0.1", "port": port, **section}),
            outbox_path=Path(folder, "outbox.sqlite"),
            known=KnownVisitors(
                people,
                {each.stranger_id for each in strangers},
                open_visits=tuple(open_visits),
            ),
            on_command=on_command,
            on_published=on_published,
        )
        try:
            mqtt.handle(MuteState(False))  # as the daemon does at once
            assert not expect_connection or eventually(lambda: mqtt.connected)
            yield mqtt
        finally:
            mqtt.close()


def without_door_states(topics: list[str]) -> list[str]:
    """The topics but for those of who is at the door and was: ``tests/test_door_states.py``."""
    own = ("at_door", "last_ring", "person/")
    return [topic for topic in topics if not topic.startswith(own)]


def visit_of(visitor: Visitor | None, number: int = 1, **changes: Any) -> Visit:
    decided: dict[str, Any] = (
        {} if visitor is None else {"similarity": 0.71234, "seconds_to_decision": 0.4, **changes}
    )
    return Visit(f"v{number}", 1000.0, 1001.5, visitor=visitor, frames_used=4, **decided)


def story() -> list[Event]:
    """Anna comes, then a stranger; they leave."""
    return [
        Arrived("e1", 1000.0, visit_of(None)),
        Recognized("e2", 1001.0, visit_of(ANNA), PICTURE),
        Ring("e3", 1001.0, visit_of(ANNA), PICTURE),
        Arrived("e4", 1002.0, visit_of(None, 2)),
        Unknown("e5", 1003.0, visit_of(STRANGER, 2)),
        Left("e6", 1010.0, visit_of(ANNA, ended_at=1010.0)),
        Left("e7", 1011.0, visit_of(STRANGER, 2, ended_at=1011.0)),
    ]
