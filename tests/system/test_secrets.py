"""No password is to be seen: not in the process list, the log, a status, a message or an answer."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from household import DOORBELL, Mosquitto, eventually, listening

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
    log = tmp_path / "log"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        listening(broker.port) as listener,
        log.open("wb") as written,
    ):
        manager.bind(str(tmp_path / "notify"))
        environment = {
            **os.environ,
            "CREDENTIALS_DIRECTORY": str(credentials),
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
        }
        words = [DOORBELL, "-v", "run", "--config", str(config)]
        daemon = subprocess.Popen(words, env=environment, stdout=written, stderr=written)
        try:
            assert eventually(lambda: b"online" in listener.of("availability"), 30)
            assert eventually(lambda: b"rtsp://***@127.0.0.1:9/door" in log.read_bytes(), 30)
            seen = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
            seen += Path(f"/proc/{daemon.pid}/environ").read_bytes()
        finally:
            daemon.terminate()
            daemon.wait(20)
        assert eventually(lambda: b"status" in b" ".join(t.encode() for t in listener.topics()))
        seen += log.read_bytes() + b"".join(bytes(m.payload) for m in listener.messages)
        manager.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                seen += manager.recv(4096)
    checked = subprocess.run(
        [DOORBELL, "-v", "check", "--config", str(config)],
        env=environment,
        check=False,
        capture_output=True,
        timeout=60,
    )
    seen += checked.stdout + checked.stderr

    assert b"STATUS=" in seen
    assert b"accepted us" in seen
    for secret in SECRETS:
        assert secret.encode() not in seen
