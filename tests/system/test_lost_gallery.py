"""The daemon as a process whose gallery is deleted while it watches."""

from pathlib import Path

import pytest

from doorbell.gallery.backup import back_up
from doorbell.gallery.gallery import Gallery
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


def test_a_gallery_that_is_deleted_silences_nothing_and_is_told_with_what_to_do(
    tmp_path: Path, faces: Path, broker: Mosquitto
) -> None:
    storage = tmp_path / "storage"
    path = storage / "gallery.sqlite"
    Gallery.open(path).close()
    backup = back_up(path, None, 1_700_000_000.0)
    sound = SoundCard(tmp_path)
    settings = [
        f"camera.uri={simulated(tmp_path, faces, Visitor(enters=2.0, approach=0.5))}",
        "camera.width=640",
        "camera.height=360",
        "camera.frames_per_second=10",
        f"storage.directory={storage}",
        "mqtt.enabled=true",
        "mqtt.host=127.0.0.1",
        f"mqtt.port={broker.port}",
    ]
    with (
        Subscriber(broker.port) as listener,
        DaemonProcess(
            run_command(*settings), tmp_path / "log", environment=sound.environment
        ) as daemon,
    ):
        assert eventually(lambda: listener.documents("storage") != [], 30.0), daemon.log
        for part in storage.glob("gallery.sqlite*"):
            part.unlink()

        def kinds() -> list[str]:
            return [each["event_type"] for each in listener.documents("event")]

        assert eventually(lambda: "ring" in kinds()), daemon.log
        assert kinds() == ["arrived", "unknown", "ring"]
        assert listener.documents("event")[1]["stranger"].startswith("new-stranger-")
        assert eventually(lambda: len(listener.documents("storage")) == 2), daemon.log
        told = listener.documents("storage")[1]
        assert told["condition"] == "failed"
        assert f"doorbell gallery restore {backup}" in told["reason"]
        listener.publish("doorbell/front-door/ring", b"")
        assert eventually(lambda: kinds().count("ring") == 2), daemon.log
        assert eventually(lambda: sound.has_recorded(0.5))
        assert daemon.terminate(10.0) == 0, daemon.log
    assert not path.exists()
    assert daemon.log.count("ERROR") == 1
