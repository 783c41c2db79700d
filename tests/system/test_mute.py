"""What people set, over the end of the daemon: nobody wakes the baby."""

import time
from pathlib import Path

import pytest

from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import WATCHING, DaemonProcess, run_command
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


@pytest.mark.usefixtures("models_directory")
def test_a_mute_outlives_a_kill_with_its_end_and_is_never_told_otherwise(
    broker: Mosquitto, tmp_path: Path
) -> None:
    command = run_command(
        "camera.uri=simulated:",
        "camera.width=320",
        "camera.height=180",
        "camera.frames_per_second=5",
        f"storage.directory={tmp_path}",
        "chime.enabled=false",
        "mqtt.enabled=true",
        "mqtt.host=127.0.0.1",
        f"mqtt.port={broker.port}",
    )
    with Subscriber(broker.port) as listener:
        with DaemonProcess(command, tmp_path / "log") as daemon:
            assert daemon.says(WATCHING)
            listener.publish("doorbell/front-door/mute", b'{"minutes": 90}')
            assert eventually(lambda: listener.of("mute/state")[-1:] == [b"ON"])
            daemon.kill()
        listener.messages.clear()
        with DaemonProcess(command, tmp_path / "log") as daemon:
            assert daemon.says(WATCHING)
            assert eventually(lambda: listener.of("settings") != [])
            told = listener.documents("settings")[-1]
            daemon.kill()
        assert set(listener.of("mute/state")) == {b"ON"}
        assert told["muted"]
        assert told["muted_until"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time()))
