"""Why a sound device cannot be used: in one line for people, of what programs and libraries say.

Theirs is for programmers, many lines long, and names no device.
"""

from __future__ import annotations

import re

# As "aplay: main:831: audio open error: No such file or directory", and before it what the library
# says: "ALSA lib pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM attic".
_OF_PROGRAM = re.compile(r"^(?:aplay|arecord): \w+:\d+: (?:audio open error: )?(.+)$", re.MULTILINE)
# As "Error opening PCM device. -- CODE: -2 -- MSG: No such file or directory".
_OF_SIMPLEAUDIO = re.compile(r".* -- CODE: -?\d+ -- MSG: ")
_NOT_THERE = "there is no such device"
_PLAIN = {
    "No such file or directory": _NOT_THERE,
    "No such device": _NOT_THERE,
    "No such device or address": _NOT_THERE,
    "Device or resource busy": "another program uses it",
}


def last_words(said: bytes) -> str:
    """Of all that ``aplay`` or ``arecord`` has printed, its own last words on why it has ended."""
    found = _OF_PROGRAM.findall(said.decode(errors="replace"))
    return str(found[-1]).strip() if found else "it has ended without a word"


def cannot_be_used(what: str, device: str | None, reason: str, *, program: str) -> str:
    """Say which device cannot be used, why, and what to do.

    Args:
        what: it is for people, as in "sound device".
        device: of ALSA; None for its default one.
        reason: by the program or library that has tried.
        program: that lists such devices, ``aplay`` or ``arecord``.
    """
    named = f"the default {what}" if device is None else f"the {what} {device!r}"
    reason = _OF_SIMPLEAUDIO.sub("", " ".join(reason.split()))
    return (
        f"{named} cannot be used: {_PLAIN.get(reason, reason)}; {program} -L lists those that "
        "there are, and the doorbell's user must be in the group audio"
    )
