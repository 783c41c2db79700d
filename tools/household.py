"""What a doorbell meets in a household, for real: a broker, a listener, a sound card and a camera.

Used by the tests of the whole daemon, by ``tools/faults.py`` and by ``tools/soak.py``. Of the
daemon it knows only how it is started.
"""

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.outputs.chimes import CHIMES, SAMPLE_RATE

CAMERA = Path(__file__).with_name("network_camera.py")
RESOLUTION = 1 << 18
WAV_HEADER_BYTES = 44
# The least that notices soon a broker that is silent.
LISTENER_KEEPALIVE_SECONDS = 5


# As installed beside the interpreter.
DOORBELL = str(Path(sys.executable).with_name("doorbell"))

VISITOR = """
[[appearances]]
portrait = "{faces}/{portrait}.jpg"
face_xyxy = {face_xyxy}
from_x = {from_x}
enters_seconds = {enters}
approach_seconds = {approach}
stays_seconds = {stays}
leave_seconds = {leave}
"""
# Where the face is in each portrait, in pixels.
FACES_XYXY = {"obama": (375, 160, 620, 465), "biden": (400, 215, 735, 540)}


@dataclass(frozen=True)
class Visitor:
    """Who comes straight up the path of a simulated camera, so that no slow machine loses them.

    Attributes:
        portrait: ``obama`` or ``biden``.
        enters: seconds of the scene, as all that follow.
        approach: how long it takes to the door.
        stays: how long they stand there.
        leave: how long it takes to go.
        from_x: where they come from, in widths of the picture.
    """

    enters: float
    approach: float
    stays: float = 250.0
    leave: float = 0.5
    portrait: str = "obama"
    from_x: float = 0.45


def run_command(*settings: str) -> list[str]:
    """``doorbell run`` with these settings, as ``--set`` takes them."""
    return [DOORBELL, "run", *(word for setting in settings for word in ("--set", setting))]


def simulated(folder: Path, models_directory: Path, *visitors: Visitor) -> str:
    """The address of a camera before which these come, over five minutes.

    Args:
        folder: gets the script.
        models_directory: with the portraits.
        visitors: one after the other.
    """
    script = folder / "scene.toml"
    appearances = [
        VISITOR.format(
            faces=models_directory / "faces",
            face_xyxy=list(FACES_XYXY[each.portrait]),
            **asdict(each),
        )
        for each in visitors
    ]
    script.write_text("".join(["duration_seconds = 300\n", *appearances]))
    return f"simulated:{script}"


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something comes to be so in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def free_port() -> int:
    """A port of the loopback device that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """A broker process on a free port of the loopback device, or of a network of its own.

    Args:
        folder: for its files.
        settings: lines of its configuration.
        host: the address that it listens on.
        enter: a command that leads into its network.
    """

    def __init__(
        self, folder: Path, *settings: str, host: str = "127.0.0.1", enter: Sequence[str] = ()
    ) -> None:
        self.host = host
        self.port = free_port()
        self._enter = tuple(enter)
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {host}", f"user {getpass.getuser()}", *settings]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self._process = subprocess.Popen(
            [*self._enter, program, "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not eventually(self._listens):
            raise TimeoutError("mosquitto did not start; try `mosquitto -v`")

    def freeze(self) -> None:
        """Leave connections open and answer nothing."""
        self._signal(signal.SIGSTOP)

    def terminate(self) -> None:
        """Let it end in order, as for an update; it saves what it keeps."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Kill it; idempotent."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise ProcessLookupError("mosquitto does not run; start it")
        self._process.send_signal(number)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, self.port)) == 0


