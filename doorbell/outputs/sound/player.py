"""The sound device, in a process of its own: ``python -m doorbell.outputs.sound.player``.

Each request is a line with sample rate, channels and bytes, and the samples; it is answered by a
line: ``done``, ``stopped`` or ``error`` and why, for people. The line ``stop`` ends what was asked
before it.

Ends as soon as stdin does, so it dies with its parent even while a device hangs. A crash in a sound
library ends this process and no other.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from doorbell.outputs.sound.alsa import cannot_be_used, last_words

if TYPE_CHECKING:
    from array import array

END_MARGIN_SECONDS = 5.0
STOP_LINE = b"stop\n"


class Stop:
    """Whether a sound is to end before its end; may be set at any time, by another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._ends: list[Callable[[], object]] = []

    @property
    def is_set(self) -> bool:
        """Whether it is to end."""
        return self._is_set

    def set(self) -> None:
        """End the sound now, or as soon as it begins."""
        with self._lock:
            self._is_set = True
            for end in self._ends:
                end()

    def ends_by(self, end: Callable[[], object]) -> None:
        """Have ``end`` called when it is set, or now if it is."""
        with self._lock:
            self._ends.append(end)
            if self._is_set:
                end()


@dataclass(frozen=True)
class Request:
    """Samples to play, 16 bits each."""

    sample_rate: int
    channels: int
    samples: bytes
    stop: Stop = field(default_factory=Stop, compare=False)

    @property
    def seconds(self) -> float:
        """How long they last."""
        return len(self.samples) / (2 * self.channels * self.sample_rate)


Play = Callable[[Request], None]


def play_with_simpleaudio(request: Request) -> None:
    """Play through simpleaudio; safe on Python 3.10 and 3.11, crashes after playback on 3.12."""
    import simpleaudio

    playing = simpleaudio.play_buffer(request.samples, request.channels, 2, request.sample_rate)
    request.stop.ends_by(playing.stop)
    playing.wait_done()


def play_with_miniaudio(request: Request) -> None:
    """Play through miniaudio, on ALSA alone: its null backend would be silence without an error."""
    import miniaudio

    frame_bytes = 2 * request.channels
    finished = threading.Event()
    request.stop.ends_by(finished.set)

    def feed() -> Generator[bytes | array[int], int, None]:
        wanted = yield b""
        position = 0
        while position < len(request.samples) and not request.stop.is_set:
            chunk = request.samples[position : position + wanted * frame_bytes]
            position += len(chunk)
            wanted = yield chunk
        finished.set()

    generator = feed()
    next(generator)
    device = miniaudio.PlaybackDevice(
        nchannels=request.channels,
        sample_rate=request.sample_rate,
        backends=[miniaudio.Backend.ALSA],
    )
    with contextlib.closing(device):
        device.start(generator)
        if not finished.wait(request.seconds + END_MARGIN_SECONDS):
            msg = "the sound device took no samples"
            raise OSError(msg)
        device.stop()  # plays what is buffered first: miniaudio drains an ALSA device


def play_with_aplay(request: Request, device: str | None = None) -> None:
    """Play through the ``aplay`` program of alsa-utils, which can be told the device."""
    if shutil.which("aplay") is None:
        msg = "there is no aplay to play with; install it with: sudo apt install alsa-utils"
        raise FileNotFoundError(msg)
    endian = "LE" if sys.byteorder == "little" else "BE"
    form = ["-t", "raw", "-f", f"S16_{endian}", "-r", str(request.sample_rate)]
    where = [] if device is None else ["-D", device]
    with subprocess.Popen(
        ["aplay", "-q", *where, *form, "-c", str(request.channels)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "LC_ALL": "C"},  # what it says is looked at
    ) as process:
        request.stop.ends_by(process.kill)
        try:
            _, said = process.communicate(request.samples, request.seconds + END_MARGIN_SECONDS)
        finally:
            process.kill()
    if process.returncode and not request.stop.is_set:
        raise OSError(last_words(said))


LIBRARIES: dict[str, Play] = {
    "simpleaudio": play_with_simpleaudio,
    "miniaudio": play_with_miniaudio,
    "aplay": play_with_aplay,
}


def choose_library() -> str:
    """Name what plays on the default device.

    simpleaudio where it is safe, which is a matter of the version of Python: its crash after
    playback does not show at import. Else ``aplay``, then miniaudio. Told to end, simpleaudio takes
    a quarter of a second, aplay 2 ms and miniaudio over half a second (two cores, 2026-11-29).
    """
    if sys.version_info < (3, 12) and _is_here("simpleaudio"):
        return "simpleaudio"
    if shutil.which("aplay") is None and _is_here("miniaudio"):
        return "miniaudio"
    return "aplay"


def _is_here(library: str) -> bool:
    try:
        __import__(library)
    except ImportError:
        return False
    return True


def read_requests(stream: BinaryIO, take: Callable[[Request], object]) -> None:
    """Hand on each request, and stop it where it is to end: at once where the stream ends."""
    last = Stop()
    while line := stream.readline():
        if line == STOP_LINE:
            last.set()
        elif (request := _read_request(line, stream)) is not None:
            last = request.stop
            take(request)
        else:
            break
    last.set()


def _read_request(line: bytes, stream: BinaryIO) -> Request | None:
    header = line.split()
    if len(header) != 3:
        return None
    rate, channels, size = (int(field) for field in header)
    samples = stream.read(size)
    return Request(rate, channels, samples) if len(samples) == size else None


def main() -> None:
    """Play requests until stdin ends.

    The first argument names the library, for tests; the second the ALSA device, for ``aplay``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends us
    library, device = (*sys.argv[1:3], None, None)[:2]
    play = LIBRARIES[library or choose_library()]
    if device is not None:
        play = partial(play_with_aplay, device=device)
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def read() -> None:
        read_requests(sys.stdin.buffer, requests.put)
        os._exit(0)  # at once, whatever the device is doing

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while True:
        request = requests.get()
        try:
            play(request)
            answer = "stopped" if request.stop.is_set else "done"
        except FileNotFoundError as exc:
            answer = f"error {exc}"
        except Exception as exc:  # noqa: BLE001 the top of the process; the parent says it
            reason = str(exc) if isinstance(exc, OSError) else f"{type(exc).__name__}: {exc}"
            told = cannot_be_used("sound device", device, reason, program="aplay")
            answer = f"error {told}"
        print(answer, flush=True)  # noqa: T201 the protocol


if __name__ == "__main__":
    main()
