"""A real doorbell with a loudspeaker inside and one at the door, and players that are killed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hearing import sounds_like

from doorbell.control.client import Client
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import attention
from doorbell.phrases import REPLIES
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.hearing import likeness
from doorbell.testbed.paced_sound_card import Heard, PacedSoundCard
from doorbell.testbed.sound_card import environment_of
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# A busy machine may pause in the middle of a sound.
SILENT_SECONDS = 0.6

CONFIG = """
[device]
language = "de"
[chime]
device = "inside"
default = "crystal"
[talk]
device = "door"
[announcements]
enabled = {announcements}
[replies]
after_seconds = {after_seconds}
"""


@dataclass
class House:
    folder: Path
    inside: PacedSoundCard
    door: PacedSoundCard
    daemon: DaemonProcess

    def ring(self) -> float:
        with self.client() as client:
            client.ask("ring")
        return time.time()

    def client(self) -> Client:
        return Client.connect(self.folder / "doorbell.sock")

    def configure(self, *, announcements: bool, after_seconds: int) -> None:
        text = CONFIG.format(announcements=str(announcements).lower(), after_seconds=after_seconds)
        (self.folder / "doorbell.toml").write_text(text)

    def players(self) -> list[int]:
        """Process ids of the players, by what they were started with."""
        pids = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                words = (process / "cmdline").read_bytes().split(b"\0")
            except FileNotFoundError:
                continue
            if parent == self.daemon.pid and b"doorbell.outputs.sound.player" in words:
                pids.append(int(process.name))
        return pids

    def hears(self, card: PacedSoundCard, count: int) -> list[Heard]:
        """So many sounds more than there were; each to its end, as far as can be heard."""
        assert eventually(
            lambda: (
                len(card.heard) >= count
                and card.is_silent
                and time.time() > card.heard[-1].ended_at + SILENT_SECONDS
            ),
            15.0,
        )
        heard, card.heard = card.heard, []
        return heard


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    command = run_command(
        "camera.uri=simulated:", "camera.loop=true", f"storage.directory={folder}",
        "camera.width=640", "camera.height=360", "camera.frames_per_second=5",
        "recognition.min_face_pixels=1000", "visits.announce_after_seconds=0",
        config=folder / "doorbell.toml",
    )  # fmt: skip
    with ExitStack() as stack:
        inside = stack.enter_context(PacedSoundCard(folder, device="inside"))
        door = stack.enter_context(PacedSoundCard(folder, device="door"))
        (folder / "doorbell.toml").write_text(CONFIG.format(announcements="true", after_seconds=1))
        daemon = stack.enter_context(
            DaemonProcess(command, folder / "log", environment=environment_of(inside, door))
        )
        assert daemon.says(WATCHING)
        yield House(folder, inside, door, daemon)


def says(heard: Heard, sentence: str) -> bool:
    spoken = speak(sentence, "de").samples[:, 0]
    return len(heard.samples) >= len(spoken) and likeness(heard.samples, spoken)[0] > 0.99


def test_a_press_is_heard_announced_and_replied_to(house: House) -> None:
    pressed = house.ring()
    chime, words = house.hears(house.inside, 2)
    assert sounds_like(chime.samples, "crystal")
    assert says(words, "Jemand ist an der Tür")
    assert -0.1 < words.began_at - chime.ended_at < 2.5
    [reply] = house.hears(house.door, 1)
    assert 0.9 < reply.began_at - pressed < 5.0
    notes = attention().samples[:, 0]
    assert likeness(reply.samples[: len(notes)], notes)[0] > 0.99
    # Spoken at half the rate of the notes before.
    spoken = speak(REPLIES["de"]["coming"], "de").samples[:, 0]
    assert likeness(reply.samples[::2], spoken)[0] > 0.95


def test_players_that_are_killed_in_the_middle_cost_no_ring(house: House) -> None:
    for _ in range(3):
        house.ring()
        assert eventually(lambda: bool(house.inside.heard))
        killed = house.players()
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        heard = house.hears(house.inside, 3)  # what was cut, the chime anew, and who it is
        assert len(heard[0].samples) < len(heard[1].samples)
        assert sounds_like(heard[1].samples, "crystal")
        assert says(heard[2], "Jemand ist an der Tür")
    assert house.daemon.exit_code is None


def test_what_is_switched_off_while_it_runs_is_silent(house: House) -> None:
    house.configure(announcements=False, after_seconds=0)
    house.daemon.signal(signal.SIGHUP)
    assert house.daemon.says("took announcements.enabled, replies.after_seconds", 10.0)
    assert eventually(lambda: house.inside.is_silent and house.door.is_silent)
    house.inside.heard.clear()
    house.door.heard.clear()
    house.ring()
    time.sleep(0.3)
    [chime] = house.hears(house.inside, 1)
    assert sounds_like(chime.samples, "crystal")
    time.sleep(0.7)
    assert not house.inside.heard
    assert not house.door.heard


def test_a_device_is_changed_by_a_restart_and_that_is_said(house: House) -> None:
    path = house.folder / "doorbell.toml"
    path.write_text(path.read_text().replace('device = "inside"', 'device = "elsewhere"'))
    house.daemon.signal(signal.SIGHUP)
    assert house.daemon.says("these take a restart of the doorbell: chime.device", 10.0)
