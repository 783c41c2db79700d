"""What is heard: the real player on an ALSA device that writes a WAV file, measured by its tones.

Needs libasound2 (the ``file`` and ``null`` plugins are in it), and alsa-utils for ``aplay``.
"""

import importlib.util
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hearing import sounds_like

from doorbell.config import ChimeSection
from doorbell.domain import Person, Ring, Stranger, Visit, Visitor
from doorbell.errors import SoundError
from doorbell.outputs.sound.channel import Channel
from doorbell.outputs.sound.chime import Chime
from doorbell.outputs.sound.player import LIBRARIES, choose_library
from doorbell.outputs.sound.speaker import PLAYER_COMMAND, Speaker, player_command
from doorbell.outputs.sound.synthesis import synthesize
from doorbell.testbed.paced_sound_card import PacedSoundCard
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def ring(visitor: Visitor | None, number: int) -> Ring:
    at = 1000.0 * number
    return Ring(f"e{number}", at, Visit(f"v{number}", at, at, visitor=visitor))


@pytest.fixture
def card(tmp_path: Path) -> SoundCard:
    return SoundCard(tmp_path)


@pytest.fixture
def speaker(card: SoundCard) -> Iterator[Speaker]:
    speaker = Speaker(environment=card.environment)
    yield speaker
    speaker.close()


@pytest.fixture
def channel(speaker: Speaker) -> Iterator[Channel]:
    channel = Channel(None, name="the loudspeaker", speaker=speaker)
    yield channel
    channel.close()


def test_person_stranger_and_default_are_heard_at_their_own_pitches(
    card: SoundCard, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    chime = Chime(ChimeSection(default="westminster", stranger="alert", volume=0.5), channel)
    heard: dict[str, np.ndarray] = {}
    visitors: dict[str, Visitor | None] = {
        "sunrise": Person(1, "Anna", chime="sunrise"),
        "alert": Stranger(1, 0.0, 0.0, 1),
        "westminster": None,
    }
    for number, (name, visitor) in enumerate(visitors.items()):
        chime.handle(ring(visitor, number))
        assert eventually(partial(card.has_recorded, synthesize(name).seconds))
        heard[name] = card.take()
    chime.close()
    for name, samples in heard.items():
        assert [other for other in heard if sounds_like(samples, other)] == [name]
        assert np.abs(samples).max() == pytest.approx(0.5 * 0.89 * 32767, abs=3)
    assert not caplog.records


def has(library: str) -> bool:
    if library == "aplay":
        return shutil.which("aplay") is not None
    if library == "simpleaudio" and sys.version_info >= (3, 12):
        return False
    return importlib.util.find_spec(library) is not None


needs_library = [
    pytest.param(name, marks=pytest.mark.skipif(not has(name), reason=f"{name} is not for here"))
    for name in LIBRARIES
]


@pytest.mark.parametrize("library", needs_library)
def test_each_library_plays_the_whole_sound(card: SoundCard, library: str) -> None:
    speaker = Speaker([*PLAYER_COMMAND, library], environment=card.environment)
    speaker.play(synthesize("alert"))
    samples = card.take()
    speaker.close()
    expected = synthesize("alert").samples[:, 0]
    assert (samples[: len(expected)] == expected).all()


@pytest.mark.parametrize("library", needs_library)
def test_each_library_refuses_a_dead_device(card: SoundCard, library: str) -> None:
    card.unplug()
    speaker = Speaker([*PLAYER_COMMAND, library], environment=card.environment)
    with pytest.raises(
        SoundError,
        match=r"^the default sound device cannot be used: .+; aplay -L lists",
    ):
        speaker.play(synthesize("alert"))
    speaker.close()


@pytest.mark.parametrize("library", needs_library)
def test_each_library_ends_a_sound_when_told_and_plays_the_next(
    tmp_path: Path, library: str
) -> None:
    with (
        PacedSoundCard(tmp_path) as card,
        closing(Speaker([*PLAYER_COMMAND, library], environment=card.environment)) as speaker,
        ThreadPoolExecutor(1) as thread,
    ):
        playing = thread.submit(speaker.play, synthesize("westminster"))
        assert eventually(lambda: bool(card.heard))
        speaker.interrupt()
        assert playing.result() is False
        assert not speaker.play(synthesize("gong"))  # not begun before it is told
        speaker.resume()
        assert speaker.play(synthesize("crystal"))
        assert eventually(lambda: card.is_silent)
        first, second = card.heard
        assert first.ended_at - first.began_at < synthesize("westminster").seconds - 0.5
        assert sounds_like(second.samples, "crystal")


def test_a_named_device_needs_aplay_and_says_so(card: SoundCard, tmp_path: Path) -> None:
    environment = {**card.environment, "PATH": str(tmp_path)}
    with (
        closing(Speaker(player_command("default"), environment=environment)) as speaker,
        pytest.raises(SoundError, match=r"^there is no aplay .*: sudo apt install alsa-utils$"),
    ):
        speaker.play(synthesize("alert"))


def test_the_default_device_is_played_on_by_what_is_safe_and_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {name for name in ("simpleaudio", "miniaudio") if importlib.util.find_spec(name)}
    with_simpleaudio = sys.version_info < (3, 12) and "simpleaudio" in here
    assert choose_library() == ("simpleaudio" if with_simpleaudio else "aplay")
    monkeypatch.setenv("PATH", str(tmp_path))
    without_aplay = "miniaudio" if "miniaudio" in here else "aplay"
    assert choose_library() == ("simpleaudio" if with_simpleaudio else without_aplay)


def test_a_dead_device_is_said_once_and_nobody_waits(
    card: SoundCard, channel: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    card.unplug()
    chime = Chime(ChimeSection(), channel)
    with caplog.at_level(logging.DEBUG, logger="doorbell"):
        started = time.monotonic()
        chime.handle(ring(None, 1))
        chime.handle(ring(None, 2))
        assert time.monotonic() - started < 0.1
        assert eventually(lambda: len(caplog.records) == 2)
        card.plug()
        chime.handle(ring(None, 3))
        assert eventually(lambda: len(caplog.records) == 3)
    chime.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "DEBUG", "INFO"]
    assert "the default sound device cannot be used" in caplog.records[0].message
    assert sounds_like(card.take(), "westminster")


def test_a_device_that_blocks_for_ever_is_given_up_and_heard_again_when_it_is_back(
    card: SoundCard, caplog: pytest.LogCaptureFixture
) -> None:
    speaker = Speaker(environment=card.environment, answer_margin_seconds=0.2)
    told: list[str] = []
    channel = Channel(
        None, name="the loudspeaker", told=told.append, late_seconds=1.0, speaker=speaker
    )
    chime = Chime(ChimeSection(), channel)
    with caplog.at_level(logging.INFO, logger="doorbell"):
        card.hang()
        chime.handle(ring(None, 1))
        chime.handle(ring(None, 3))
        assert eventually(lambda: len(told) == 1)
        assert "has not taken a sound within" in told[0]
        card.plug()
        chime.handle(ring(None, 2))
        assert eventually(lambda: told[1:] == [""])
    chime.close()
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "no sound on the loudspeaker",
        "a chime is left out: it would sound 4 s late",
        "sound is back on the loudspeaker",
    ]
    assert sounds_like(card.take(), "westminster")


