"""What is said at the door and what is refused, with a player that takes everything."""

import sys
import time as clock
from collections.abc import Iterator
from datetime import time

import numpy as np
import pytest

from doorbell.config import Config, TalkSection
from doorbell.domain import (
    CommandResult,
    Person,
    Recognized,
    Reply,
    ReplyCommand,
    Ring,
    Stranger,
    Unknown,
    Visit,
)
from doorbell.errors import SoundError, UsageError
from doorbell.outputs.sound.channel import Channel
from doorbell.outputs.sound.door_voice import DoorVoice
from doorbell.outputs.sound.quiet import QuietTimes
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.synthesis import Sound
from doorbell.status import DoorAnswered, Message, SettingsState, State
from doorbell.testbed.waiting import eventually

TAKES_ALL = """
import sys
while header := sys.stdin.buffer.readline():
    sys.stdin.buffer.read(int(header.split()[2]))
    print("done", flush=True)
"""
SOUND = Sound(np.ones((800, 1), np.int16), 8000)


class Library:
    """Of three replies, of which one has lost its file, and one cannot be read."""

    def check(self, reply_id: str) -> Reply:
        if reply_id not in ("coming", "lost", "broken"):
            raise UsageError(f"there is no reply {reply_id!r}")
        if reply_id == "lost":
            raise SoundError("it has lost its file")
        return Reply(reply_id, "We are coming")

    def load(self, reply_id: str) -> Sound:
        if reply_id == "broken":
            raise SoundError("cannot read the recording")
        return SOUND


class Door:
    """A voice, and what is heard of it."""

    def __init__(self, config: Config) -> None:
        self.now = 0.0
        self.told: list[State] = []
        self.problems: list[str] = []
        self.answers: list[CommandResult] = []
        speaker = Speaker([sys.executable, "-c", TAKES_ALL])
        channel = Channel(None, name="door", told=self.problems.append, speaker=speaker)
        self.voice = DoorVoice(
            config,
            channel,
            Library(),
            publish=self.told.append,
            quiet=QuietTimes(config.chime, local_time=lambda _: time(12)),
            now_seconds=lambda: self.now,
        )

    def reply(self, reply_id: str) -> CommandResult:
        self.voice.carry_out(ReplyCommand(reply_id=reply_id, reply=self.answers.append))
        return self.answers.pop()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door(Config())
    yield door
    door.voice.close()
    door.voice.close()


def test_a_reply_and_what_somebody_says_answer_the_bell(door: Door) -> None:
    assert (door.reply("coming").done, door.told) == (True, [DoorAnswered("replied", "front-door")])
    door.voice.talk(SOUND)
    assert door.told[1:] == [DoorAnswered("talked", "front-door")]
    assert eventually(lambda: not door.voice.is_sounding)
    assert door.problems == [""]


def test_a_reply_that_there_is_not_is_refused_and_answers_nothing(door: Door) -> None:
    answer = door.reply("nothing")
    assert (answer.done, answer.summary) == (False, "there is no reply 'nothing'")
    answer = door.reply("lost")
    assert (answer.done, answer.summary) == (False, "it has lost its file")
    assert not door.told


def test_a_reply_that_cannot_be_read_costs_itself_alone(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    door.reply("broken")
    door.reply("coming")
    assert eventually(lambda: not door.voice.is_sounding)
    assert caplog.messages == ["the reply broken is left out: cannot read the recording"]
    assert door.problems == [""]


def settings(after_seconds: int) -> SettingsState:
    return SettingsState(0.5, reply_after_seconds=after_seconds, unanswered_reply="coming")


@pytest.mark.parametrize(
    ("meanwhile", "heard"),
    [
        (Recognized("e2", 1.0, Visit("v1", 0.0, 1.0, visitor=Person(1, "Ben", ignored=True))), []),
        (
            Unknown(
                "e2", 1.0, Visit("v1", 0.0, 1.0, visitor=Stranger(2, 0.0, 1.0, 1, ignored=True))
            ),
            [],
        ),
        (settings(0), []),
        (settings(60), [""]),  # from the next ring on
        (Recognized("e2", 1.0, Visit("v1", 0.0, 1.0, visitor=Person(1, "Anna"))), [""]),
        (Recognized("e2", 1.0, Visit("v2", 0.0, 1.0, visitor=Person(1, "B", ignored=True))), [""]),
    ],
)
def test_what_happens_while_nobody_answers(
    door: Door, meanwhile: Message, heard: list[str]
) -> None:
    door.voice.handle(settings(1))
    door.voice.handle(Ring("e1", 0.0, Visit("v1", 0.0, 0.0), pressed=True))
    door.voice.handle(meanwhile)
    door.now = 2.0
    clock.sleep(1.05)  # the timer looks again when the ring is due
    assert eventually(lambda: not door.voice.is_sounding and door.problems == heard, 1.0)


def test_where_talking_is_off_everything_is_refused_in_words() -> None:
    door = Door(Config(talk=TalkSection(enabled=False)))
    answer = door.reply("coming")
    assert not answer.done
    assert "set talk.enabled" in answer.summary
    with pytest.raises(SoundError, match=r"set talk\.enabled"):
        door.voice.talk(SOUND)
    assert not door.told
    door.voice.close()
