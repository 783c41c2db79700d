"""A gallery on a PostgreSQL server that goes, hangs or is cut off, while two doors are watched."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from doorbell.config import GallerySection, StorageSection
from doorbell.domain import Person
from doorbell.errors import GalleryError
from doorbell.gallery.gallery import Gallery
from doorbell.testbed.daemon_process import DOORBELL
from doorbell.testbed.postgres import Postgres, find_postgres
from doorbell.testbed.scenes import KNOWN, STRANGER
from faulting import doors
from faulting.door import Door, NotRecoveredError
from faulting.doors import BACK, SLOWER_AT_MOST, second, visit_for_a_minute


class Server:
    """The server of a house's gallery, to which that was moved by the command for it."""

    def __init__(self, folder: Path, gallery: Path) -> None:
        programs = find_postgres()
        if programs is None:
            raise NotRecoveredError("no PostgreSQL with pgvector is installed")
        self.postgres = Postgres(programs)
        self.postgres.start()
        self.section = GallerySection(url=self.postgres.create("house"))
        moved = folder / "moved"
        shutil.copytree(gallery, moved)
        here = (f"storage.directory={moved}", f"gallery.url={self.section.url}")
        words = [word for setting in here for word in ("--set", setting)]
        subprocess.run(
            [*DOORBELL, "gallery", "move", "--config", "/dev/null", *words],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def written(self) -> dict[str, str | None]:
        """Who came, by ended visit: a name, or None for a stranger; nothing while it is away."""
        try:
            with Gallery.of(StorageSection(), self.section) as gallery:
                visits = gallery.visits.newest(10_000)
        except GalleryError:
            return {}
        return {
            each.visit_id: each.visitor.name if isinstance(each.visitor, Person) else None
            for each in visits
            if each.ended_at is not None
        }


def no_server() -> str | None:
    """Why this cannot be tried here, or None."""
    return None if find_postgres() else "no PostgreSQL with pgvector is installed"


def prepare(door: Door) -> None:
    """Two doors, whose gallery is on a server."""
    server = Server(door.folder, door.gallery)
    door.stack.callback(server.postgres.__exit__)
    door.server = server
    door.settings["gallery.url"] = server.section.url
    door.gallery = door.folder / "nothing"
    door.gallery.mkdir()
    doors.prepare(door)


def killed(door: Door) -> float:
    """The server is killed while somebody is there, and comes back after others came."""
    server = _server(door)
    return _without(door, server.postgres.kill, server.postgres.start)


def hangs(door: Door) -> float:
    """The server answers nothing, with its connections open; frames take no longer."""
    server, back = _server(door), second(door)
    visit_for_a_minute(back)
    answering = visit_for_a_minute(back)
    server.postgres.freeze()
    try:
        visit_for_a_minute(back)  # of which a part was before
        hanging = visit_for_a_minute(back)
    finally:
        server.postgres.thaw()
    if hanging > SLOWER_AT_MOST * answering:
        raise NotRecoveredError(
            f"while the server hangs 99 in 100 frames take {hanging:.0f} ms instead of "
            f"{answering:.0f}"
        )
    return _seconds_until_written(door, time.monotonic())


def away_for_an_hour(door: Door) -> float:
    """The server is away for an hour, in which visitors come to both doors."""
    server, back = _server(door), second(door)
    server.postgres.stop()
    end = time.monotonic() + 3600.0
    while time.monotonic() < end:
        for who in (KNOWN, STRANGER):
            door.visit(who)
            back.visit(who)
            time.sleep(20.0)
    began = time.monotonic()
    server.postgres.start()
    return _seconds_until_written(door, began)


def _without(door: Door, take: Callable[[], None], bring: Callable[[], None]) -> float:
    back = second(door)
    door.comes(KNOWN)
    take()
    door.goes()
    back.visit(STRANGER)
    door.visit(STRANGER)
    back.visit(KNOWN)
    began = time.monotonic()
    bring()
    return _seconds_until_written(door, began)


def _seconds_until_written(door: Door, began: float) -> float:
    """Until the server has every visit that was told, of the same visitor, and no other."""
    server = _server(door)

    def told() -> dict[str, str | None]:
        documents = [
            each
            for topic in ("event", f"doorbell/{BACK}/event")
            for each in door.subscriber.documents(topic)
        ]
        return {each["visit_id"]: each["person"] for each in documents if each["visit_id"]}

    return door.seconds_until(lambda: told() == server.written(), since=began)


def _server(door: Door) -> Server:
    if not isinstance(door.server, Server):
        raise TypeError("prepare the door first")
    return door.server
