"""No password is to be seen: not in the process list, the log, a status, a message or an answer."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess
from doorbell.testbed.service_manager import ServiceManager
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

# Of the camera, of the broker.
SECRETS = ("swordfish", "marlinspike")


@pytest.fixture
def credentials(tmp_path: Path) -> Path:
    """A directory as systemd hands it to a service."""
    folder = tmp_path / "credentials"
    folder.mkdir(0o700)
    (folder / "camera-uri").write_text(f"rtsp://anna:{SECRETS[0]}@127.0.0.1:9/door\n")
    (folder / "mqtt-password").write_text(f"{SECRETS[1]}\n")
    return folder


def test_no_password_is_to_be_seen(tmp_path: Path, credentials: Path, broker: Mosquitto) -> None:
    config = tmp_path / "doorbell.toml"
    config.write_text(
        '[camera]\nuri_file = "$CREDENTIALS_DIRECTORY/camera-uri"\ntimeout_seconds = 1\n'
        'backend = "opencv"\n'
        f'[storage]\ndirectory = "{tmp_path}"\n'
        "[chime]\nenabled = false\n"
        f'[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = {broker.port}\n'
        'username = "doorbell"\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt-password"\n'
        '[log]\nlevel = "debug"\n'
    )
    secrets = {"CREDENTIALS_DIRECTORY": str(credentials)}
    words = [*DOORBELL, "-v", "run", "--config", str(config)]
    with ServiceManager(tmp_path) as manager, Subscriber(broker.port) as listener:
        environment = {**secrets, **manager.environment}
        with DaemonProcess(words, tmp_path / "log", environment=environment) as daemon:
            assert eventually(lambda: b"online" in listener.of("availability"), 30)
            assert daemon.says("rtsp://***@127.0.0.1:9/door")
            seen = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
            seen += Path(f"/proc/{daemon.pid}/environ").read_bytes()
            # All that is told at the start, so that its last word finds a broker that listens.
            assert eventually(lambda: any("settings" in topic for topic in listener.topics()))
            assert eventually(lambda: listener.of("camera") != [])
        assert eventually(lambda: any("status" in topic for topic in listener.topics()))
        seen += daemon.log.encode() + b"".join(each.payload for each in listener.messages)
        seen += "\n".join(text for _, text in manager.messages).encode()
    checked = subprocess.run(
        [*DOORBELL, "-v", "check", "--config", str(config)],
        env={**os.environ, **secrets},
        check=False,
        capture_output=True,
        timeout=60,
    )
    seen += checked.stdout + checked.stderr

    assert b"STATUS=" in seen
    assert b"accepted us" in seen
    for secret in SECRETS:
        assert secret.encode() not in seen
