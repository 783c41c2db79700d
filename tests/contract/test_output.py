"""What every output promises: it never waits, never raises and ends in bounded time."""

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from doorbell.config import ChimeSection, DeviceSection, MqttSection, StorageSection
from doorbell.domain import (
    Arrived,
    Event,
    Left,
    Person,
    Recognized,
    Ring,
    Stranger,
    Unrecognized,
    Visit,
)
from doorbell.outputs import Output
from doorbell.outputs.chime import Chime
from doorbell.outputs.journal import Journal
from doorbell.outputs.mqtt import Mqtt
from doorbell.outputs.pictures import Pictures
from doorbell.outputs.speaker import Speaker

HANGS = "import time; time.sleep(60)"


def hanging_chime(_folder: Path) -> Output:
    return Chime(ChimeSection(), Speaker([sys.executable, "-c", HANGS]))


def chime_without_player(folder: Path) -> Output:
    return Chime(ChimeSection(), Speaker([str(folder / "missing")]))


def mqtt_without_broker(folder: Path) -> Output:
    return Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=1),
        outbox_path=folder / "outbox.sqlite",
        people=(),
        strangers=(),
        on_command=lambda _: None,
    )


def pictures(folder: Path) -> Output:
    return Pictures(StorageSection(directory=folder))


def pictures_without_folder(folder: Path) -> Output:
    (folder / "pictures").write_text("a file where a folder should be")
    return Pictures(StorageSection(directory=folder))


def journal(_folder: Path) -> Output:
    return Journal()


OPENERS = [
    journal,
    hanging_chime,
    chime_without_player,
    mqtt_without_broker,
    pictures,
    pictures_without_folder,
]


def every_kind_of_event() -> list[Event]:
    anna, somebody = Person(1, "Anna", preferences={"a": 1}), Stranger(1, 0.0, 0.0, 1)
    undecided = Visit("v1", 1.0, 1.0)
    known = Visit("v1", 1.0, 2.0, visitor=anna, similarity=0.7, seconds_to_decision=0.5)
    strange = Visit("v2", 1.0, 2.0, visitor=somebody, similarity=0.1, seconds_to_decision=2.0)
    return [
        Arrived("e1", 1.0, undecided),
        Recognized("e2", 2.0, known, b"JPEG"),
        Ring("e3", 2.0, known, b"JPEG"),
        Unrecognized("e4", 3.0, strange, b"JPEG"),
        Ring("e5", 3.0, strange),
        Ring("e6", 4.0),
        Left("e7", 5.0, known),
        Left("e8", 5.0, undecided),
    ]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def opener(request: pytest.FixtureRequest) -> Callable[[Path], Output]:
    chosen: Callable[[Path], Output] = request.param
    return chosen


def test_events_are_handed_off_at_once_and_the_end_is_bounded(
    opener: Callable[[Path], Output], tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    output = opener(tmp_path)
    try:
        started = time.monotonic()
        for event in every_kind_of_event() * 10:
            output.handle(event)
        assert time.monotonic() - started < 0.5
    finally:
        started = time.monotonic()
        output.close()
    # SIGTERM ends the daemon within five seconds.
    assert time.monotonic() - started < 4.0
    output.close()
    for event in every_kind_of_event():
        output.handle(event)
    deadline = time.monotonic() + 2.0
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left
