"""What is heard inside and at the door, on ALSA devices that take a sound as fast as ears do."""

import os
import signal
import time as clock
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from sounding_house import (
    CHIME,
    NIGHT,
    RATE,
    REPLY,
    House,
    holds,
    is_whole,
    noise,
    samples_of,
    says,
)

from doorbell.domain import (
    CommandResult,
    Person,
    Recognized,
    ReplyCommand,
    Ring,
    Stranger,
    Visit,
    Visitor,
)
from doorbell.outputs.sound.channel import Urgency
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import Sound, attention
from doorbell.status import DoorAnswered, MuteState, SettingsState
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

ANNA = Person(1, "Anna")
Open = Callable[..., House]


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Open]:
    houses: list[House] = []

    def opened(**options: object) -> House:
        folder = tmp_path / f"house-{len(houses)}"
        folder.mkdir()
        houses.append(House(folder, **options))  # type: ignore[arg-type]
        return houses[-1]

    yield opened
    for house in houses:
        house.close()


def ring(visitor: Visitor | None = None, *, number: int = 1) -> Ring:
    at = clock.time()
    return Ring(f"e{number}", at, Visit(f"v{number}", at, at, visitor=visitor))


def test_who_is_at_the_door_is_said_inside_after_the_chime_and_not_at_the_door(
    open_house: Open,
) -> None:
    house = open_house()
    house.handle(ring(ANNA))
    assert house.falls_silent()
    chime, words = house.inside.heard
    assert is_whole(chime, CHIME)
    assert says(words, "Anna is at the door")
    assert not says(words, "Somebody is at the door")
    assert -0.05 < words.began_at - chime.ended_at < 2.0
    peak = np.abs(words.samples).max() / np.abs(speak("Anna is at the door", "en").samples).max()
    assert peak == pytest.approx(0.5, abs=0.01)
    assert not house.door.heard


def test_the_door_is_said_too_where_there_are_several(open_house: Open) -> None:
    house = open_house(names_door=True)
    house.handle(ring(ANNA))
    assert house.falls_silent()
    assert says(house.inside.heard[1], "Anna is at the door: Garden gate")
    assert not says(house.inside.heard[1], "Anna is at the door: Front door")


def test_who_is_recognized_while_the_chime_sounds_is_named(open_house: Open) -> None:
    house = open_house()
    pressed = ring(None)
    assert pressed.visit is not None
    known = Visit("v1", 0.0, 0.0, visitor=ANNA)
    house.handle(pressed, Recognized("e2", clock.time(), known))
    assert house.falls_silent()
    assert says(house.inside.heard[1], "Anna is at the door")


def test_nothing_is_said_of_who_is_ignored_or_is_not_to_be_announced(open_house: Open) -> None:
    house = open_house()
    visitors: list[Visitor] = [
        Person(1, "Anna", preferences={"announce": False}),
        Person(2, "Ben", ignored=True),
        Stranger(3, 0.0, 0.0, 1, ignored=True),
    ]
    for number, visitor in enumerate(visitors):
        house.handle(ring(visitor, number=number))
    assert house.falls_silent()
    assert len(house.inside.heard) == 3
    assert all(is_whole(heard, CHIME) for heard in house.inside.heard)


def test_quiet_hours_a_mute_and_who_is_ignored_say_nothing(open_house: Open) -> None:
    at_night, muted = open_house(now=NIGHT, after_seconds=1), open_house(after_seconds=1)
    muted.handle(MuteState(True))
    ignored, off = open_house(after_seconds=1), open_house()
    ignored.handle(ring(Person(2, "Ben", ignored=True)))
    off.handle(SettingsState(0.5, announcements=False))
    for house in (at_night, muted, off):
        house.handle(ring(ANNA))
    clock.sleep(1.3)
    assert at_night.falls_silent()
    [chime] = at_night.inside.heard
    assert is_whole(chime, CHIME)
    assert np.abs(chime.samples).max() < 0.26 * 9000
    assert [is_whole(heard, CHIME) for heard in off.inside.heard] == [True]
    assert len(ignored.inside.heard) == 1
    assert not ignored.door.heard
    assert muted.inside.heard == at_night.door.heard == muted.door.heard == []
    assert not at_night.told


def test_a_ring_that_nobody_answers_is_replied_to_once(open_house: Open) -> None:
    unanswered, watched = open_house(after_seconds=1), open_house(after_seconds=1)
    started = clock.time()
    for house in (unanswered, watched):
        house.handle(ring(ANNA))
    watched.handle(DoorAnswered("watched"))
    unanswered.handle(ring(ANNA, number=2))
    assert eventually(lambda: bool(unanswered.door.heard), 5.0)
    assert unanswered.falls_silent()
    [said] = unanswered.door.heard
    assert 1.0 <= said.began_at - started < 4.0
    assert is_whole(said, REPLY)
    notes = samples_of(attention())
    assert holds(said.samples[: len(notes)], notes)
    clock.sleep(0.2)
    assert len(unanswered.door.heard) == 1
    assert not watched.door.heard
    assert not unanswered.told  # nobody has answered


