import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time, timezone
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbell.config import ChimeSection
from doorbell.domain import Arrived, Person, Ring, Stranger, UnknownReason, Visit, Visitor
from doorbell.errors import ConfigError
from doorbell.outputs.sound.channel import Channel
from doorbell.outputs.sound.chime import (
    Chime,
    ChimeChoice,
    Choice,
    Silence,
    choose_chime,
)
from doorbell.outputs.sound.quiet import local_time_at, with_settings
from doorbell.outputs.sound.speaker import Speaker
from doorbell.status import MuteState, SettingsState
from doorbell.testbed.waiting import eventually

ANNA = Person(1, "Anna", chime="sunrise")
BEN = Person(2, "Ben")
SOMEBODY = Stranger(1, 0.0, 0.0, 1)
NOON = time(12)

# Speaks the player's protocol and writes down sample rate, channels, size and peak.
RECORDER = """
import array, sys
while header := sys.stdin.buffer.readline():
    rate, channels, size = map(int, header.split())
    samples = array.array("h", sys.stdin.buffer.read(size))
    with open(sys.argv[1], "a") as file:
        print(rate, channels, size, max(samples), file=file)
    print("done", flush=True)
"""
# Refuses until a file appears, as a device that is plugged in does.
UNPLUGGED = """
import os, sys
while header := sys.stdin.buffer.readline():
    sys.stdin.buffer.read(int(header.split()[2]))
    print("done" if os.path.exists(sys.argv[1]) else "error no device", flush=True)
"""

numbers = count()


def ring(visitor: Visitor | None, at: float = 0.0, *, in_sight: bool = True) -> Ring:
    visit = Visit(f"v{next(numbers)}", at, at, visitor=visitor) if in_sight else None
    return Ring(f"e{next(numbers)}", at, visit)


def utc(epoch_seconds: float) -> time:
    return datetime.fromtimestamp(epoch_seconds, timezone.utc).time()


@pytest.fixture
def played(tmp_path: Path) -> Path:
    return tmp_path / "played"


@pytest.fixture
def channel(played: Path) -> Iterator[Channel]:
    speaker = Speaker([sys.executable, "-c", RECORDER, str(played)])
    channel = Channel(None, name="a loudspeaker", speaker=speaker)
    yield channel
    channel.close()


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (ring(ANNA), "sunrise"),
        (ring(BEN), "gong"),
        (ring(SOMEBODY), "horn"),
        (ring(None), "gong"),
        (ring(None, in_sight=False), "gong"),
    ],
)
def test_each_visitor_has_a_chime(event: Ring, name: str) -> None:
    section = ChimeSection(default="gong", stranger="horn", volume=0.5)
    choice = choose_chime(event, section, muted=False, local_time=NOON)
    assert choice == ChimeChoice(name, 0.5)


def test_who_cannot_be_told_has_the_chime_of_strangers() -> None:
    section = ChimeSection(default="gong", stranger="horn", volume=0.5)
    unseen = replace(ring(None), reason=UnknownReason.NO_USABLE_FACE)
    choice = choose_chime(unseen, section, muted=False, local_time=NOON)
    assert choice == ChimeChoice("horn", 0.5)
    assert choose_chime(unseen, section, muted=True, local_time=NOON) == Silence("muted")


def test_off_muted_and_volume_zero_are_silent_with_the_reason() -> None:
    event = ring(ANNA)
    off = ChimeSection(enabled=False)
    assert choose_chime(event, off, muted=True, local_time=NOON) == Silence("chimes are off")
    on = ChimeSection()
    assert choose_chime(event, on, muted=True, local_time=NOON) == Silence("muted")
    low = ChimeSection(volume=0.0)
    assert choose_chime(event, low, muted=False, local_time=NOON) == Silence("volume is 0")


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        (time(21, 59, 59), False),
        (time(22, 0), True),
        (time(23, 59, 59), True),
        (time(0, 0), True),
        (time(6, 59, 59), True),
        (time(7, 0), False),
        (NOON, False),
    ],
)
def test_quiet_hours_cross_midnight(now: time, quiet: bool) -> None:
    section = ChimeSection(quiet_from=time(22), quiet_to=time(7))
    choice = choose_chime(ring(ANNA), section, muted=False, local_time=now)
    assert choice == (Silence("quiet hours") if quiet else ChimeChoice("sunrise", 0.8))
    softly = section.model_copy(update={"quiet_volume": 0.1})
    choice = choose_chime(ring(ANNA), softly, muted=False, local_time=now)
    assert choice == ChimeChoice("sunrise", 0.1 if quiet else 0.8)


