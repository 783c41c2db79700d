"""The daemon as a process whose disk fills up while somebody is at the door, and empties again."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import groupby
from pathlib import Path

import pytest

from doorbell.config import StorageSection
from doorbell.daemon.run import open_gallery
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.testbed.broker import Mosquitto
from doorbell.testbed.daemon_process import DOORBELL, DaemonProcess, run_command
from doorbell.testbed.scenes import Visitor, simulated
from doorbell.testbed.sound_card import SoundCard
from doorbell.testbed.subscriber import Subscriber
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system

RECOVERY_SECONDS = 10.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes a root who may mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill(path: Path) -> None:
    """Write until nothing more goes in."""
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        path.with_suffix(".more").write_bytes(b"more")


def test_a_gallery_on_a_full_disk_opens_in_place_of_the_oldest_pictures(small_disk: Path) -> None:
    storage = StorageSection(directory=small_disk)
    with Gallery.of(storage) as gallery:
        gallery.strangers.add([], 1.0)
    storage.pictures_directory.mkdir()
    for age in range(12):
        picture = storage.pictures_directory / f"{age}.jpg"
        picture.write_bytes(bytes(100_000))
        os.utime(picture, (1e9 - age, 1e9 - age))
    fill(small_disk / "full")
    with open_gallery(storage) as gallery:
        assert len(gallery.strangers.all()) == 1
        gallery.strangers.add([], 2.0)
    kept = sorted(int(path.stem) for path in storage.pictures_directory.iterdir())
    assert kept == list(range(len(kept)))
    assert 0 < len(kept) < 12


def test_a_gallery_on_a_full_disk_without_pictures_is_read_and_tells_what_is_free(
    small_disk: Path,
) -> None:
    storage = StorageSection(directory=small_disk)
    with Gallery.of(storage) as gallery:
        gallery.strangers.add([], 1.0)
    fill(small_disk / "full")
    with open_gallery(storage) as gallery:
        assert [each.stranger_id for each in gallery.strangers.all()] == [1]
        with pytest.raises(GalleryError, match=f"only 0 bytes are free in {small_disk}"):
            add_strangers(gallery, 1000)


def add_strangers(gallery: Gallery, count: int) -> None:
    for seen_at in range(count):
        gallery.strangers.add([], float(seen_at))


@pytest.mark.parametrize("killed", [False, True])
def test_every_reading_command_works_on_a_full_disk(
    small_disk: Path, tmp_path: Path, *, killed: bool
) -> None:
    script = (
        "import os, sys; from pathlib import Path; from doorbell.gallery.gallery import Gallery;"
        "gallery = Gallery.open(Path(sys.argv[1])); gallery.strangers.add([], 1.0);"
        "gallery.strangers.add([], 7.0);"
        + ("os._exit(0)" if killed else "gallery.close()")  # a log is left, or none
    )
    gallery = small_disk / "gallery.sqlite"
    subprocess.run([sys.executable, "-c", script, gallery], check=True)
    assert gallery.with_name("gallery.sqlite-wal").exists() == killed
    gallery.with_name("gallery.sqlite-shm").unlink(missing_ok=True)  # as after a power cut
    fill(small_disk / "full")

    def read(*words: str) -> str:
        command = [*DOORBELL, "--config", os.devnull, "--set", f"storage.directory={small_disk}"]
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "nobody is enrolled" in read("people", "list")
    assert [each["stranger_id"] for each in json.loads(read("strangers", "list", "--json"))] == [
        1,
        2,
    ]
    assert read("visits", "list")
    assert "every page and reference is right" in read("gallery", "check")
    assert "wrote " in read("gallery", "export", str(tmp_path / "household.jsonl"))
    assert read("gallery", "backup", str(tmp_path / "backup"))
    subprocess.run(["rm", small_disk / "full"], check=True)
    with Gallery.of(StorageSection(directory=small_disk)) as reopened:
        reopened.strangers.add([], 9.0)
        assert len(reopened.strangers.all()) == 3


def test_a_full_disk_silences_nothing_and_what_waited_is_kept_once_there_is_room(
    tmp_path: Path, small_disk: Path, faces: Path, broker: Mosquitto
) -> None:
    sound = SoundCard(tmp_path)
    settings = [
        f"camera.uri={simulated(tmp_path, faces, Visitor(enters=0.5, approach=1.0))}",
        "camera.width=640",
        "camera.height=360",
        "camera.frames_per_second=10",
        f"storage.directory={small_disk}",
        "storage.free_megabytes=0",
        "mqtt.enabled=true",
        "mqtt.host=127.0.0.1",
        f"mqtt.port={broker.port}",
    ]
    filler = small_disk / "filler"
    with (
        Subscriber(broker.port) as listener,
        DaemonProcess(
            run_command(*settings), tmp_path / "log", environment=sound.environment
        ) as daemon,
    ):

        def conditions() -> list[str]:
            told = [each["condition"] for each in listener.documents("storage")]
            return [condition for condition, _ in groupby(told)]  # reasons may change

        assert eventually(lambda: conditions() == ["working"], 30.0), daemon.log
        fill(filler)
        assert eventually(
            lambda: "ring" in [each["event_type"] for each in listener.documents("event")]
        ), daemon.log
        events = [each["event_type"] for each in listener.documents("event")]
        assert events == ["arrived", "unknown", "ring"]
        newcomer = listener.documents("event")[1]["stranger"]
        assert newcomer.startswith("new-stranger-")
        assert eventually(lambda: conditions() == ["working", "failed"]), daemon.log
        assert "full" in listener.documents("storage")[1]["reason"]
        assert eventually(lambda: sound.has_recorded(0.5))

        filler.unlink()
        freed = time.monotonic()
        assert eventually(
            lambda: conditions() == ["working", "failed", "working"], RECOVERY_SECONDS
        ), daemon.log
        assert time.monotonic() - freed < RECOVERY_SECONDS
        assert daemon.terminate(10.0) == 0, daemon.log
        left = json.loads(listener.of("event")[-1])
    assert (left["event_type"], left["stranger"]) == ("left", "stranger-1")
    with Gallery.open(small_disk / "gallery.sqlite") as gallery:
        [visit] = gallery.visits.newest(9)
        assert visit.visitor is not None
        assert visit.visitor.label == "stranger-1"
        assert visit.visit_id == left["visit_id"]
        assert gallery.visits.samples(visit.visit_id) != []
    with closing(sqlite3.connect(small_disk / "gallery.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert [path.name for path in (small_disk / "pictures").iterdir()] == [f"{visit.visit_id}.jpg"]
    said = daemon.log
    for words in ("kept in memory only", "the gallery answers again", "pictures are kept again"):
        assert said.count(words) == 1, said
