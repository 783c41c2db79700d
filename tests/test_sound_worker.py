"""The process that decodes recordings: what it cannot do, and what ends it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from confined_process import SAY, TELL, limits, program

from doorbell.errors import SoundError
from doorbell.household.sound_worker import GONE, TOO_LONG, SoundWorker
from doorbell.outputs.sound.decoding import decode_sound
from doorbell.outputs.sound.synthesis import synthesize, wav_of
from doorbell.testbed.recordings import KINDS, encoded

CHIME = synthesize("gong")
WAV = wav_of(CHIME)


@pytest.fixture(scope="module")
def worker() -> Iterator[SoundWorker]:
    with closing(SoundWorker()) as worker:
        yield worker


def test_it_decodes_every_kind_once_it_is_confined(worker: SoundWorker) -> None:
    for kind in KINDS:
        content = encoded(CHIME, kind)
        there, here = worker.decode(content), decode_sound(content)
        assert there.sample_rate == here.sample_rate
        assert np.array_equal(there.samples, here.samples), kind
    assert worker.pid is not None


def test_what_is_no_recording_gets_a_sentence_and_the_process_stays(worker: SoundWorker) -> None:
    worker.decode(WAV)
    pid = worker.pid
    for content in (b"", b"no sound", b"ffconcat version 1.0\nfile /etc/passwd\n", WAV[:60]):
        with pytest.raises(SoundError) as refused:
            worker.decode(content)
        assert ";" in str(refused.value)
    assert worker.pid == pid


def test_it_knows_no_secret_and_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORBELL_PASSWORD", "secret")
    with closing(SoundWorker()) as own:
        own.decode(WAV)
        environment = Path(f"/proc/{own.pid}/environ").read_bytes()
        bounded = limits(own.pid)
        status = Path(f"/proc/{own.pid}/status").read_text(encoding="ascii")
    assert b"secret" not in environment
    assert bounded["Max file size"] == bounded["Max processes"] == "0"
    assert int(bounded["Max address space"]) < 3_000_000_000
    assert int(bounded["Max cpu time"]) < 60
    assert "Seccomp:\t2" in status


TRIES = {
    "socket": "socket.socket(socket.AF_INET)",
    "file": "open(PATH, 'rb')",
    "new file": "open(PATH + '.new', 'wb')",
    "removing": "os.unlink(PATH)",
    "program": "os.execv('/bin/true', ['true'])",
    "process": "os.fork()",
}


def test_code_that_gets_into_it_reaches_nobody_and_no_file(tmp_path: Path) -> None:
    """The process itself tries, with what decodes loaded; it stands for what a decoder may do."""
    secret = tmp_path / "gallery.sqlite"
    secret.write_bytes(b"faces")
    command = program(
        tmp_path,
        TELL,
        f"""
            import os, socket
            from doorbell.errors import SoundError
            from doorbell.household import sound_process

            PATH = {str(secret)!r}

            def trying(content):
                raise SoundError(tell({TRIES!r}))

            sound_process.decode_sound = trying
            sound_process.main()
            """,
    )
    with (
        closing(SoundWorker(command=command)) as worker,
        pytest.raises(SoundError) as tried,
    ):
        worker.decode(WAV)
    assert str(tried.value).split("|") == [f"{name}: Operation not permitted" for name in TRIES]
    assert secret.read_bytes() == b"faces"


def test_who_takes_too_long_or_dies_is_told_of_and_the_next_gets_another() -> None:
    with closing(SoundWorker(reply_seconds=30.0)) as worker:
        worker.decode(WAV)
        first = worker.pid
        assert first is not None
        worker._reply_seconds = 0.3
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(SoundError) as late:
            worker.decode(WAV)
        assert str(late.value) == TOO_LONG
        worker._reply_seconds = 30.0
        worker.decode(WAV)
        second = worker.pid
        assert second not in (None, first)
        os.kill(second or 0, signal.SIGSTOP)  # so that it is in the middle
        threading.Timer(0.2, os.kill, (second, signal.SIGKILL)).start()
        with pytest.raises(SoundError) as died:
            worker.decode(WAV)
        assert str(died.value) == GONE
        assert len(worker.decode(WAV).samples) == len(CHIME.samples)
    with pytest.raises(SoundError, match="the doorbell stops"):
        worker.decode(WAV)


@pytest.mark.parametrize(
    ("told", "samples"),
    [
        ('{"sample_rate": 96000}', 1000),
        ('{"sample_rate": "44100"}', 1000),
        ("{}", 1000),
        ('{"sample_rate": 44100}', 0),
        ('{"sample_rate": 44100}', 999),
        ('{"sample_rate": 44100}', 2 * 44100 * 20 + 2),
        ('{"sample_rate": 48000}', 5_000_000),
    ],
)
def test_whoever_answers_what_it_should_not_is_not_believed(
    tmp_path: Path, told: str, samples: int
) -> None:
    command = program(
        tmp_path,
        SAY,
        f"""
            say({told.encode()!r}, bytes({samples}))
            sys.stdin.buffer.read()
            """,
    )
    with (
        closing(SoundWorker(command=command)) as worker,
        pytest.raises(SoundError) as refused,
    ):
        worker.decode(b"any")
    assert str(refused.value) == GONE


def test_more_memory_than_there_is_for_it_is_said(tmp_path: Path) -> None:
    command = program(
        tmp_path,
        """
            import numpy as np
            from doorbell.household import sound_process
            sound_process.decode_sound = lambda content: np.ones(100_000_000)
            sound_process.main()
            """,
    )
    with (
        closing(SoundWorker(command=command)) as worker,
        pytest.raises(SoundError, match="takes more memory"),
    ):
        worker.decode(WAV)
