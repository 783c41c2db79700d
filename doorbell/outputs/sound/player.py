"""The sound device, in a process of its own: ``python -m doorbell.outputs.sound.player``.

Ends as soon as stdin does, so it dies with its parent even while a device hangs. A crash in a sound
library ends this process and no other.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from array import array

END_MARGIN_SECONDS = 5.0


class Request(NamedTuple):
    """Samples to play."""

    sample_rate: int
    channels: int
    samples: bytes

    @property
    def seconds(self) -> float:
        """How long they last."""
        return len(self.samples) / (2 * self.channels * self.sample_rate)


Play = Callable[[Request], None]


def play_with_simpleaudio(request: Request) -> None:
    """Play through simpleaudio; safe on Python 3.10 and 3.11, crashes after playback on 3.12."""
    import simpleaudio

    playing = simpleaudio.play_buffer(request.samples, request.channels, 2, request.sample_rate)
    playing.wait_done()


def play_with_miniaudio(request: Request) -> None:
    """Play through miniaudio, on ALSA alone: its null backend would be silence without an error."""
    import miniaudio

    frame_bytes = 2 * request.channels
    finished = threading.Event()

    def feed() -> Generator[bytes | array[int], int, None]:
        wanted = yield b""
        position = 0
        while position < len(request.samples):
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


def play_with_aplay(request: Request) -> None:
    """Play through the ``aplay`` program of alsa-utils."""
    endian = "LE" if sys.byteorder == "little" else "BE"
    form = ["-t", "raw", "-f", f"S16_{endian}", "-r", str(request.sample_rate)]
    result = subprocess.run(
        ["aplay", "-q", *form, "-c", str(request.channels)],
        input=request.samples,
        capture_output=True,
        timeout=request.seconds + END_MARGIN_SECONDS,
        check=False,
    )
    if result.returncode:
        raise OSError(result.stderr.decode(errors="replace").strip() or "aplay failed")


LIBRARIES: dict[str, Play] = {
    "simpleaudio": play_with_simpleaudio,
    "miniaudio": play_with_miniaudio,
    "aplay": play_with_aplay,
}


def choose_library() -> str:
    """Name the first library that is here and safe for this version of Python.

    Chosen by version: a crash after playback does not show at import.
    """
    name = "simpleaudio" if sys.version_info < (3, 12) else "miniaudio"
    try:
        __import__(name)
    except ImportError:
        return "aplay"
    return name


def read_request(stream: BinaryIO) -> Request | None:
    """Read one request; None at the end of the stream, in the middle of one too."""
    header = stream.readline().split()
    if len(header) != 3:
        return None
    rate, channels, size = (int(field) for field in header)
    samples = stream.read(size)
    return Request(rate, channels, samples) if len(samples) == size else None


def main() -> None:
    """Play requests until stdin ends; the first argument names the library, for tests."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which then ends us
    play = LIBRARIES[sys.argv[1] if len(sys.argv) > 1 else choose_library()]
    requests: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def read() -> None:
        while (request := read_request(sys.stdin.buffer)) is not None:
            requests.put(request)
        os._exit(0)  # at once, whatever the device is doing

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while True:
        try:
            play(requests.get())
            answer = "done"
        except Exception as exc:  # noqa: BLE001 the top of the process; the parent says it
            answer = f"error {type(exc).__name__}: {exc}".replace("\n", " ")
        print(answer, flush=True)  # noqa: T201 the protocol


if __name__ == "__main__":
    main()
