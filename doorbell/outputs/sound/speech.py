"""What is spoken: a text becomes a sound, by espeak-ng.

It runs as a program of its own, for a moment, and gets the text by its standard input, so that no
name is ever an option to it.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import unicodedata
import wave
from collections.abc import Mapping

from doorbell.errors import SoundError
from doorbell.outputs.sound.synthesis import LONGEST_SECONDS, Sound
from doorbell.phrases import Language

PROGRAM = "espeak-ng"
INSTALL = "sudo apt install espeak-ng"
# Its own names of voices (espeak-ng --voices).
VOICES: Mapping[Language, str] = {"en": "en-gb", "de": "de"}
# A sentence with the longest name is shorter; most take some fifteen seconds to say.
LONGEST_TEXT = 240
# A sentence takes a twentieth of a second on a laptop, and half a second on a slow machine.
SPEAK_SECONDS = 4.0
# Beside letters, marks and digits. All else could be a command to espeak-ng: brackets hold its own
# phonemes, a control character begins a command, angle brackets a tag of SSML.
_PUNCTUATION = " .,!?'\u2019-&"


def speak(
    text: str, language: Language, *, program: str = PROGRAM, wait_seconds: float = SPEAK_SECONDS
) -> Sound:
    """Speak a text, on the calling thread: for at most some seconds.

    Args:
        text: words, of which only letters, digits and punctuation are spoken, to some length.
        language: how they are pronounced.
        program: what speaks, as ``espeak-ng`` does.
        wait_seconds: for how long at most.

    Raises:
        SoundError: espeak-ng is not there, or does not speak.
    """
    command = [program, "-b", "1", "-v", VOICES[language], "--stdin", "--stdout"]
    try:
        spoken = subprocess.run(
            command,
            input=words_of(text).encode(),
            capture_output=True,
            timeout=wait_seconds,
            check=True,
        ).stdout
        return _sound_of(spoken)
    except FileNotFoundError as exc:
        raise _missing(program) from exc
    except (OSError, subprocess.SubprocessError, wave.Error, EOFError, ValueError) as exc:
        raise SoundError(
            f"{program} did not speak ({_reason(exc)}); try: {program} -v {VOICES[language]} hello"
        ) from exc


def require_speech(program: str = PROGRAM) -> None:
    """See that there is what speaks, and let nothing speak.

    Raises:
        SoundError: espeak-ng is not there.
    """
    if shutil.which(program) is None:
        raise _missing(program)


def words_of(text: str) -> str:
    """What of a text is spoken: letters, digits and punctuation, ``LONGEST_TEXT`` at most."""
    text = unicodedata.normalize("NFC", text)
    kept = "".join(each if _is_spoken(each) else " " for each in text)
    return " ".join(kept.split())[:LONGEST_TEXT]


def _missing(program: str) -> SoundError:
    return SoundError(f"cannot speak without {program}; install it with: {INSTALL}")


def _is_spoken(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character)[0] in "LMN"


def _sound_of(spoken: bytes) -> Sound:
    with wave.open(io.BytesIO(spoken), "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            msg = "it gave another form of sound"
            raise ValueError(msg)
        rate = file.getframerate()
        # The header of what goes to a pipe says 2 GB: what is there is read.
        data = file.readframes(len(spoken) // 2)
    data = data[: 2 * round(LONGEST_SECONDS * rate)]  # names in other alphabets are spelled out
    sound = Sound.of_pcm(data, rate)
    if not len(sound.samples):
        msg = "it gave no sound"
        raise ValueError(msg)
    return sound


def _reason(exc: Exception) -> str:
    if isinstance(exc, subprocess.CalledProcessError):
        said: bytes = exc.stderr
        return said.decode(errors="replace").strip() or f"it ended with code {exc.returncode}"
    if isinstance(exc, subprocess.TimeoutExpired):
        return f"no answer within {exc.timeout:.0f} s"
    return str(exc)
