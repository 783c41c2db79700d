"""Listening at the door: a real ``arecord`` on ALSA devices that are a file and a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doorbell.config import Config, ControlSection, TalkSection
from doorbell.control.client import Client
from doorbell.daemon.control.output import ControlOutput
from doorbell.daemon.control.server import ControlServer
from doorbell.daemon.control.talk import TalkRequests
from doorbell.errors import RefusedError, SoundError
from doorbell.outputs.sound.microphone import LISTENERS, PIECE_BYTES, Listening, Microphone
from doorbell.status import DoorAnswered, MicrophoneState, State
from doorbell.testbed.microphone import DEVICE, MicrophoneFile
from doorbell.testbed.waiting import eventually

PIECE = PIECE_BYTES // 2
SPOKEN = np.random.default_rng(5).integers(-9000, 9000, 32000).astype("<i2")
OPEN, CLOSED = MicrophoneState(True), MicrophoneState(False)


@pytest.fixture
def file(tmp_path: Path) -> MicrophoneFile:
    return MicrophoneFile(tmp_path, SPOKEN)


def children() -> set[int]:
    """Processes that this one has started and not buried."""
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        found |= {int(each) for each in (thread / "children").read_text().split()}
    return found


def is_what_was_said(pieces: list[bytes]) -> bool:
    """Whether each is of what was said, in its order; a loaded machine leaves some out."""
    said = [SPOKEN[at : at + PIECE].tobytes() for at in range(0, len(SPOKEN), PIECE)]
    places = [said.index(piece) if piece in said else -1 for piece in pieces]
    return places == sorted(places) and places[0] >= 0


def heard(microphone: Microphone, pieces: int = 5) -> list[bytes]:
    with microphone.listen() as listening:
        return [listening.next() for _ in range(pieces)]


def test_the_microphone_is_open_while_somebody_listens_and_no_longer(file: MicrophoneFile) -> None:
    told: list[State] = []
    before = children()
    microphone = Microphone(DEVICE, publish=told.append, environment=file.environment)
    assert (told, children()) == ([CLOSED], before)
    with microphone.listen() as one:
        assert told == [CLOSED, OPEN]
        assert is_what_was_said([one.next() for _ in range(5)])
        with microphone.listen() as other:
            assert len(other.next()) == PIECE_BYTES
        assert len(one.next()) == PIECE_BYTES
        assert told == [CLOSED, OPEN]
    assert told == [CLOSED, OPEN, CLOSED]
    assert children() == before
    # Whoever comes next hears what is said then.
    assert is_what_was_said(heard(microphone))
    assert told == [CLOSED, OPEN, CLOSED, OPEN, CLOSED]
    microphone.close()
    with pytest.raises(SoundError, match="about to stop"):
        microphone.listen()


def test_no_more_listen_than_may(file: MicrophoneFile) -> None:
    with closing(Microphone(DEVICE, environment=file.environment)) as microphone:
        all_of_them = [microphone.listen() for _ in range(LISTENERS)]
        with pytest.raises(RefusedError, match="too many listen"):
            microphone.listen()
        all_of_them[0].__exit__()
        assert is_what_was_said(heard(microphone, 1))


def test_nobody_hears_what_is_said_at_the_door_itself(file: MicrophoneFile) -> None:
    sounding = True
    with (
        closing(
            Microphone(DEVICE, environment=file.environment, is_sounding=lambda: sounding)
        ) as microphone,
        microphone.listen() as listening,
    ):
        assert [listening.next() for _ in range(3)] == [b"", b"", b""]
        sounding = False
        assert eventually(lambda: listening.next() != b"")


def end(listening: Listening) -> str:
    """Why there is no more."""
    try:
        while True:
            listening.next()
    except SoundError as error:
        return str(error)


def why(microphone: Microphone) -> str:
    """What ends the listening."""
    with microphone.listen() as listening:
        return end(listening)


def test_a_device_that_is_not_there_hangs_or_dies_says_so_and_comes_back(
    file: MicrophoneFile,
) -> None:
    told: list[State] = []
    with closing(
        Microphone(DEVICE, publish=told.append, environment=file.environment, hang_seconds=0.3)
    ) as microphone:
        file.unplug()
        assert "cannot be used: there is no such device; arecord -L" in why(microphone)
        file.plug()
        file.hang()
        assert "has given nothing for" in why(microphone)
        file.plug()
        with microphone.listen() as listening:
            listening.next()
            [recorder] = [pid for pid in children() if b"arecord" in command(pid)]
            os.kill(recorder, signal.SIGKILL)
            assert "cannot be used: it has ended without a word;" in end(listening)
        assert len(told) == 7
        assert [each == CLOSED for each in told] == [True, *([False, True] * 3)]
        assert is_what_was_said(heard(microphone))


def test_the_microphone_is_closed_with_a_doorbell_that_is_killed(file: MicrophoneFile) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\n"
            "from doorbell.outputs.sound.microphone import Microphone\n"
            "listening = Microphone(sys.argv[1]).listen()\n"
            "listening.next()\n"
            "print('open', flush=True)\n"
            "while True:\n"
            "    listening.next()\n",
            DEVICE,
        ],
        env=file.environment,
        stdout=subprocess.PIPE,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"open\n"
        [recorder] = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        assert b"arecord" in command(int(recorder))
        parent.kill()
    assert eventually(lambda: not command(int(recorder)), 2.0)


def command(pid: int) -> bytes:
    """Of a process; nothing once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


