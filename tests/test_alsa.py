"""What is told of a sound device that cannot be used, of all that a program has said."""

import pytest

from doorbell.outputs.sound.alsa import cannot_be_used, last_words

NOT_THERE = "there is no such device"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("aplay: main:831: audio open error: No such file or directory", NOT_THERE),
        ("arecord: main:831: audio open error: No such device", NOT_THERE),
        ("arecord: main:850: audio open error: Device or resource busy", "another program uses it"),
        (
            "aplay: pcm_write:2127: write error: Input/output error",
            "write error: Input/output error",
        ),
        ("aplay: set_params:1370: Channels count non available", "Channels count non available"),
        ("Recording raw data 'stdin' : Mono", "it has ended without a word"),
    ],
)
def test_of_all_that_a_program_has_said_only_the_reason_is_told(words: str, reason: str) -> None:
    said = (
        "ALSA lib confmisc.c:855:(parse_card) cannot find card '0'\n"
        f"ALSA lib pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM attic\n{words}\n"
    )
    told = cannot_be_used("sound device", "attic", last_words(said.encode()), program="aplay")
    assert told == (
        f"the sound device 'attic' cannot be used: {reason}; aplay -L lists those that there are, "
        "and the doorbell's user must be in the group audio"
    )


def test_so_it_is_of_a_library_and_of_the_default_device() -> None:
    said = "SimpleaudioError: Error opening PCM device. -- CODE: -2 -- MSG: No such device"
    for words, reason in ((said, NOT_THERE), ("it\nis lost", "it is lost")):
        told = cannot_be_used("microphone", None, words, program="arecord")
        assert told.startswith(f"the default microphone cannot be used: {reason}; arecord -L lists")