def test_a_player_whose_pipes_outlive_it_is_not_waited_for() -> None:
    speaker = Speaker(["sh", "-c", "sleep 4; true"], answer_margin_seconds=0.1)
    started = time.monotonic()
    with pytest.raises(SoundError, match="has not taken a sound"):
        speaker.play(synthesize("alert"))
    assert time.monotonic() - started < synthesize("alert").seconds + 1
    speaker.close()


def test_a_killed_player_is_replaced_for_the_next_ring(card: SoundCard, speaker: Speaker) -> None:
    speaker.play(synthesize("alert"))
    pid = speaker.player_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    card.take()
    speaker.play(synthesize("gong"))
    assert speaker.player_pid != pid
    expected = synthesize("gong").samples[:, 0]
    assert (card.take()[: len(expected)] == expected).all()


def test_the_player_ignores_ctrl_c_and_ends_with_its_parent(card: SoundCard) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import time\n"
            "from doorbell.outputs.sound.speaker import Speaker\n"
            "from doorbell.outputs.sound.synthesis import synthesize\n"
            "speaker = Speaker()\n"
            "speaker.play(synthesize('alert'))\n"
            "print(speaker.player_pid, flush=True)\n"
            "time.sleep(60)\n",
        ],
        env=card.environment,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        player = int(parent.stdout.readline())
        os.kill(player, signal.SIGINT)
        time.sleep(0.2)
        assert Path(f"/proc/{player}/stat").exists()
        parent.kill()
    assert eventually(lambda: not is_running(player), 2.0)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
