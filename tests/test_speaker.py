import os
import signal
import sys
import time
from pathlib import Path

import pytest

from doorbell.errors import SoundError
from doorbell.outputs.sound.speaker import Speaker
from doorbell.outputs.sound.synthesis import synthesize

SOUND = synthesize("alert")
DIES = "import sys; sys.stdin.buffer.readline(); sys.exit(3)"
HANGS = "import time; time.sleep(60)"
ANSWERS = """
import sys
while header := sys.stdin.buffer.readline():
    sys.stdin.buffer.read(int(header.split()[2]))
    print("done", flush=True)
"""


def speaker_of(script: str, answer_margin_seconds: float = 8.0) -> Speaker:
    return Speaker([sys.executable, "-c", script], answer_margin_seconds=answer_margin_seconds)


def test_a_player_that_dies_is_restarted_at_once_and_then_with_pauses() -> None:
    speaker = speaker_of(DIES)
    first = speaker.player_pid
    for _ in range(2):
        with pytest.raises(SoundError, match="ended with code 3"):
            speaker.play(SOUND)
    assert speaker.player_pid is None
    with pytest.raises(SoundError, match="keeps crashing; tried again in 1 s"):
        speaker.play(SOUND)
    time.sleep(1.0)
    with pytest.raises(SoundError, match="ended with code 3"):
        speaker.play(SOUND)
    with pytest.raises(SoundError, match="tried again in 2 s"):
        speaker.play(SOUND)
    assert first is not None
    speaker.close()


def test_a_player_killed_between_two_sounds_is_not_missed() -> None:
    speaker = speaker_of(ANSWERS)
    for _ in range(3):
        speaker.play(SOUND)
        pid = speaker.player_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    speaker.close()


def test_a_player_that_hangs_is_killed_after_a_bounded_time() -> None:
    speaker = speaker_of(HANGS, answer_margin_seconds=0.2)
    started = time.monotonic()
    with pytest.raises(SoundError, match="has not taken a sound within 2 s"):
        speaker.play(SOUND)
    assert time.monotonic() - started < SOUND.seconds + 1.0
    speaker.close()


def test_a_player_that_cannot_be_started_is_said_at_the_first_sound(tmp_path: Path) -> None:
    speaker = Speaker([str(tmp_path / "missing")])
    with pytest.raises(SoundError, match="cannot start the player"):
        speaker.play(SOUND)
    speaker.close()


def test_a_closed_speaker_is_silent_and_leaves_no_process() -> None:
    speaker = speaker_of(ANSWERS)
    pid = speaker.player_pid
    assert pid is not None
    speaker.close()
    speaker.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(SoundError, match="closed"):
        speaker.play(SOUND)
