"""Whether chimes are heard inside and what is said at the door there; speech, and listening."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import islice

import numpy as np

from doorbell.config import Config, control_socket
from doorbell.control.client import Client, is_running
from doorbell.errors import SoundError
from doorbell.outputs.sound.loudspeakers import has_own_door_speaker
from doorbell.outputs.sound.microphone import Microphone
from doorbell.outputs.sound.speaker import Speaker, player_command
from doorbell.outputs.sound.speech import INSTALL, speak
from doorbell.outputs.sound.synthesis import Sound, attention, load_chime
from doorbell.phrases import REPLIES, at_the_door

# Of a tenth of a second each.
LISTENED_PIECES = 5
_LOUDER = "if you heard nothing, turn up the volume (alsamixer)"


def check_sound(config: Config) -> str:
    """Play the default chime inside."""
    chime = config.chime
    if not chime.enabled:
        return "switched off (chime.enabled)"
    _play(load_chime(chime.default), chime.volume, chime.device, "chime.device")
    return f"played {chime.default}; {_LOUDER}"


def check_door_speaker(config: Config) -> str:
    """Play the two notes at the door that go before what is said there."""
    talk = config.talk
    if not talk.enabled:
        return "nothing is said at the door (talk.enabled)"
    if not has_own_door_speaker(config):
        return "what is said at the door is heard where the chimes are (talk.device)"
    _play(attention(), talk.volume, talk.device, "talk.device")
    return f"played two notes at the door; {_LOUDER}"


def check_speech(config: Config) -> str | tuple[str, Sequence[str]]:
    """Speak a sentence, to nobody, where something is spoken.

    Raises:
        SoundError: it cannot, and the configuration asks for it.
    """
    language = config.device.language
    needed_by = list(_needed_by(config))
    if not (needed_by or config.talk.enabled):
        return "nothing is spoken (announcements.enabled, talk.enabled)"
    try:
        speak(at_the_door(None, language), language)
    except SoundError as exc:
        if needed_by:
            raise SoundError(f"{exc}; {' and '.join(needed_by)} needs it") from exc
        return (
            "no quick reply can be spoken at the door, only recordings",
            [f"To have the built-in replies, install espeak-ng: {INSTALL}."],
        )
    return f"speaks {language}"


def check_microphone(
    config: Config, *, door_id: str | None = None
) -> str | tuple[str, Sequence[str]]:
    """Listen at the door for a moment, through the running doorbell where there is one.

    Args:
        config: what is to be checked, of one door.
        door_id: as the running doorbell is asked for it; None for its only one.

    Raises:
        SoundError: it cannot be.
        ControlError: the running doorbell refuses.
    """
    talk = config.talk
    if not talk.microphone:
        return "nobody can listen at the door (talk.microphone)"
    if is_running(control_socket(config)):  # which says so on its pages
        with Client.connect(control_socket(config)) as client:
            heard = [told.blob for told in islice(client.listen(door_id), LISTENED_PIECES)]
    else:
        with (
            closing(Microphone(talk.microphone_device)) as microphone,
            microphone.listen() as listening,
        ):
            heard = [listening.next() for _ in range(LISTENED_PIECES)]
    loudest = int(np.abs(np.frombuffer(b"".join(heard), "<i2").astype(int)).max(initial=0))
    if loudest == 0:
        return (
            "the microphone gives nothing but silence",
            ["To hear the door, unmute its microphone: alsamixer, F4."],
        )
    return f"hears; the loudest was {100 * loudest / 32768:.0f} % of what it can take"


def _needed_by(config: Config) -> Sequence[str]:
    replies = config.replies
    needed = ["announcements.enabled"] if config.announcements.enabled else []
    is_built_in = replies.unanswered in REPLIES[config.device.language]
    if config.talk.enabled and replies.after_seconds and is_built_in:
        needed.append("replies.unanswered")
    return needed


def _play(sound: Sound, volume: float, device: str | None, key: str) -> None:
    try:
        with closing(Speaker(player_command(device))) as speaker:
            speaker.play(sound.at_volume(volume))
    except SoundError as exc:
        if device is None:
            raise
        raise SoundError(f"{key}: {exc}") from exc
