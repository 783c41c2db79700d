"""All that sounds in a house, put together as in the daemon, on ALSA devices of its own."""

from datetime import time
from pathlib import Path

import numpy as np

from doorbell.config import (
    AnnouncementsSection,
    ChimeSection,
    Config,
    DeviceSection,
    RepliesSection,
    TalkSection,
)
from doorbell.domain import Reply
from doorbell.errors import UsageError
from doorbell.outputs.sound.announcements import Announcements
from doorbell.outputs.sound.channel import Channel
from doorbell.outputs.sound.chime import Chime
from doorbell.outputs.sound.door_voice import DoorVoice
from doorbell.outputs.sound.quiet import QuietTimes
from doorbell.outputs.sound.speaker import ANSWER_MARGIN_SECONDS, Speaker, player_command
from doorbell.outputs.sound.speech import speak
from doorbell.outputs.sound.synthesis import Sound, wav_of
from doorbell.status import Message, State
from doorbell.testbed.hearing import likeness
from doorbell.testbed.paced_sound_card import Heard, PacedSoundCard
from doorbell.testbed.sound_card import environment_of
from doorbell.testbed.waiting import eventually

NOON, NIGHT = time(12), time(23)
RATE = 44100


def noise(seconds: float, seed: int, rate: int = RATE) -> Sound:
    """A sound that is like no other."""
    samples = np.random.default_rng(seed).integers(-9000, 9000, (round(seconds * rate), 1))
    return Sound(samples.astype(np.int16), rate)


CHIME, REPLY = noise(0.3, 1), noise(2.5, 2)


class OneReply:
    """A library with a recording."""

    def check(self, reply_id: str) -> Reply:
        if reply_id != "coming":
            raise UsageError(f"there is no reply {reply_id!r}")
        return Reply("coming", "We are coming", is_recording=True, seconds=REPLY.seconds)

    def load(self, reply_id: str) -> Sound:
        self.check(reply_id)
        return REPLY


class House:
    """All that sounds, put together as in the daemon."""

    def __init__(
        self,
        folder: Path,
        *,
        shared: bool = False,
        after_seconds: int = 0,
        names_door: bool = False,
        now: time = NOON,
        margin_seconds: float = ANSWER_MARGIN_SECONDS,
    ) -> None:
        chime_path = folder / "chime.wav"
        chime_path.write_bytes(wav_of(CHIME))
        self.inside = PacedSoundCard(folder)
        self.door = self.inside if shared else PacedSoundCard(folder, device="door")
        self.told: list[State] = []
        self.problems: dict[str, list[str]] = {"default": [], "door": []}
        config = Config(
            chime=ChimeSection(
                default=str(chime_path),
                stranger=str(chime_path),
                volume=0.5,
                quiet_from=time(22),
                quiet_to=time(7),
                quiet_volume=0.25,
                cooldown_seconds=0.0,
            ),
            announcements=AnnouncementsSection(enabled=True),
            device=DeviceSection(name="Garden gate"),
            talk=TalkSection(volume=0.5),
            replies=RepliesSection(after_seconds=after_seconds),
        )
        self._margin_seconds = margin_seconds
        self._environment = environment_of(*{self.inside, self.door})
        self.inside_channel = self.channel("default")
        self.door_channel = self.inside_channel if shared else self.channel("door")

        def local_time(_at: float) -> time:
            return now

        def quiet() -> QuietTimes:
            return QuietTimes(config.chime, local_time=local_time)

        self.announcements = Announcements(
            config, self.inside_channel, names_door=names_door, quiet=quiet()
        )
        self.chime = Chime(
            config.chime,
            self.inside_channel,
            on_choice=self.announcements.follow,
            local_time=local_time,
        )
        self.voice = DoorVoice(
            config, self.door_channel, OneReply(), publish=self.told.append, quiet=quiet()
        )

    def channel(self, device: str) -> Channel:
        speaker = Speaker(
            player_command(device),
            environment=self._environment,
            answer_margin_seconds=self._margin_seconds,
        )
        return Channel(device, name=device, told=self.problems[device].append, speaker=speaker)

    def handle(self, *messages: Message) -> None:
        for message in messages:
            for sink in (self.announcements, self.chime, self.voice):
                sink.handle(message)

    def close(self) -> None:
        for each in (self.voice, self.chime, self.announcements, self.inside, self.door):
            each.close()

    def falls_silent(self) -> bool:
        channels = (self.inside_channel, self.door_channel)
        return eventually(
            lambda: (
                not any(channel.is_sounding for channel in channels)
                and self.inside.is_silent
                and self.door.is_silent
            )
        )


def samples_of(sound: Sound) -> np.ndarray:
    return sound.samples[:, 0]


def holds(heard: np.ndarray, sent: np.ndarray) -> bool:
    """Whether all of a sound is in what was heard."""
    return len(heard) >= len(sent) and likeness(heard, sent)[0] > 0.99


def is_whole(heard: Heard, sound: Sound) -> bool:
    return holds(heard.samples, samples_of(sound))


def says(heard: Heard, sentence: str, language: str = "en") -> bool:
    return is_whole(heard, speak(sentence, language))  # type: ignore[arg-type]
