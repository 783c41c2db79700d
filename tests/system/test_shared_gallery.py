"""A daemon whose gallery is on a real server, which hangs, is killed, and comes back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from doorstep import enroll
from galleries import on_postgres

from doorbell.config import Config, control_socket, load_config
from doorbell.control.client import Client
from doorbell.domain import Person, Stranger, Visit
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.models.store import face_path
from doorbell.pipeline.perception import Perception
from doorbell.testbed.daemon_process import DOORBELL, WATCHING, DaemonProcess, run_command
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.scenes import STRANGER, Visitor, simulated
from doorbell.testbed.waiting import eventually

pytestmark = [pytest.mark.system, on_postgres]

OBAMA, BIDEN, MACRON = "Barack Obama", "Joe Biden", "Emmanuel Macron"
AWAY = "the door decides by its copy of the gallery"
BACK = "the server of the gallery answers again"


@dataclass
class Machine:
    """One that watches a door, with a configuration file and a directory of its own."""

    folder: Path
    url: str
    camera: str = "simulated:"
    doors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.settings = self.folder / "doorbell.toml"
        self.settings.write_text(
            f"""
            camera.uri = "{self.camera}"
            camera.width = 640
            camera.height = 360
            camera.frames_per_second = 8
            chime.enabled = false
            visits.absence_seconds = 1.5
            storage.directory = "{self.folder}"
            gallery.url = "{self.url}"
            """
        )

    @property
    def config(self) -> Config:
        return load_config(self.settings)

    def start(self) -> DaemonProcess:
        return DaemonProcess(run_command(config=self.settings), self.folder / "log")

    def called(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DOORBELL, *verb.split(), "--config", str(self.settings), *words],
            check=False,
            capture_output=True,
            text=True,
        )

    def on_server(self) -> Gallery:
        return Gallery.of(self.config.storage, self.config.gallery)

    def visits(self) -> list[Visit]:
        """Those on the server, the first first; none where it does not answer."""
        try:
            with self.on_server() as gallery:
                return gallery.visits.newest(99)[::-1]
        except GalleryError:
            return []

    def holds(self, name: str) -> bool:
        """Whether anything of a person is in its files."""
        files = self.folder.glob("copy.sqlite*")
        return any(name.encode() in each.read_bytes() for each in files)


@pytest.fixture
def server() -> Iterator[Postgres]:
    programs = find_postgres()
    assert programs is not None
    with Postgres(programs) as started:
        yield started


def test_a_door_decides_while_the_server_hangs_and_all_of_it_arrives_afterwards(
    tmp_path: Path, server: Postgres, perception: Perception, models_directory: Path, faces: Path
) -> None:
    visitors = (
        Visitor(enters=0.3, approach=1.5, stays=2.0, leave=0.5),
        Visitor(enters=11.0, approach=1.5, stays=2.0, leave=0.5),
        Visitor(enters=18.0, approach=1.5, stays=3.0, leave=0.5, who=STRANGER, from_x=0.55),
    )
    machine = Machine(
        tmp_path / "front", server.create("house"), simulated(tmp_path, faces, *visitors)
    )
    with machine.on_server() as gallery:
        enroll(perception, gallery, face_path("obama2", models_directory), OBAMA)
    with machine.start() as daemon:
        assert daemon.says(WATCHING)
        named = f"visitor={OBAMA}"
        assert eventually(lambda: named in daemon.log, 20.0), daemon.log
        assert eventually(lambda: [each.ended_at for each in machine.visits()] != [None], 20.0)
        server.freeze()
        try:
            before = daemon.log.count(named)
            assert eventually(lambda: daemon.log.count(named) > before, 20.0), daemon.log
            assert daemon.says("visitor=stranger-1", 25.0), daemon.log
            assert daemon.says(AWAY, 30.0)
            refused = machine.called("people forget", OBAMA, "--yes")
            assert refused.returncode == 3, refused
            assert "does not answer" in refused.stderr
            status = machine.called("status").stdout
            assert "writes wait" in status, status
        finally:
            server.thaw()
        assert daemon.says(BACK)
        assert eventually(lambda: len(machine.visits()) == 3, 20.0)
    with machine.on_server() as gallery:
        first, second, third = gallery.visits.newest(9)[::-1]
        assert isinstance(third.visitor, Stranger)
        assert [one.visitor.name for one in (first, second) if isinstance(one.visitor, Person)] == [
            OBAMA,
            OBAMA,
        ]


def test_who_is_forgotten_is_on_no_machine_and_one_that_is_away_is_named(
    tmp_path: Path, server: Postgres, perception: Perception, models_directory: Path
) -> None:
    machine = Machine(tmp_path / "front", server.create("house"))
    with machine.on_server() as gallery:
        enroll(perception, gallery, face_path("obama2", models_directory), OBAMA)
        enroll(perception, gallery, face_path("biden", models_directory), BIDEN)
        enroll(perception, gallery, face_path("macron", models_directory), MACRON)
    with machine.start() as daemon:
        assert daemon.says(WATCHING)
        assert eventually(partial(machine.holds, OBAMA), 5.0)
        # By way of the daemon, and by a command that goes to the server itself.
        with machine.on_server() as gallery:
            obama = gallery.people.get(OBAMA).person_id
        with Client.connect(control_socket(machine.config)) as client:
            said = client.ask("people.forget", person_id=obama, name=OBAMA).document
        assert "not yet" not in f"{said}"
        assert eventually(lambda: not machine.holds(OBAMA), 5.0)
        forgot = machine.called("people forget", MACRON, "--yes")
        assert forgot.returncode == 0, forgot
        assert "has not forgotten" not in forgot.stdout
        assert eventually(lambda: not machine.holds(MACRON), 5.0)
    assert machine.holds(BIDEN)
    forgot = machine.called("people forget", BIDEN, "--yes")
    assert "has not forgotten" in forgot.stdout, forgot
    server.kill()
    with machine.start() as daemon:
        # A door that has no server decides all the same.
        assert daemon.says(WATCHING)
        server.start()
        assert daemon.says(BACK)
        assert eventually(lambda: not machine.holds(BIDEN), 5.0)