class Listener:
    """A subscriber of everything, and somebody who sends commands.

    Args:
        port, host: of the broker.
        lasting_id: of a subscriber whom the broker keeps messages for; None for a fresh one.
    """

    def __init__(
        self, port: int, host: str = "127.0.0.1", *, lasting_id: str | None = None
    ) -> None:
        self.messages: list[MQTTMessage] = []
        subscribed = threading.Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, lasting_id or "", clean_session=lasting_id is None
        )
        self._client.on_message = lambda _client, _userdata, message: self.messages.append(message)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(host, port, keepalive=LISTENER_KEEPALIVE_SECONDS)
        self._client.loop_start()
        if not subscribed.wait(5.0):
            raise TimeoutError("the broker takes no subscription")

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5.0)

    def send(self, topic: str, payload: bytes) -> None:
        """Send a message that may be lost, without waiting."""
        self._client.publish(topic, payload)

    def topics(self) -> list[str]:
        """Of what was heard, in order; the doorbell's own by their last words."""
        return [message.topic.removeprefix("doorbell/front-door/") for message in self.messages]

    def of(self, topic: str) -> list[bytes]:
        """What was heard on a topic."""
        return [
            bytes(message.payload)
            for message in self.messages
            if message.topic in (topic, f"doorbell/front-door/{topic}")
        ]

    def documents(self, topic: str) -> list[dict[str, Any]]:
        """The same, decoded."""
        return [json.loads(payload) for payload in self.of(topic)]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # closes its sockets


@contextmanager
def listening(port: int) -> Iterator[Listener]:
    """A fresh subscriber for a while."""
    listener = Listener(port)
    try:
        yield listener
    finally:
        listener.close()


class NetworkCamera:
    """A network camera's process, who stands before it, and what is wrong with it.

    Args:
        folder: for its files.
        faces: the folder of portraits; None for a camera that nobody comes to.
    """

    def __init__(self, folder: Path, faces: Path | None = None) -> None:
        self._port = free_port()
        self._faces = faces
        self._stage = folder / "stage.json"
        self._now: dict[str, Any] = {"fault": "live", "visitor": None, "came": 0.0, "left": None}
        self.process: subprocess.Popen[bytes] | None = None
        self._show()

    @property
    def uri(self) -> str:
        """Where it is read, with a password."""
        return f"http://anna:secret@127.0.0.1:{self._port}/door.mjpg"

    def set(self, fault: str) -> None:
        """Give it a fault, or ``live``."""
        self._show(fault=fault)

    def comes(self, visitor: str) -> None:
        """Somebody comes to the door and stays there; ``known`` or ``stranger``."""
        self._show(visitor=visitor, came=time.monotonic(), left=None)

    def goes(self) -> None:
        """Whoever is at the door goes."""
        self._show(left=time.monotonic())

    def plug(self) -> None:
        """Start it."""
        words = [str(self._port), str(self._stage), *([str(self._faces)] if self._faces else [])]
        self.process = subprocess.Popen([sys.executable, str(CAMERA), *words])

    def signal(self, number: signal.Signals) -> None:
        """Stop it or let it go on."""
        if self.process is None:
            raise ProcessLookupError("the camera does not run; plug it in")
        self.process.send_signal(number)

    def unplug(self) -> None:
        """Kill it; idempotent."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _show(self, **changes: Any) -> None:
        self._now.update(changes)
        part = self._stage.with_suffix(".part")
        part.write_text(json.dumps(self._now))
        part.replace(self._stage)


class SoundCard:
    """An ALSA default device that writes each sound it plays into one file."""

    def __init__(self, folder: Path) -> None:
        self.recording = folder / "out.wav"
        self._config = folder / "asound.conf"
        self.plug()

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead a process to it."""
        return {**os.environ, "ALSA_CONFIG_PATH": str(self._config)}

    def plug(self) -> None:
        """Put it in its place."""
        self._config.write_text(
            'pcm.!default { type file slave.pcm "null" '
            f'file "{self.recording}" format "wav" }}\n'
            "pcm.null { type null }\n"
        )

    def unplug(self) -> None:
        """Take it away."""
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
        """Whether so much was played."""
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
    """Whether what was played is a chime, by its tones."""
    documented = [note.frequency_hz for note in CHIMES[name]]
    measured = pitches(samples, name)
    return np.allclose(measured, documented, rtol=0.01)