@contextmanager
def served(
    folder: Path,
    told: list[State],
    section: TalkSection,
    microphone: Microphone | None = None,
    said: list[bytes] | None = None,
) -> Iterator[Path]:
    """A control socket at which somebody talks and listens."""

    def say(samples: bytes) -> str:
        (said if said is not None else []).append(samples)
        return "it is said at the door"

    asked = TalkRequests(
        Config(talk=section), say, microphone or Microphone(), told.append, listen_seconds=1.5
    )
    handlers: Mapping[str, Any] = {
        "talk.say": asked.say,
        "talk.listen": lambda request, _blob: asked.listen(request),
        "door.answer": lambda request, _blob: asked.answer(request),
    }
    path = folder / "doorbell.sock"
    with closing(ControlServer(ControlSection(), path, handlers, ControlOutput(18))):
        yield path


def test_who_goes_closes_the_microphone_and_nobody_listens_for_ever(
    tmp_path: Path, file: MicrophoneFile
) -> None:
    told: list[State] = []
    microphone = Microphone(DEVICE, publish=told.append, environment=file.environment)
    with (
        closing(microphone),
        served(tmp_path, told, TalkSection(microphone=True), microphone) as path,
    ):
        with Client.connect(path) as client:
            sounds = client.listen()
            first, second = next(sounds), next(sounds)
            assert first.document == second.document == {"event": "sound"}
            assert is_what_was_said([first.blob, second.blob])
            assert told == [CLOSED, OPEN]
        assert eventually(lambda: told == [CLOSED, OPEN, CLOSED], 1.0)
        with Client.connect(path) as client:
            assert [each.document["event"] for each in client.listen()][-1] == "done"
        file.unplug()
        with Client.connect(path) as client:
            [failed] = client.listen()
        assert failed.document["event"] == "failed"
        assert "cannot be used" in failed.document["error"]


def test_what_is_said_comes_as_it_was_said_and_what_is_none_is_refused(tmp_path: Path) -> None:
    kept, told = list[bytes](), list[State]()
    said = SPOKEN.tobytes()
    with (
        served(tmp_path, told, TalkSection(), said=kept) as path,
        Client.connect(path) as client,
    ):
        assert client.ask("talk.say", said).document["summary"] == "it is said at the door"
        assert kept == [said]
        for wrong, words in ((b"\0" * 480_002, "15 s"), (b"\0" * 9001, "16-bit"), (b"", "nothing")):
            with pytest.raises(RefusedError, match=words):
                client.ask("talk.say", wrong)
        with pytest.raises(RefusedError, match=r"set talk\.microphone"):
            client.ask("talk.listen")
        client.ask("door.answer", how="watched")
        with pytest.raises(RefusedError):
            client.ask("door.answer", how="silenced")
    assert kept == [said]
    assert told == [DoorAnswered("watched", "front-door")]
    with (
        served(tmp_path, told, TalkSection(enabled=False)) as path,
        Client.connect(path) as client,
        pytest.raises(RefusedError, match=r"set talk\.enabled"),
    ):
        client.ask("talk.say", said)
