"""Lets a process of its own decode recordings that anybody may have sent; see ``sound_process``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from doorbell.errors import SoundError
from doorbell.household.confined_process import ConfinedProcess, Words
from doorbell.outputs.sound.decoding import SAMPLE_RATES
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound

# The kernel ends it after 20 seconds of a processor; where others have that, it takes longer.
REPLY_SECONDS = 50.0
MAX_REPLY_BYTES = round(2 * LONGEST_SECONDS * max(SAMPLE_RATES))
COMMAND = (sys.executable, "-m", "doorbell.household.sound_process")

TOO_LONG = "this recording took too long to read and was given up; save it anew, as WAV or MP3"
GONE = "this recording could not be read: it is damaged or too large; save it anew, as WAV or MP3"
WORDS = Words(
    too_long=TOO_LONG,
    gone=GONE,
    not_started="what reads recordings cannot be started; is the machine out of memory?",
    closed="the doorbell stops; try again when it is back",
)


class SoundWorker:
    """One such process, or none while there is nothing to do; threads take turns with it.

    Args:
        reply_seconds: how long one answer may take.
        command: that starts it.
    """

    def __init__(
        self, *, reply_seconds: float = REPLY_SECONDS, command: Sequence[str] = COMMAND
    ) -> None:
        self._reply_seconds = reply_seconds
        self._process = ConfinedProcess(
            command, {}, error=SoundError, words=WORDS, max_reply=MAX_REPLY_BYTES
        )

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid

    def close(self) -> None:
        """End the process; idempotent."""
        self._process.close()

    def decode(self, content: bytes) -> Sound:
        """Decode a recording: see ``outputs.sound.decoding``.

        Args:
            content: of its file, whatever that is.

        Raises:
            SoundError: it is no recording, or could not be read; why, in a sentence.
        """
        told, samples = self._process.ask({"do": "decode"}, content, self._reply_seconds)
        rate = told.get("sample_rate")
        # What comes back is believed as little as the file.
        if rate not in SAMPLE_RATES or len(samples) % 2 or not samples:
            raise SoundError(GONE)
        if len(samples) > 2 * LONGEST_SECONDS * rate:
            raise SoundError(GONE)
        return Sound.of_pcm(samples, int(rate))