@given(start=st.times(), end=st.times(), now=st.times())
def test_quiet_hours_and_their_opposite_cover_the_day(start: time, end: time, now: time) -> None:
    if start == end:
        return
    silent = [
        choose_chime(
            ring(ANNA),
            ChimeSection(quiet_from=one, quiet_to=other),
            muted=False,
            local_time=now,
        )
        == Silence("quiet hours")
        for one, other in ((start, end), (end, start))
    ]
    assert sorted(silent) == [False, True]


def test_a_label_hides_the_folders_of_a_file() -> None:
    assert ChimeChoice("westminster", 1.0).label == "westminster"
    assert ChimeChoice("/home/anna/sounds/moo.wav", 1.0).label == "moo"


def test_local_time_is_the_machines() -> None:
    assert local_time_at(1e9) == datetime.fromtimestamp(1e9).astimezone().time()


def test_a_ring_plays_at_its_volume_and_nothing_else_does(channel: Channel, played: Path) -> None:
    chime = Chime(ChimeSection(volume=0.5), channel)
    chime.handle(Arrived("e", 0.0, Visit("v", 0.0, 0.0, visitor=ANNA)))
    chime.handle(ring(ANNA))
    chime.close()
    rate, channels, size, peak = map(int, played.read_text().split())
    assert (rate, channels) == (44100, 1)
    assert size == 2 * round(44100 * 2.2 + 1)
    assert abs(peak - 0.5 * 0.89 * 32767) < 3


def test_who_presses_is_heard_within_the_cooldown(channel: Channel) -> None:
    told: list[Choice] = []
    chime = Chime(
        ChimeSection(cooldown_seconds=10.0),
        channel,
        on_choice=lambda _, choice: told.append(choice),
    )
    for event in (ring(ANNA, 0.0), replace(ring(ANNA, 1.0), pressed=True), ring(ANNA, 2.0)):
        chime.handle(event)
    chime.close()
    assert [isinstance(choice, ChimeChoice) for choice in told] == [True, True, False]


def test_cooldown_counts_by_visitor_and_presses_are_always_heard(channel: Channel) -> None:
    told: list[tuple[Ring, Choice]] = []
    now = 0.0
    chime = Chime(
        ChimeSection(cooldown_seconds=10.0),
        channel,
        on_choice=lambda event, choice: told.append((event, choice)),
        now_seconds=lambda: now,
    )
    for event in (
        ring(ANNA, 0.0),
        ring(BEN, 1.0),
        ring(SOMEBODY, 2.0),
        ring(None, 3.0, in_sight=False),
        ring(None, 3.0, in_sight=False),
        ring(ANNA, 9.0),
        ring(Person(1, "Anna renamed", chime="sunrise"), 9.9),
        ring(ANNA, 10.0),
    ):
        now = event.occurred_at
        chime.handle(event)
    chime.close()
    assert [choice.name if isinstance(choice, ChimeChoice) else choice for _, choice in told] == [
        "sunrise",
        "westminster",
        "alert",
        "westminster",
        "westminster",
        Silence("rang 9 s ago"),
        Silence("rang 10 s ago"),
        "sunrise",
    ]


def test_a_clock_that_is_set_moves_no_cooldown(channel: Channel) -> None:
    told: list[Choice] = []
    now = 0.0
    chime = Chime(
        ChimeSection(cooldown_seconds=10.0),
        channel,
        on_choice=lambda _, choice: told.append(choice),
        now_seconds=lambda: now,
    )
    for wall_time, seconds in ((1e9, 0.0), (2e9, 5.0), (1e9, 11.0), (0.0, 12.0)):
        now = seconds
        chime.handle(ring(ANNA, wall_time))
    chime.close()
    sunrise = ChimeChoice("sunrise", 0.8)
    assert told == [sunrise, Silence("rang 5 s ago"), sunrise, Silence("rang 1 s ago")]


def test_a_muted_ring_starts_no_cooldown(channel: Channel) -> None:
    told: list[Choice] = []
    chime = Chime(ChimeSection(), channel, on_choice=lambda _, choice: told.append(choice))
    chime.handle(MuteState(True))
    chime.handle(ring(ANNA, 0.0))
    chime.handle(MuteState(False))
    chime.handle(ring(ANNA, 1.0))
    chime.close()
    assert told == [Silence("muted"), ChimeChoice("sunrise", 0.8)]


def test_quiet_hours_go_by_the_rings_own_time(channel: Channel) -> None:
    told: list[Choice] = []
    chime = Chime(
        ChimeSection(quiet_from=time(22), quiet_to=time(7)),
        channel,
        on_choice=lambda _, choice: told.append(choice),
        local_time=utc,
    )
    chime.handle(ring(ANNA, 6.5 * 3600))
    chime.handle(ring(ANNA, 7.5 * 3600))
    chime.close()
    assert told == [Silence("quiet hours"), ChimeChoice("sunrise", 0.8)]


