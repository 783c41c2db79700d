"""Which sound goes before which, with a player that writes down what it got."""

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from doorbell.errors import SoundError
from doorbell.outputs.sound.channel import LATE_SECONDS, SOUNDS_WAITING, Channel, Load, Urgency
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound, attention, joined, resampled
from doorbell.testbed.waiting import eventually

# Answers when a file appears, as a sound that ends; a stop ends it at once.
PLAYER = """
import pathlib, select, sys
played, ends = map(pathlib.Path, sys.argv[1:])
stdin = sys.stdin.buffer.raw
def line():
    text = b""
    while not text.endswith(b"\\n") and (byte := stdin.read(1)):
        text += byte
    return text
while header := line():
    size, got = int(header.split()[2]), b""
    while len(got) < size:
        got += stdin.read(size - len(got))
    with played.open("a") as file:
        print(int.from_bytes(got[:2], "little"), file=file)
    answer = "done"
    while not ends.exists():
        if select.select([0], [], [], 0.01)[0]:
            line()
            answer = "stopped"
            break
    print(answer, flush=True)
"""


class Loudspeaker:
    """A channel with such a player; sounds are told apart by a number."""

    def __init__(self, folder: Path) -> None:
        self._played, self._ends = folder / "played", folder / "ends"
        self.now = 0.0
        self.told: list[str] = []
        self.channel = Channel(
            None,
            name="a loudspeaker",
            told=self.told.append,
            now_seconds=lambda: self.now,
            speaker=Speaker([sys.executable, "-c", PLAYER, str(self._played), str(self._ends)]),
        )

    @property
    def played(self) -> list[int]:
        return (
            [int(line) for line in self._played.read_text().split()]
            if self._played.exists()
            else []
        )

    def submit(self, urgency: Urgency, number: int, load: Load | None = None) -> None:
        self.channel.submit(urgency, load or sound(number), label=f"sound {number}")

    def end_each(self) -> None:
        self._ends.touch()

    def falls_silent(self) -> bool:
        return eventually(lambda: not self.channel.is_sounding)


def sound(number: int) -> Callable[[], list[tuple[Sound, float]]]:
    return lambda: [(Sound(np.full((80, 1), number, np.int16), 8000), 1.0)]


@pytest.fixture
def loudspeaker(tmp_path: Path) -> Iterator[Loudspeaker]:
    loudspeaker = Loudspeaker(tmp_path)
    yield loudspeaker
    loudspeaker.end_each()
    loudspeaker.channel.close()


def test_what_is_more_urgent_cuts_and_equals_wait(loudspeaker: Loudspeaker) -> None:
    loudspeaker.submit(Urgency.ANNOUNCEMENT, 1)
    assert eventually(lambda: loudspeaker.played == [1])
    loudspeaker.submit(Urgency.REPLY, 2)  # cuts
    assert eventually(lambda: loudspeaker.played == [1, 2])
    loudspeaker.submit(Urgency.REPLY, 3)  # waits
    loudspeaker.submit(Urgency.ANNOUNCEMENT, 4)  # waits, behind
    loudspeaker.submit(Urgency.RING, 5)  # cuts, and goes before both
    assert eventually(lambda: loudspeaker.played == [1, 2, 5])
    loudspeaker.end_each()
    assert loudspeaker.falls_silent()
    assert loudspeaker.played == [1, 2, 5, 3, 4]
    assert loudspeaker.told == [""]


def test_what_is_more_urgent_comes_before_what_still_loads(loudspeaker: Loudspeaker) -> None:
    loads, goes_on = threading.Event(), threading.Event()

    def slow() -> list[tuple[Sound, float]]:
        loads.set()
        goes_on.wait(5.0)
        return sound(1)()

    loudspeaker.submit(Urgency.ANNOUNCEMENT, 1, slow)
    assert loads.wait(5.0)
    loudspeaker.submit(Urgency.RING, 2)
    assert eventually(lambda: loudspeaker.played == [2])  # whatever it waits for
    loudspeaker.end_each()
    goes_on.set()
    assert loudspeaker.falls_silent()
    assert loudspeaker.played == [2]