def test_what_somebody_says_follows_a_short_chime_without_a_gap(open_house: Open) -> None:
    house = open_house()
    spoken = noise(0.5, 3, rate=16000)
    assert house.voice.talk(spoken) == "said at the door"
    assert house.told == [DoorAnswered("talked", "front-door")]
    assert house.falls_silent()
    [heard] = house.door.heard
    notes = samples_of(attention())
    chime, words = np.split(heard.samples, [len(notes)])
    assert holds(chime, notes)
    # Of both, half a second up to what the slower one can have: 8 kHz.
    heard_spectrum = np.fft.rfft(words[: RATE // 2])[:3900]
    sent_spectrum = np.fft.rfft(samples_of(spoken).astype(float))[:3900]
    cosine = np.abs(np.vdot(heard_spectrum, sent_spectrum)) / (
        np.linalg.norm(heard_spectrum) * np.linalg.norm(sent_spectrum)
    )
    assert cosine > 0.99
    assert not house.inside.heard


def test_a_ring_cuts_what_is_said_on_its_loudspeaker_and_sounds_at_once(open_house: Open) -> None:
    house = open_house(shared=True)
    answers: list[CommandResult] = []
    house.voice.carry_out(ReplyCommand(reply_id="coming", reply=answers.append))
    assert [answer.done for answer in answers] == [True]
    assert eventually(lambda: bool(house.inside.heard) and len(house.inside.heard[0].data) > RATE)
    rang = clock.time()
    house.handle(ring(Person(1, "Anna", preferences={"announce": False})))
    assert house.falls_silent()
    reply, chime = house.inside.heard
    assert is_whole(chime, CHIME)
    assert rang < chime.began_at < reply.began_at + attention().seconds + REPLY.seconds
    assert 0.5 < reply.ended_at - reply.began_at < 2.5  # of three seconds
    assert house.problems["default"] == [""]


def test_what_is_less_urgent_waits_and_a_ring_goes_before_it(open_house: Open) -> None:
    house = open_house(shared=True)
    sounds = {urgency: noise(0.2, 10 + urgency) for urgency in Urgency}

    def submit(urgency: Urgency) -> None:
        def load() -> Sequence[tuple[Sound, float]]:
            return [(sounds[urgency], 1.0)]

        house.inside_channel.submit(urgency, load, label=urgency.name)

    order = [Urgency.RING, Urgency.ANNOUNCEMENT, Urgency.TALK, Urgency.RING, Urgency.REPLY]
    for urgency in order:
        submit(urgency)
    assert house.falls_silent()
    heard = house.inside.heard
    for sound, urgency in zip(heard, sorted(order, reverse=True), strict=True):
        assert is_whole(sound, sounds[urgency])


def test_what_a_killed_player_was_playing_sounds_once_more(open_house: Open) -> None:
    house = open_house(shared=True)
    words = noise(0.5, 8)
    house.voice.talk(words)
    assert eventually(lambda: bool(house.inside.heard))
    pid = house.inside_channel.player_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert house.falls_silent()
    assert is_whole(house.inside.heard[1], words)
    assert len(house.inside.heard) == 2
    assert house.problems["default"] == [""]
    assert house.inside_channel.player_pid not in (None, pid)


def test_a_ring_goes_before_the_sound_of_a_killed_player(open_house: Open) -> None:
    house = open_house(shared=True)
    for number in range(2):
        house.voice.talk(noise(3.0, 4))
        assert eventually(lambda: len(house.inside.heard) > 2 * number)  # noqa: B023
        pid = house.inside_channel.player_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        house.handle(ring(Person(1, "Anna", preferences={"announce": False}), number=number))
        assert house.falls_silent()
        talk, chime = house.inside.heard[2 * number :]
        assert is_whole(chime, CHIME)
        assert talk.ended_at - talk.began_at < 2.5
    assert house.problems["default"][-1] == ""


def test_a_device_that_hangs_at_the_door_costs_the_chime_inside_nothing(open_house: Open) -> None:
    house = open_house(margin_seconds=2.0)
    house.door.stick()
    house.voice.talk(noise(0.5, 5))
    house.handle(ring(Person(1, "Anna", preferences={"announce": False})))
    assert eventually(lambda: bool(house.inside.heard))
    assert not house.problems["door"]  # still waits
    assert eventually(lambda: bool(house.problems["door"]), 10.0)
    assert "has not taken a sound within" in house.problems["door"][0]
    house.door.plug()
    last = noise(0.3, 6)
    house.voice.talk(Sound(last.samples, RATE))
    assert house.falls_silent()
    assert house.problems == {"default": [""], "door": [house.problems["door"][0], ""]}
    assert is_whole(house.door.heard[-1], last)


def test_a_ring_goes_before_a_sound_that_hangs(open_house: Open) -> None:
    house = open_house(shared=True)
    house.voice.talk(noise(3.0, 7))
    assert eventually(lambda: bool(house.inside.heard))
    house.inside.stick()
    house.handle(ring(Person(1, "Anna", preferences={"announce": False})))
    clock.sleep(0.1)
    house.inside.plug()
    assert house.falls_silent()
    assert is_whole(house.inside.heard[-1], CHIME)
    assert house.inside.heard[0].ended_at - house.inside.heard[0].began_at < 2.5
