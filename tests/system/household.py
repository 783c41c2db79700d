"""What a doorbell meets in a household, for real: a broker, a listener and a sound card."""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.outputs.chimes import CHIMES, SAMPLE_RATE

RESOLUTION = 1 << 18
WAV_HEADER_BYTES = 44


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Mosquitto:
    """A broker process on a free port of the loopback device."""

    def __init__(self, folder: Path, *settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", *settings]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen(
            [program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert eventually(self._listens), "mosquitto did not start"

    def freeze(self) -> None:
        """Leave connections open and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Listener:
    """A fresh subscriber of everything, and somebody who sends commands."""

    def __init__(self, port: int) -> None:
        self.messages: list[MQTTMessage] = []
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("#", qos=1)
        assert subscribed.wait(5.0)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5.0)

    def topics(self) -> list[str]:
        return [message.topic.removeprefix("doorbell/front-door/") for message in self.messages]

    def of(self, topic: str) -> list[bytes]:
        return [
            bytes(message.payload)
            for message in self.messages
            if message.topic in (topic, f"doorbell/front-door/{topic}")
        ]

    def documents(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.of(topic)]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(port: int) -> Iterator[Listener]:
    listener = Listener(port)
    try:
        yield listener
    finally:
        listener.close()


class SoundCard:
    """An ALSA default device that writes each sound it plays into one file."""

    def __init__(self, folder: Path) -> None:
        self.recording = folder / "out.wav"
        self._config = folder / "asound.conf"
        self.plug()

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "ALSA_CONFIG_PATH": str(self._config)}

    def plug(self) -> None:
        self._config.write_text(
            'pcm.!default { type file slave.pcm "null" '
            f'file "{self.recording}" format "wav" }}\n'
            "pcm.null { type null }\n"
        )

    def unplug(self) -> None:
        self._config.write_text("pcm.!default { type hw card 29 }\n")

    def hang(self) -> None:
        """Block whoever opens the device, for ever: a pipe that nobody reads."""
        pipe = self.recording.with_suffix(".pipe")
        if not pipe.exists():
            os.mkfifo(pipe)
        self._config.write_text(
            'pcm.!default { type file slave.pcm "null" '
            f'file "{pipe}" format "wav" }}\n'
            "pcm.null { type null }\n"
        )

    def has_recorded(self, seconds: float) -> bool:
        return (
            self.recording.exists() and self.recording.stat().st_size >= 2 * seconds * SAMPLE_RATE
        )

    def take(self) -> np.ndarray:
        """Samples of the last sound; the device is ready for the next."""
        data = self.recording.read_bytes()[WAV_HEADER_BYTES:]
        self.recording.unlink()
        return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64)


def pitches(samples: np.ndarray, name: str) -> list[float]:
    """Strongest frequency, in Hz, at each stroke of the chime that is expected."""
    found = []
    starts = sorted({note.start_seconds for note in CHIMES[name]})
    for start, end in zip(starts, [*starts[1:], starts[-1] + 0.3], strict=True):
        piece = samples[round((start + 0.01) * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), RESOLUTION))
        found.append(float(np.argmax(spectrum)) * SAMPLE_RATE / RESOLUTION)
    return found


def sounds_like(samples: np.ndarray, name: str) -> bool:
    documented = [note.frequency_hz for note in CHIMES[name]]
    measured = pitches(samples, name)
    return np.allclose(measured, documented, rtol=0.01)
