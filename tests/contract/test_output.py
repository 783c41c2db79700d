"""What every output promises: it takes every message, never waits, never raises and ends soon."""

import io
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from gpio_chips import FakeChips, orin
from rich.console import Console

from doorbell.config import (
    ChimeSection,
    Config,
    DeviceSection,
    MqttSection,
    RelaySection,
    RepliesSection,
    StorageSection,
)
from doorbell.demo import VisitPictures
from doorbell.domain import (
    Arrived,
    Left,
    Person,
    Recognized,
    Reply,
    Ring,
    Stranger,
    Unknown,
    Visit,
)
from doorbell.outputs import Sink
from doorbell.outputs.event_log import EventLog
from doorbell.outputs.mqtt.output import Mqtt
from doorbell.outputs.notices.output import Notices
from doorbell.outputs.pictures import Pictures
from doorbell.outputs.relay import Relay
from doorbell.outputs.sound.announcements import Announcements
from doorbell.outputs.sound.channel import Channel
from doorbell.outputs.sound.chime import Chime
from doorbell.outputs.sound.door_voice import DoorVoice
from doorbell.outputs.sound.reply_library import ReplyLibrary
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.terminal import Timeline
from doorbell.status import (
    CameraCondition,
    CameraState,
    ClockState,
    ClockStep,
    DoorAnswered,
    DoorSpeakerState,
    KnownVisitors,
    Message,
    MicrophoneState,
    MuteState,
    RepliesState,
    SettingsState,
    SoundState,
    StageLatency,
    Statistics,
    StorageState,
    VisitCorrected,
    VisitsForgotten,
)

HANGS = "import time; time.sleep(60)"


def channel(player: list[str]) -> Channel:
    return Channel(None, name="a loudspeaker", speaker=Speaker(player))


def hanging_chime(_folder: Path) -> Sink:
    return Chime(ChimeSection(), channel([sys.executable, "-c", HANGS]))


def chime_without_player(folder: Path) -> Sink:
    return Chime(ChimeSection(), channel([str(folder / "missing")]))


def hanging_voice(folder: Path) -> Sink:
    config = Config(replies=RepliesSection(after_seconds=1))
    library = ReplyLibrary(folder / "replies", "en", speak=speak)
    return DoorVoice(config, channel([sys.executable, "-c", HANGS]), library)


def announcements(_folder: Path) -> Sink:
    return Announcements(Config(), channel([sys.executable, "-c", HANGS]))


def relay(_folder: Path) -> Sink:
    return Relay(RelaySection(line="PQ.06"), ChimeSection(), FakeChips(orin()))


def mqtt_without_broker(folder: Path) -> Sink:
    return Mqtt(
        DeviceSection(),
        MqttSection(host="127.0.0.1", port=1),
        outbox_path=folder / "outbox.sqlite",
        known=KnownVisitors((), set()),
        on_command=lambda _: None,
    )


def pictures(folder: Path) -> Sink:
    return Pictures(StorageSection(directory=folder))


def pictures_without_folder(folder: Path) -> Sink:
    (folder / "pictures").write_text("a file where a folder should be")
    return Pictures(StorageSection(directory=folder))


def notices(folder: Path) -> Sink:
    return Notices(folder / "notices.sqlite")


def notices_without_folder(folder: Path) -> Sink:
    (folder / "kept").write_text("a file where a folder should be")
    return Notices(folder / "kept" / "notices.sqlite")


def journal(_folder: Path) -> Sink:
    return EventLog()


def timeline(_folder: Path) -> Sink:
    return Timeline(Console(file=io.StringIO()), 0.0)


def pictures_of_the_demo(folder: Path) -> Sink:
    return VisitPictures(folder)


OPENERS = [
    journal,
    timeline,
    hanging_chime,
    chime_without_player,
    hanging_voice,
    announcements,
    relay,
    mqtt_without_broker,
    notices,
    notices_without_folder,
    pictures,
    pictures_without_folder,
    pictures_of_the_demo,
]


def every_kind_of_message() -> list[Message]:
    anna, somebody = Person(1, "Anna", preferences={"a": 1}), Stranger(1, 0.0, 0.0, 1)
    undecided = Visit("v1", 1.0, 1.0)
    known = Visit("v1", 1.0, 2.0, visitor=anna, similarity=0.7, seconds_to_decision=0.5)
    strange = Visit("v2", 1.0, 2.0, visitor=somebody, similarity=0.1, seconds_to_decision=2.0)
    stages = {"frame": StageLatency(1.0, 2.0, 3.0, 4)}
    return [
        CameraState(CameraCondition.LOST, "the cable is cut", 1.0),
        SoundState(works=False, reason="no device"),
        StorageState("gallery", "the disk is full"),
        KnownVisitors((anna,), {somebody.stranger_id}),
        Arrived("e1", 1.0, undecided),
        Recognized("e2", 2.0, known, b"JPEG"),
        Ring("e3", 2.0, known, b"JPEG"),
        Unknown("e4", 3.0, strange, b"JPEG"),
        Ring("e5", 3.0, strange),
        Ring("e6", 4.0),
        Left("e7", 5.0, known),
        Left("e8", 5.0, undecided),
        MuteState(muted=True),
        MuteState(muted=False),
        SettingsState(0.5, "gong", quiet_hours=True, privacy=True, muted=True, muted_until=1e9),
        DoorSpeakerState(works=False, reason="no device"),
        MicrophoneState(is_open=True),
        DoorAnswered("watched"),
        RepliesState((Reply("coming", "Coming"), Reply("r", "Wait", is_recording=True))),
        VisitCorrected(known),
        Statistics(60.0, 24.5, 3, 8.0, 21.0, 1, 2, 7, True, stages),
        ClockStep(0.0, 5.0, 3600.0),
        ClockState(5.0, 1e9),
        ClockState(10.0, None),
        VisitsForgotten(("v2",)),
        KnownVisitors((), set()),
    ]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def opener(request: pytest.FixtureRequest) -> Callable[[Path], Sink]:
    chosen: Callable[[Path], Sink] = request.param
    return chosen


def test_no_kind_of_message_is_left_out() -> None:
    assert {type(message) for message in every_kind_of_message()} == set(get_args(Message))


def test_messages_are_handed_off_at_once_and_the_end_is_bounded(
    opener: Callable[[Path], Sink], tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    sink = opener(tmp_path)
    try:
        started = time.monotonic()
        for message in every_kind_of_message() * 10:
            sink.handle(message)
        assert time.monotonic() - started < 0.5
    finally:
        started = time.monotonic()
        sink.close()
    # SIGTERM ends the daemon within five seconds.
    assert time.monotonic() - started < 4.0
    sink.close()
    for message in every_kind_of_message():
        sink.handle(message)
    deadline = time.monotonic() + 2.0
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left