def test_a_persons_broken_chime_is_said_once_and_the_default_sounds(
    channel: Channel, played: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chime = Chime(ChimeSection(default="gong", cooldown_seconds=0.0), channel)
    carl = Person(3, "Carl", chime="/nowhere/moo.wav")
    with caplog.at_level(logging.WARNING):
        chime.handle(ring(carl))
        chime.handle(ring(carl))
        chime.close()
    assert len(played.read_text().splitlines()) == 2
    assert [record.message for record in caplog.records] == [
        "the default chime sounds instead: cannot read the chime /nowhere/moo.wav: "
        "No such file or directory; check the path"
    ]


@pytest.mark.parametrize("key", ["default", "stranger"])
def test_a_configured_chime_that_cannot_be_played_stops_the_start(
    channel: Channel, key: str
) -> None:
    with pytest.raises(ConfigError, match=rf"chime\.{key} = 'moo': there is no chime 'moo'"):
        Chime(ChimeSection.model_validate({key: "moo"}), channel)


def test_a_lost_device_is_said_once_and_said_again_when_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    device = tmp_path / "device"
    speaker = Speaker([sys.executable, "-c", UNPLUGGED, str(device)])
    told: list[str] = []
    channel = Channel(None, name="a loudspeaker", told=told.append, speaker=speaker)
    chime = Chime(ChimeSection(cooldown_seconds=0.0), channel)
    with caplog.at_level(logging.DEBUG, logger="doorbell"):
        for _ in range(3):
            chime.handle(ring(ANNA))
        assert eventually(lambda: len(caplog.records) == 3)
        device.touch()
        chime.handle(ring(ANNA))
        assert eventually(lambda: len(caplog.records) == 4)
        device.unlink()
        chime.handle(ring(ANNA))
        assert eventually(lambda: len(caplog.records) == 5)
        chime.close()
    assert [record.levelname for record in caplog.records] == [
        "WARNING",
        "DEBUG",
        "DEBUG",
        "INFO",
        "WARNING",
    ]
    assert "error no device" not in caplog.records[0].message
    assert "no device" in caplog.records[0].message
    assert caplog.records[3].message == "sound is back on a loudspeaker"
    assert [bool(problem) for problem in told] == [True, False, True]


def test_another_configuration_is_taken_under_way_or_refused_whole(channel: Channel) -> None:
    choices: list[Choice] = []
    chime = Chime(ChimeSection(), channel, on_choice=lambda _, choice: choices.append(choice))
    try:
        with pytest.raises(ConfigError, match=r"chime\.stranger"):
            chime.reconfigure(ChimeSection(default="sunrise", stranger="no such", volume=0.1))
        chime.handle(ring(BEN))
        chime.reconfigure(ChimeSection(default="sunrise", volume=0.1))
        chime.handle(ring(None, in_sight=False))
        chime.reconfigure(ChimeSection(enabled=False))
        chime.handle(ring(None, in_sight=False))
    finally:
        chime.close()
    assert choices == [
        ChimeChoice("westminster", 0.8),
        ChimeChoice("sunrise", 0.1),
        Silence("chimes are off"),
    ]


def test_what_people_have_set_goes_before_the_configuration() -> None:
    section = ChimeSection(default="gong", quiet_from=time(22), quiet_to=time(7))
    night = time(23)

    def chosen(settings: SettingsState, now: time = NOON) -> Choice:
        return choose_chime(
            ring(BEN), with_settings(section, settings), muted=False, local_time=now
        )

    assert chosen(SettingsState(0.3, quiet_hours=True)) == ChimeChoice("gong", 0.3)
    assert chosen(SettingsState(0.3, "horn", quiet_hours=True)) == ChimeChoice("horn", 0.3)
    assert chosen(SettingsState(0.3, quiet_hours=True), night) == Silence("quiet hours")
    assert chosen(SettingsState(0.3, quiet_hours=False), night) == ChimeChoice("gong", 0.3)
    assert chosen(SettingsState(0.0)) == Silence("volume is 0")


def test_a_setting_is_heard_at_the_next_ring(channel: Channel) -> None:
    chosen: list[Choice] = []
    chime = Chime(
        ChimeSection(cooldown_seconds=0.0, volume=0.5),
        channel,
        on_choice=lambda _ring, choice: chosen.append(choice),
        local_time=utc,
    )
    for settings in (SettingsState(0.1, "horn"), SettingsState(0.5)):
        chime.handle(settings)
        chime.handle(ring(BEN, NOON.hour * 3600.0))
    chime.close()
    assert chosen == [ChimeChoice("horn", 0.1), ChimeChoice("westminster", 0.5)]
