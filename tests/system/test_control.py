"""Asking the doorbell that runs: on the command line, and for what it sees."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from doorbell.config import Config, load_config
from doorbell.control.camera import DaemonCamera
from doorbell.control.client import Client
from doorbell.diagnostics.camera import check_camera
from doorbell.errors import CameraError, RefusedError
from doorbell.gallery.gallery import Gallery
from doorbell.household.enrollment import Enroller
from doorbell.household.enrollment_frames import guided_frames
from doorbell.household.enrollment_strength import Coverage
from doorbell.pipeline.perception import open_perception
from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess, run_command
from doorbell.testbed.waiting import eventually

pytestmark = pytest.mark.system


@dataclass
class House:
    daemon: DaemonProcess
    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / "doorbell.sock"

    @property
    def config(self) -> Config:
        return load_config(None, [f"storage.directory={self.directory}", "chime.enabled=false"])

    def called(self, *words: str) -> subprocess.CompletedProcess[str]:
        verb, *rest = words
        setting = ("--config", "/dev/null", "--set", f"storage.directory={self.directory}")
        return subprocess.run(
            [*DOORBELL, verb, *setting, *rest], check=False, capture_output=True, text=True
        )

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        with Client.connect(self.socket) as client:
            return client.ask(verb, **arguments).document

    def dump(self) -> list[str]:
        with closing(sqlite3.connect(self.directory / "gallery.sqlite")) as gallery:
            # But for how often something has changed, which only counts up.
            counters = ("sqlite_sequence", '"template_changes"')
            return [line for line in gallery.iterdump() if not any(c in line for c in counters)]


@pytest.fixture(scope="module")
def house(
    models_directory: Path,  # noqa: ARG001 - built for the daemon
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    command = run_command(
        "camera.uri=simulated:",
        "camera.loop=true",
        "camera.frames_per_second=10",
        f"storage.directory={directory}",
        "chime.enabled=false",
    )
    with DaemonProcess(command, directory / "log") as daemon:
        assert daemon.says(WATCHING)
        yield House(daemon, directory)


def test_status_ring_and_mute_ask_the_doorbell_that_runs(house: House) -> None:
    told = house.called("status")
    assert told.returncode == 0
    assert "camera: live" in told.stdout
    assert "chimes: on" in told.stdout
    with Client.connect(house.socket) as client:
        heard = client.events()
        next(heard)
        assert house.called("ring").stdout == "the bell rings\n"
        end = time.monotonic() + 5.0
        while (event := next(heard))["event"] != "ring" or not event["pressed"]:
            assert time.monotonic() < end
    assert "muted for 60 minutes" in house.called("mute", "--minutes", "60").stdout
    settings = json.loads(house.called("status", "--json").stdout)["settings"]
    until = datetime.fromisoformat(settings["muted_until"])
    assert timedelta(minutes=58) < until - datetime.now(timezone.utc) < timedelta(minutes=61)
    assert house.called("mute", "--off").stdout == "chimes are on\n"
    for wrong in (("--minutes", "-1"), ("--until", "25:00"), ("--off", "--minutes", "5")):
        refused = house.called("mute", *wrong)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") <= 4


def last_of(camera: DaemonCamera) -> None:
    while True:
        camera.get(5.0)


def test_without_a_doorbell_they_say_so(tmp_path: Path) -> None:
    for verb in ("status", "ring", "mute"):
        command = [*DOORBELL, verb, "--config", "/dev/null"]
        told = subprocess.run(
            [*command, "--set", f"storage.directory={tmp_path}"],
            check=False,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 3
        assert "the doorbell is not running" in told.stderr


def test_who_came_is_listed_named_and_the_naming_taken_back_without_a_trace(house: House) -> None:
    def strangers() -> list[dict[str, Any]]:
        listed = house.ask("visits.list", kind="stranger", limit=100)["visits"]
        return [visit for visit in listed if visit["ended_at"] is not None]

    assert eventually(lambda: strangers() != [], 30.0)
    visit = strangers()[-1]
    stranger_id = visit["visitor"]["id"]

    def own_faces() -> list[dict[str, Any]]:
        got = house.ask("visits.get", visit=visit["visit_id"])
        assert got["visit"]["visitor"]["label"] == f"stranger-{stranger_id}"
        faces = got["picture"]["faces"]
        return [face for face in faces if face["visit_id"] == visit["visit_id"]]

    assert eventually(lambda: own_faces() != [], 5.0)  # the last picture comes after the visit
    [face] = own_faces()
    assert 0.0 < face["box"][0] < face["box"][2] < 1.0
    with Client.connect(house.socket) as client:
        picture = client.ask("visits.picture", visit=visit["visit_id"], crop="face", max_width=200)
    assert picture.blob.startswith(b"\xff\xd8")
    # Between two visitors, so that nothing else is written.
    assert eventually(lambda: house.ask("status")["at_the_door"] == [], 30.0)
    before = house.dump()
    named = house.ask("strangers.name", stranger_id=stranger_id, name="Nina Simone")
    [person] = house.ask("people.list")["people"]
    assert person["name"] == "Nina Simone"
    assert house.dump() != before
    undone = house.ask("undo", token=named["undo"])
    assert house.ask("people.list")["people"] == []
    assert f"stranger-{stranger_id}" in undone["summary"]
    assert house.dump() == before
    with pytest.raises(RefusedError, match="taken back already"):
        house.ask("undo", token=named["undo"])


def test_settings_hold_at_once_and_only_what_may_be_changed_is(house: House) -> None:
    house.ask("settings.change", quiet_from="22:00", quiet_to="06:30", pictures_days=3)
    settings = house.ask("status")["settings"]
    assert (settings["quiet_hours"], settings["quiet_from"]) == (True, "22:00")
    assert settings["pictures_days"] == 3
    for wrong in ({"quiet_to": None}, {"default_chime": "/etc/passwd"}, {"key_file": "x"}):
        with pytest.raises(RefusedError):
            house.ask("settings.change", **wrong)
    house.ask("settings.change", quiet_from=None, quiet_to=None, pictures_days=None)
    after = house.ask("status")["settings"]
    assert (after["quiet_hours"], after["pictures_days"]) == (False, 14)


def test_check_and_enrolling_see_by_way_of_the_doorbell(house: House) -> None:
    with (
        closing(DaemonCamera(house.socket)) as camera,
        closing(open_perception(house.config)) as perception,
        Gallery.open(house.directory / "other.sqlite") as gallery,
    ):
        said, _ = check_camera(
            house.config, networks=lambda: perception, field_of_view_degrees=78.0
        )
        assert "1280 x 720 pixels" in said
        assert "by way of the running doorbell" in said
        coverage = Coverage()
        report = Enroller(perception, gallery, house.config).enroll_frames(
            "Zoe",
            guided_frames(camera, coverage, lambda _: None, seconds=10.0),
            source="the door",
            coverage=coverage,
        )
    assert report.person is not None
    assert coverage.seen
    assert house.daemon.exit_code is None


def test_a_doorbell_that_stops_is_said_to_who_watches(house: House) -> None:
    with closing(DaemonCamera(house.socket)) as camera:
        assert camera.get(5.0).width == 1280
        assert house.daemon.terminate() == 0
        with pytest.raises(CameraError, match="has stopped"):
            last_of(camera)
    assert not house.socket.exists()
