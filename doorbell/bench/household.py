"""A household around a real daemon: a broker, a subscriber and a service manager's socket.

Enters: settings of the daemon. Leaves: when it said that it watches, and which events reached the
subscriber when, by the wall clock. Measures nothing itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from doorbell.broker import HOST, EmbeddedBroker
from doorbell.camera.scene import SceneScript
from doorbell.config import Config
from doorbell.errors import BrokerError, DoorbellError

MOSQUITTO_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
START_SECONDS, STOP_SECONDS = 30.0, 10.0
POLL_SECONDS = 0.01
EVENT_TOPIC = "doorbell/+/event"
BEGAN = re.compile(r"the scene began at ([\d.]+)")
# Whatever of the configuration the daemon's speed depends on.
SECTIONS = ("inference", "detection", "tracking", "recognition", "attention")


@dataclass(frozen=True, slots=True)
class Heard:
    """An event at the subscriber.

    Attributes:
        at: wall time.
        kind: its ``event_type``.
    """

    at: float
    kind: str


@contextmanager
def open_broker(scratch: Path) -> Iterator[tuple[int, str]]:
    """Start mosquitto if it is installed, else the embedded broker; its port and its name.

    Raises:
        BrokerError: neither can be started.
    """
    places = os.pathsep.join([os.environ.get("PATH", ""), MOSQUITTO_PLACES])
    mosquitto = shutil.which("mosquitto", path=places)
    if mosquitto is None:
        with closing(EmbeddedBroker()) as broker:
            yield broker.port, "amqtt, embedded"
        return
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    settings = scratch / "mosquitto.conf"
    settings.write_text(f"listener {port} {HOST}\nallow_anonymous true\n")
    process = subprocess.Popen(
        [mosquitto, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if not wait_for(lambda: _listens(port), START_SECONDS):
            raise BrokerError(f"{mosquitto} does not listen on {HOST}:{port}; try it by hand")
        yield port, "mosquitto"
    finally:
        process.terminate()
        process.wait()


class Subscriber:
    """Hears everything on a topic, and when."""

    def __init__(self, port: int, topic: str = EVENT_TOPIC) -> None:
        self._arrived: list[tuple[float, bytes]] = []
        subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._client.subscribe(topic, qos=1)
        if not subscribed.wait(START_SECONDS):
            raise BrokerError(f"the broker on {HOST}:{port} takes no subscription; try it by hand")

    def heard(self) -> list[Heard]:
        """Events so far."""
        return [Heard(at, json.loads(payload)["event_type"]) for at, payload in self._arrived]

    def payloads(self) -> list[bytes]:
        """Messages so far."""
        return [payload for _, payload in self._arrived]

    def forget(self) -> None:
        """Begin anew."""
        self._arrived.clear()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
        del self._client  # closes its sockets

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self._arrived.append((time.time(), bytes(message.payload)))


class DaemonProcess:
    """``doorbell run`` before a scene.

    Attributes:
        started_at: wall time.
    """

    def __init__(self, config: Config, script: SceneScript, port: int, scratch: Path) -> None:
        scene = scratch / "scene.toml"
        scene.write_text(scene_toml(script))
        self._log = scratch / "log"
        self._notify_path = scratch / "notify"
        self._notify_path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._notify_path))
        self._socket.settimeout(START_SECONDS)
        settings = [
            f"camera.uri=simulated:{scene}",
            "camera.frames_per_second=30",
            f"storage.directory={scratch}",
            "chime.enabled=false",
            "mqtt.enabled=true",
            f"mqtt.host={HOST}",
            f"mqtt.port={port}",
            "visits.absence_seconds=1",
            "visits.cooldown_seconds=0",
            *overrides(config),
        ]
        code = "from doorbell.cli import main; main()"
        command = [sys.executable, "-c", code, "run", "--verbose", "--config", os.devnull]
        for setting in settings:
            command += ["--set", setting]
        environment = {**os.environ, "NOTIFY_SOCKET": str(self._notify_path)}
        with self._log.open("wb") as log:
            self.started_at = time.time()
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def wait_ready(self) -> float:
        """Wait for the first frame to have been processed; the wall time at which that was said.

        Raises:
            DoorbellError: the daemon ended, or never said so.
        """
        try:
            while True:
                message = self._socket.recv(4096)
                if message.startswith(b"READY=1"):
                    return time.time()
        except TimeoutError as exc:
            raise DoorbellError(
                f"the daemon was not ready after {START_SECONDS:.0f} s; "
                f"its log ends:\n{self._end()}"
            ) from exc

    def scene_began_at(self) -> float:
        """Wall time of the scene's first frame."""
        began = BEGAN.search(self._log.read_text())
        if began is None:
            raise DoorbellError(f"the daemon has seen no frame; its log ends:\n{self._end()}")
        return float(began[1])

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def close(self) -> None:
        """End it; idempotent."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._socket.close()

    def _end(self) -> str:
        return "\n".join(self._log.read_text().splitlines()[-4:])


def overrides(config: Config) -> list[str]:
    """What the daemon's speed depends on, as ``--set`` takes it."""
    return [
        f"{name}.{key}={json.dumps(value)}"
        for name in SECTIONS
        for key, value in getattr(config, name).model_dump(mode="json", exclude_none=True).items()
    ]


def scene_toml(script: SceneScript) -> str:
    """Write a script as the simulated camera reads it."""
    lines = [f"duration_seconds = {script.duration_seconds}", f"seed = {script.seed}"]
    for appearance in script.appearances:
        lines.append("[[appearances]]")
        lines += [
            f"{key} = {json.dumps(_plain(getattr(appearance, key)))}"
            for key in appearance.__dataclass_fields__
        ]
    return "\n".join(lines) + "\n"


def _plain(value: object) -> object:
    return str(value.resolve()) if isinstance(value, Path) else value


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll until something is so; whether it came to be."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True