def test_a_fault_in_one_sound_costs_no_other(
    loudspeaker: Loudspeaker, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty() -> list[tuple[Sound, float]]:
        raise KeyError("a fault")

    loudspeaker.end_each()
    for urgency in (Urgency.RING, Urgency.REPLY):
        loudspeaker.submit(urgency, 1, faulty)
        assert loudspeaker.falls_silent()
    loudspeaker.submit(Urgency.RING, 2)
    assert eventually(lambda: loudspeaker.played == [2])
    assert caplog.messages == ["sound 1 is left out"] * 2


def test_what_waits_behind_the_longest_sound_is_heard(loudspeaker: Loudspeaker) -> None:
    loudspeaker.submit(Urgency.TALK, 1)
    assert eventually(lambda: loudspeaker.played == [1])
    loudspeaker.submit(Urgency.TALK, 2)
    loudspeaker.now = LONGEST_SECONDS + attention().seconds + 1.0
    loudspeaker.end_each()
    assert eventually(lambda: loudspeaker.played == [1, 2])


def test_the_end_does_not_wait_for_what_loads(loudspeaker: Loudspeaker) -> None:
    loads, goes_on = threading.Event(), threading.Event()

    def slow() -> list[tuple[Sound, float]]:
        loads.set()
        goes_on.wait(5.0)
        return sound(1)()

    loudspeaker.submit(Urgency.ANNOUNCEMENT, 1, slow)
    assert loads.wait(5.0)
    loudspeaker.channel.close()
    assert not any(each.name == "a loudspeaker" for each in threading.enumerate())
    goes_on.set()
    assert not loudspeaker.played


DIES = """
import os, pathlib, sys
played, deaths = map(pathlib.Path, sys.argv[1:])
while header := sys.stdin.buffer.readline():
    data = sys.stdin.buffer.read(int(header.split()[2]))
    left = int(deaths.read_text())
    if left:
        deaths.write_text(str(left - 1))
        os._exit(9)
    with played.open("a") as file:
        print(data[0], file=file)
    print("done", flush=True)
"""


def test_a_ring_sounds_however_often_players_die(tmp_path: Path) -> None:
    played, deaths = tmp_path / "played", tmp_path / "deaths"
    deaths.write_text("0")
    told: list[str] = []
    speaker = Speaker([sys.executable, "-c", DIES, str(played), str(deaths)])
    with closing(Channel(None, name="it", told=told.append, speaker=speaker)) as channel:
        for number, dies in enumerate((2, 2, 7, 2)):
            deaths.write_text(str(dies))
            if dies == 7:  # two of these, and three of the next ring; then it is to wait
                for _ in range(2):
                    channel.submit(Urgency.REPLY, sound(10), label="a reply")
            channel.submit(Urgency.RING, sound(number), label="a ring")
            assert eventually(lambda: not channel.is_sounding)
    assert played.read_text().split() == ["0", "1", "3"]
    assert told[-1] == ""


def test_what_comes_too_late_or_cannot_be_loaded_is_left_out(
    loudspeaker: Loudspeaker, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses() -> list[tuple[Sound, float]]:
        raise SoundError("there is no espeak-ng")

    caplog.set_level(logging.INFO)
    loudspeaker.submit(Urgency.RING, 1)
    assert eventually(lambda: loudspeaker.played == [1])
    loudspeaker.submit(Urgency.RING, 2)
    loudspeaker.now = LATE_SECONDS + 1.0
    loudspeaker.submit(Urgency.REPLY, 3, refuses)
    loudspeaker.submit(Urgency.REPLY, 4, list)
    loudspeaker.submit(Urgency.REPLY, 5)
    loudspeaker.end_each()
    assert loudspeaker.falls_silent()
    assert loudspeaker.played == [1, 5]
    assert caplog.messages == [
        "sound 2 is left out: it would sound 26 s late",
        "sound 3 is left out: there is no espeak-ng",
    ]


def test_of_too_much_the_least_urgent_is_left_out_first(loudspeaker: Loudspeaker) -> None:
    loudspeaker.submit(Urgency.RING, 1)
    assert eventually(lambda: loudspeaker.played == [1])
    for number in (2, 3):
        loudspeaker.submit(Urgency.ANNOUNCEMENT, number)
    rings = range(4, 4 + SOUNDS_WAITING - 1)
    for number in rings:
        loudspeaker.submit(Urgency.RING, number)
    loudspeaker.end_each()
    assert loudspeaker.falls_silent()
    assert loudspeaker.played == [1, *rings, 3]


def test_after_its_end_nothing_sounds(loudspeaker: Loudspeaker) -> None:
    loudspeaker.submit(Urgency.RING, 1)
    assert eventually(lambda: loudspeaker.played == [1])
    loudspeaker.channel.close()
    loudspeaker.channel.close()
    loudspeaker.submit(Urgency.RING, 2)
    assert loudspeaker.played == [1]
    assert loudspeaker.channel.player_pid is None


def tone(frequency: float, rate: int, channels: int = 1) -> Sound:
    samples = 8000 * np.sin(2 * np.pi * frequency * np.arange(rate // 2) / rate)
    return Sound(np.repeat(samples.astype(np.int16)[:, np.newaxis], channels, axis=1), rate)


def test_parts_of_other_rates_and_channels_follow_without_a_gap() -> None:
    both = joined([tone(440, 44100, channels=2), tone(660, 16000)])
    assert (both.sample_rate, both.samples.shape) == (44100, (44100, 2))
    second = both.samples[22050:, 1].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(second))) == 330  # half a second: 2 Hz each
    expected = tone(660, 44100).samples[:, 0].astype(float)
    # But for the edges, where a tone that starts at once has no band.
    assert np.abs(second - expected)[200:-200].max() < 80
    one = tone(440, 8000)
    assert joined([one]) is one


def test_a_slower_rate_has_no_tone_that_it_cannot_hold() -> None:
    low = resampled(tone(6000, 44100), 8000)
    assert np.abs(low[200:-200]).max() < 80
    assert len(low) == 4000
