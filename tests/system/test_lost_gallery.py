"""The daemon as a process whose gallery is deleted while it watches."""

import signal
import subprocess
from pathlib import Path

import pytest
from household import Mosquitto, SoundCard, Visitor, eventually, listening, run_command, simulated

from doorbell.recognition.gallery import Gallery
from doorbell.recognition.gallery_backup import back_up

pytestmark = pytest.mark.system


def test_a_gallery_that_is_deleted_silences_nothing_and_is_told_with_what_to_do(
    tmp_path: Path, models_directory: Path
) -> None:
    storage = tmp_path / "storage"
    path = storage / "gallery.sqlite"
    Gallery.open(path).close()
    backup = back_up(path, None, 1_700_000_000.0)
    broker, sound = Mosquitto(tmp_path, "allow_anonymous true"), SoundCard(tmp_path)
    broker.start()
    settings = [
        f"camera.uri={simulated(tmp_path, models_directory, Visitor(enters=2.0, approach=0.5))}",
        "camera.width=640",
        "camera.height=360",
        "camera.frames_per_second=10",
        f"storage.directory={storage}",
        "mqtt.enabled=true",
        "mqtt.host=127.0.0.1",
        f"mqtt.port={broker.port}",
    ]
    log = tmp_path / "log"
    with listening(broker.port) as listener, log.open("wb") as file:
        process = subprocess.Popen(run_command(*settings), stderr=file, env=sound.environment)
        try:
            assert eventually(lambda: listener.documents("storage") != [], 30.0), log.read_text()
            for part in storage.glob("gallery.sqlite*"):
                part.unlink()

            def kinds() -> list[str]:
                return [each["event_type"] for each in listener.documents("event")]

            assert eventually(lambda: "ring" in kinds()), log.read_text()
            assert kinds() == ["arrived", "unknown", "ring"]
            assert listener.documents("event")[1]["stranger"].startswith("new-stranger-")
            assert eventually(lambda: len(listener.documents("storage")) == 2), log.read_text()
            told = listener.documents("storage")[1]
            assert told["condition"] == "failed"
            assert f"doorbell gallery restore {backup}" in told["reason"]
            listener.publish("doorbell/front-door/ring", b"")
            assert eventually(lambda: kinds().count("ring") == 2), log.read_text()
            assert eventually(lambda: sound.has_recorded(0.5))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10.0) == 0, log.read_text()
            broker.stop()
    assert not path.exists()
    assert log.read_text().count("ERROR") == 1
